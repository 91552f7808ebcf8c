"""From adjusted bars to a feature frame, one symbol at a time, on arrays."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.equity import sessions
from ml.equity.features.bars import Bars, Reals
from ml.equity.features.catalogue import FeatureSet
from ml.frames import FEATURE_KEYS

_PRICES = ("open", "high", "low", "close", "volume")
_LONGEST_MONTH = pd.Timedelta(days=31)


def compute(adjusted: pd.DataFrame, feature_set: FeatureSet, calendar: str) -> pd.DataFrame:
    """The features of ADJUSTED bars: entity, ts, then one float32 column per feature, sorted by (ts, entity).

    One row per bar. A value depends on the symbol's own bars up to its ts and on the calendar up to
    it. NaN until a feature's lookback is full and where its declaration says so; nothing is filled.
    """
    place = sessions.positions(calendar, adjusted["ts"])
    columns = {name: adjusted[name].to_numpy() for name in _PRICES} | _dates(calendar, adjusted["ts"], place)
    values = np.empty((len(feature_set.features), len(adjusted)), dtype=np.float32)
    for own in _symbols(adjusted["symbol"]):
        bars = Bars(**{name: column[own] for name, column in columns.items()})
        for row, feature in zip(values, feature_set.features, strict=True):
            row[own] = feature.function(bars, *feature.params)
    # Symbols are in order already, so a stable sort by instant alone gives the order by (ts, entity).
    return _framed(adjusted, values, feature_set.names, np.argsort(place, kind="stable"))


def _symbols(symbol: pd.Series) -> list[slice]:
    """The rows of each symbol; ADJUSTED keeps them together."""
    codes = pd.factorize(symbol)[0]
    edges = [*np.flatnonzero(np.diff(codes, prepend=-1)).tolist(), len(codes)]
    return [slice(start, stop) for start, stop in pairwise(edges)]


def _dates(calendar: str, ts: pd.Series, place: npt.NDArray[np.int64]) -> dict[str, Reals]:
    """What each bar's session says about time (see Bars), known when that session closes.

    place: the running number of each bar's session in the calendar
    """
    if ts.empty:
        return dict.fromkeys(("weekday", "month", "session_of_month", "days_since"), np.empty(0))
    closes = sessions.closes(calendar, (ts.min() - _LONGEST_MONTH).date(), (ts.max() + pd.Timedelta(days=1)).date())
    days = pd.DatetimeIndex(closes.index)
    of_session = {
        "weekday": days.day_of_week,
        "month": days.month,
        "session_of_month": pd.Series(1, index=days).groupby(days.year * 12 + days.month).cumsum(),
        "days_since": days.to_series().diff().dt.days,
    }
    since = place - sessions.positions(calendar, closes.iloc[:1])[0]
    return {name: np.asarray(fact, dtype=np.float64)[since] for name, fact in of_session.items()}


def _framed(
    adjusted: pd.DataFrame, values: npt.NDArray[np.float32], names: tuple[str, ...], order: npt.NDArray[np.int64]
) -> pd.DataFrame:
    keys = pd.DataFrame({"entity": adjusted["symbol"].take(order).array, "ts": adjusted["ts"].take(order).array})
    features = pd.DataFrame(values[:, order].T, columns=list(names), copy=False)
    return pd.concat([keys.astype(FEATURE_KEYS), features], axis=1)
