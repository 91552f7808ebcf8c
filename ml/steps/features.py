"""Bars to features: adjust what was known, compute the feature set, keep both under the data's digest.

The newest night's features are also put where SQL finds them.
"""

from __future__ import annotations

import logging

import pandas as pd

from ml.domain import Night
from ml.equity.features.compute import compute
from ml.equity.features.sets import configured
from ml.errors import SettingsError
from ml.frames import check_features
from ml.io.store import Store
from ml.io.warehouse import Warehouse, feature_definitions, latest_features
from ml.settings import settings
from ml.steps import keep
from ml.steps.history import History, as_known
from ml.steps.night import Keys, keys, parse

log = logging.getLogger(__name__)


def run(domain: str, as_of: str, known_at: str) -> Keys:
    """Compute the features of one night; returns its keys with the `snapshot` digest of the data seen.

    The same data gives the same snapshot, whenever it is asked for, and then nothing is computed again.
    """
    config = settings()
    feature_set = configured(config)
    night = parse(domain, as_of, known_at)
    warehouse = Warehouse(config.require_warehouse_dsn())
    history = as_known(config, warehouse, night)
    if history.bars.empty:
        raise SettingsError(
            f"no bars up to {as_of} that were known at {known_at}",
            "a night whose bars had been accepted by then",
            "Choose a later known_at",
        )
    snapshot = history.digest
    store = Store(config.store_root)
    places = (
        keep.adjusted(domain, snapshot),
        keep.reference(domain, snapshot),
        keep.features(domain, feature_set.digest, snapshot),
        keep.tonight(domain, feature_set.digest, snapshot),
    )
    if not all(store.has(place) for place in places):
        adjusted = history.adjusted()
        # Computed over every bar, kept for the days on which a symbol belonged.
        features = compute(adjusted, feature_set, config.calendar)
        features = check_features(_of_members(features, history), feature_set.names)
        tonight = features[features["ts"] == night.as_of].drop(columns="ts").reset_index(drop=True)
        manifest = {**keys(night), "snapshot": snapshot, "feature_set": feature_set.digest}
        for place, frame in zip(places, (adjusted, _reference(adjusted, night), features, tonight), strict=True):
            store.put(place, frame, manifest)
    feature_definitions.record(warehouse, feature_set.rows())
    latest_features.write(
        warehouse, night, snapshot, feature_set.digest, store.get(keep.tonight(domain, feature_set.digest, snapshot))
    )
    log.info("features of %s: %d bars, snapshot %s", as_of, len(history.bars), snapshot[:16])
    return keys(night, snapshot=snapshot)


def _of_members(features: pd.DataFrame, history: History) -> pd.DataFrame:
    if history.member.all():
        return features
    outside = pd.MultiIndex.from_frame(history.bars.loc[~history.member, ["ts", "symbol"]])
    inside = ~pd.MultiIndex.from_frame(features[["ts", "entity"]]).isin(outside)
    return features[inside].reset_index(drop=True)


def _reference(adjusted: pd.DataFrame, night: Night) -> pd.DataFrame:
    """The price of every symbol that traded in the night's session: what its predictions start from."""
    today = adjusted.loc[adjusted["ts"] == night.as_of, ["symbol", "raw_close"]]
    return today.rename(columns={"symbol": "entity", "raw_close": "price"}).reset_index(drop=True)
