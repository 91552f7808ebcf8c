"""What came of it: the forward return of each bar over a horizon counted in sessions, or up to its triple barrier."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.domain import Target
from ml.equity import sessions
from ml.equity.features.compute import compute
from ml.equity.features.feature import Feature, FeatureSet
from ml.equity.features.kernels.compiled import compiled
from ml.frames import LABELS

REVISION = 1
"""Raised by whoever changes what labels come out: what was made by older code is then made anew."""

BARRIER_WIDTH = 1.0
"""Distance of a barrier in standard deviations of the horizon's log return. A random walk in continuous time leaves
such a band in 63 % of cases; seen at closes, before the last, in 37 % over 5 sessions and 57 % over 60 (measured)."""

VOLATILITY = FeatureSet(
    "barriers", 1, (Feature("volatility", "std(ret, 20)", "volatility", "Of one session", "log return per session"),)
)
"""What barriers are measured in: the catalogue's SCALE_FEATURE, as it was when the labels got their REVISION."""

_SESSIONS_APART = 1 << 20
"""Room for one symbol's sessions in a composite key: more than any calendar plus any horizon."""

Reals = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


def labels(adjusted: pd.DataFrame, horizons: tuple[Target, ...], calendar: str) -> pd.DataFrame:
    """LABELS of ADJUSTED bars: value = close(then) / close(s) - 1, a simple return with dividends.

    `return` and `scaled`: then = s + h, exactly the h-th session of the calendar after s. A symbol
    without a bar on that very session (halted, delisted, or the data ends before) gets no label there:
    an outcome is never taken from another day. (What `scaled` divides by belongs to training.)

    `barrier` (Lopez de Prado 2018, chapter 3): then = the first of the sessions s + 1 ... s + h whose
    close is a touch, |log(close / close(s))| >= BARRIER_WIDTH x volatility x sqrt(h), else s + h;
    volatility is the standard deviation of the 20 log returns up to s. Only closes touch, not highs and
    lows. No label where the volatility is unknown or zero; where a bar is missing between s and `then`,
    because the first touch may have been there; and while s + h is not yet a session of the data,
    because of such sessions only the symbols that touched would be known, and they are no fair sample.

    `matures_at` is the close of `then`.
    """
    code = pd.factorize(adjusted["symbol"], sort=True)[0].astype(np.int64)
    place = sessions.positions(calendar, adjusted["ts"])
    key = code * _SESSIONS_APART + place
    close = adjusted["close"].to_numpy()
    by_name = sorted(horizons, key=lambda target: target.name)
    touching = any(target.label == "barrier" for target in by_name)
    volatility = _volatility(adjusted, place, calendar) if touching else np.empty(0)
    parts = []
    for target in by_name:
        if target.label == "barrier":
            decided = _first_touch(key, close, volatility, target.horizon)
        else:
            decided = _at_the_end(key, target.horizon)
        parts.append(_of_target(adjusted, close, decided, target))
    return pd.concat([LABELS.empty(), *parts], ignore_index=True)


def _of_target(adjusted: pd.DataFrame, close: Reals, decided: Rows, target: Target) -> pd.DataFrame:
    """decided: the row in which each row's label is decided, -1 where nothing is."""
    now = np.flatnonzero(decided >= 0)
    then = decided[now]
    ts = adjusted["ts"]
    frame = pd.DataFrame(
        {
            "entity": adjusted["symbol"].take(now).array,
            "ts": ts.take(now).array,
            "target": target.name,
            "matures_at": ts.take(then).array,
            "value": close[then] / close[now] - 1.0,
        }
    )
    return LABELS.cast(frame.sort_values("ts", kind="stable"))


def _at_the_end(key: Rows, horizon: int) -> Rows:
    if not len(key):
        return np.empty(0, dtype=np.int64)
    wanted = key + horizon
    later = np.minimum(np.searchsorted(key, wanted), len(key) - 1)
    return np.where(key[later] == wanted, later, -1)


def _first_touch(key: Rows, close: Reals, volatility: Reals, horizon: int) -> Rows:
    place = key % _SESSIONS_APART
    reach = np.exp(BARRIER_WIDTH * volatility * np.sqrt(horizon))
    decided = np.empty(len(key), dtype=np.int64)
    _walk(key, close, close * reach, close / reach, horizon, decided)
    labelled = (volatility > 0) & (place + horizon <= place.max(initial=0))
    return np.where(labelled, decided, -1)


@compiled
def _walk(key: Rows, close: Reals, upper: Reals, lower: Reals, horizon: int, decided: Rows) -> None:
    """decided: where each row's path first touches, or the end of its horizon; -1 if a bar is missing before."""
    for row in range(len(key)):
        decided[row] = -1
        for then in range(row + 1, min(row + horizon + 1, len(key))):
            if key[then] - key[row] != then - row:
                break
            if close[then] >= upper[row] or close[then] <= lower[row] or then == row + horizon:
                decided[row] = then
                break


def _volatility(adjusted: pd.DataFrame, place: Rows, calendar: str) -> Reals:
    """Of each bar, known at its close; NaN until there are 20 returns."""
    computed = compute(adjusted, VOLATILITY, calendar)["volatility"].to_numpy()
    volatility = np.empty(len(adjusted))
    volatility[np.argsort(place, kind="stable")] = computed  # features are sorted by (ts, symbol)
    return volatility
