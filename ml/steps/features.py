"""Bars to features: adjust what was known, compute the months that are not there yet, and keep them.

The newest night's features are also put where SQL finds them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import pandas as pd

from ml.domain import Night
from ml.equity.features.feature import FeatureSet
from ml.equity.features.sets import configured
from ml.equity.features.tails import compute_sessions
from ml.errors import SettingsError
from ml.frames import check_features
from ml.io.store import Store
from ml.io.warehouse import Warehouse, feature_definitions, latest_features
from ml.settings import Settings, settings
from ml.steps import going_on, keep, months, past
from ml.steps.history import History, as_known
from ml.steps.night import Keys, keys, parse
from ml.steps.past import Month

log = logging.getLogger(__name__)

SPAN_ROWS = 4_000_000
"""Rows that are computed at a time, whole months: they bound the memory, whatever the length of the history. For each
span the bars before it are looked back on anew, so that the longer it is, the less it costs."""


def run(domain: str, as_of: str, known_at: str) -> Keys:
    """Compute the features of one night; returns its keys with the `snapshot` digest of the data seen.

    The same data gives the same snapshot, whenever it is asked for, and then nothing is computed again. Of
    a history that goes on where another night's ended, only the months that changed are computed.
    """
    config = settings()
    feature_set = configured(config)
    night = parse(domain, as_of, known_at)
    warehouse = Warehouse(config.require_warehouse_dsn())
    history = known(config, warehouse, night, feature_set)
    if not history.months:
        raise SettingsError(
            f"no bars up to {as_of} that were known at {known_at}",
            "a night whose bars had been accepted by then",
            "Choose a later known_at",
        )
    tonight = write(Store(config.store_root), night, history, feature_set)
    feature_definitions.record(warehouse, feature_set.rows())
    latest_features.write(warehouse, night, history.digest, feature_set.digest, tonight)
    log.info("features of %s: %d symbols, snapshot %s", as_of, len(tonight), history.digest[:16])
    return keys(night, snapshot=history.digest)


def known(config: Settings, warehouse: Warehouse, night: Night, feature_set: FeatureSet) -> History:
    """The night's history: where another one's goes on, no more of it than these features need."""
    found = going_on.as_known(config, warehouse, night, feature_set)
    return as_known(config, warehouse, night, goes_on=True) if found is None else found


def write(store: Store, night: Night, history: History, feature_set: FeatureSet) -> pd.DataFrame:
    """Keep the night's adjusted bars and features, its own rows of them apart, and last how its history goes on.

    Returns its own rows of the features.
    """
    domain, snapshot = night.domain, history.digest
    manifest = {**keys(night), "snapshot": snapshot, "feature_set": feature_set.digest}
    bars, features = keep.adjusted(domain), keep.features(domain, feature_set.digest)
    months.write(store, bars, snapshot, history.months, partial(_adjusted, history), manifest)
    months.write(store, features, snapshot, history.months, partial(_features, history, feature_set), manifest)
    last = history.months[-1]
    tonight = _session(store.get(months.place(features, last)), night)
    store.put(keep.tonight(domain, feature_set.digest, snapshot), tonight, manifest)
    reference = _reference(store.get(months.place(bars, last)), night)
    store.put(keep.reference(domain, snapshot), reference, manifest)
    if history.past is not None:
        past.write(store, night, feature_set, history.past, history.months, history.bars)
    return tonight


def _adjusted(history: History, missing: Sequence[Month]) -> Iterator[pd.DataFrame]:
    for month in missing:
        yield history.bars.adjusted.take(month.rows).reset_index(drop=True)


def _features(history: History, feature_set: FeatureSet, missing: Sequence[Month]) -> Iterator[pd.DataFrame]:
    """Computed over every bar, kept for the days on which a symbol belonged."""
    for span in _spans(missing):
        yield from _months_of(span, history, feature_set)


def _months_of(span: Sequence[Month], history: History, feature_set: FeatureSet) -> Iterator[pd.DataFrame]:
    first, last = span[0].first, span[-1].last
    frame = compute_sessions(history.bars, feature_set, first, last)
    rows = history.bars.between(first, last)
    place, member = history.bars.sessions_of(rows), history.member[rows]
    for month in span:
        start, stop = np.searchsorted(place, [month.first, month.last + 1])
        own = frame.iloc[start:stop]
        belongs = member[start:stop]
        # A copy, so that a month that is being written does not keep its whole span in memory.
        own = own.copy() if belongs.all() else own[belongs]
        yield check_features(own.reset_index(drop=True), feature_set.names)


def _spans(missing: Sequence[Month]) -> Iterator[list[Month]]:
    """The months in runs of about SPAN_ROWS rows, at least one in each."""
    span: list[Month] = []
    for month in missing:
        if span and sum(len(each.rows) for each in [*span, month]) > SPAN_ROWS:
            yield span
            span = []
        span.append(month)
    if span:
        yield span


def _session(features: pd.DataFrame, night: Night) -> pd.DataFrame:
    """The rows that the night's predictions are made from."""
    return features[features["ts"] == night.as_of].drop(columns="ts").reset_index(drop=True)


def _reference(adjusted: pd.DataFrame, night: Night) -> pd.DataFrame:
    """The price of every symbol that traded in the night's session: what its predictions start from."""
    today = adjusted.loc[adjusted["ts"] == night.as_of, ["symbol", "raw_close"]]
    return today.rename(columns={"symbol": "entity", "raw_close": "price"}).reset_index(drop=True)
