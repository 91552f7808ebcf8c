"""What came of it: the forward return of each bar over a horizon counted in sessions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.domain import Target
from ml.equity import sessions
from ml.frames import LABELS

REVISION = 1
"""Raised by whoever changes what labels come out: what was made by older code is then made anew."""

_SESSIONS_APART = 1 << 20
"""Room for one symbol's sessions in a composite key: more than any calendar plus any horizon."""


def labels(adjusted: pd.DataFrame, horizons: tuple[Target, ...], calendar: str) -> pd.DataFrame:
    """LABELS of ADJUSTED bars: value = close(s + h) / close(s) - 1, a simple return with dividends.

    s + h is exactly the h-th session of the calendar after s. A symbol without a bar on that very
    session (halted, delisted, or the data ends before) gets no label there: an outcome is never
    taken from another day. `matures_at` is the close of session s + h.
    """
    code = pd.factorize(adjusted["symbol"], sort=True)[0].astype(np.int64)
    key = code * _SESSIONS_APART + sessions.positions(calendar, adjusted["ts"])
    close = adjusted["close"].to_numpy()
    by_name = sorted(horizons, key=lambda target: target.name)
    parts = [_of_target(adjusted, key, close, target) for target in by_name]
    return pd.concat([LABELS.empty(), *parts], ignore_index=True)


def _of_target(
    adjusted: pd.DataFrame, key: npt.NDArray[np.int64], close: npt.NDArray[np.float64], target: Target
) -> pd.DataFrame:
    wanted = key + target.horizon
    later = np.minimum(np.searchsorted(key, wanted), len(key) - 1)
    now = np.flatnonzero(key[later] == wanted) if len(key) else np.empty(0, dtype=np.int64)
    then = later[now]
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
