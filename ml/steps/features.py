"""Bars to features: adjust what was known, compute the feature set, keep both under the data's digest."""

from __future__ import annotations

import hashlib
import logging

import pandas as pd

from ml.domain import Night
from ml.equity import adjustment, labels
from ml.equity.features.catalogue import DEFAULT_SET
from ml.equity.features.compute import compute
from ml.errors import SettingsError
from ml.frames import check_features
from ml.io.store import Store, frame_digest
from ml.io.warehouse import Warehouse, bars
from ml.settings import Settings, settings
from ml.steps import keep
from ml.steps.night import Keys, keys, parse

log = logging.getLogger(__name__)


def run(domain: str, as_of: str, known_at: str) -> Keys:
    """Compute the features of one night; returns its keys with the `snapshot` digest of the data seen.

    The same data gives the same snapshot, whenever it is asked for, and then nothing is computed again.
    """
    config = settings()
    night = parse(domain, as_of, known_at)
    raw, actions = _as_known(Warehouse(config.require_warehouse_dsn()), night)
    if raw.empty:
        raise SettingsError(
            f"no bars up to {as_of} that were known at {known_at}",
            "a night whose bars had been accepted by then",
            "Choose a later known_at",
        )
    snapshot = _digest(config, night, raw, actions)
    store = Store(config.store_root)
    places = (
        keep.adjusted(domain, snapshot),
        keep.reference(domain, snapshot),
        keep.features(domain, DEFAULT_SET.digest, snapshot),
        keep.tonight(domain, DEFAULT_SET.digest, snapshot),
    )
    if not all(store.has(place) for place in places):
        adjusted = adjustment.adjust(raw, actions, config.calendar)
        features = check_features(compute(adjusted, DEFAULT_SET, config.calendar), DEFAULT_SET.names)
        tonight = features[features["ts"] == night.as_of].drop(columns="ts").reset_index(drop=True)
        manifest = {**keys(night), "snapshot": snapshot, "feature_set": DEFAULT_SET.digest}
        for place, frame in zip(places, (adjusted, _reference(adjusted, night), features, tonight), strict=True):
            store.put(place, frame, manifest)
    log.info("features of %s: %d bars, snapshot %s", as_of, len(raw), snapshot[:16])
    return keys(night, snapshot=snapshot)


def _as_known(warehouse: Warehouse, night: Night) -> tuple[pd.DataFrame, pd.DataFrame]:
    return bars.bars_as_known(warehouse, night), bars.actions_as_known(warehouse, night)


def _digest(config: Settings, night: Night, raw: pd.DataFrame, actions: pd.DataFrame) -> str:
    """What adjusted bars and labels are made from: the data, and the code that turns it into them."""
    code = (config.calendar, str(adjustment.REVISION), str(labels.REVISION))
    parts = (night.domain, night.as_of.isoformat(), frame_digest(raw), frame_digest(actions), *code)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _reference(adjusted: pd.DataFrame, night: Night) -> pd.DataFrame:
    """The price of every symbol that traded in the night's session: what its predictions start from."""
    today = adjusted.loc[adjusted["ts"] == night.as_of, ["symbol", "raw_close"]]
    return today.rename(columns={"symbol": "entity", "raw_close": "price"}).reset_index(drop=True)
