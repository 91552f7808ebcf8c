"""Pattern: runs of days in one direction, and candlesticks as TA-Lib defines them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import talib

from ml.equity.features.bars import Bars, Reals

_LONGEST = 20.0


def run_length(bars: Bars) -> Reals:
    direction = np.sign(bars.log_return)
    turns = np.flatnonzero(np.diff(direction, prepend=np.nan) != 0)
    day = np.arange(len(direction))
    began = turns[np.searchsorted(turns, day, side="right") - 1]
    return np.asarray(np.clip(direction * (day - began + 1.0), -_LONGEST, _LONGEST))


def doji(bars: Bars) -> Reals:
    return _candle(talib.CDLDOJI, bars, 10)


def hammer(bars: Bars) -> Reals:
    return _candle(talib.CDLHAMMER, bars, 11)


def engulfing(bars: Bars) -> Reals:
    return _candle(talib.CDLENGULFING, bars, 2)


def _candle(pattern: Callable[[Reals, Reals, Reals, Reals], npt.NDArray[np.int32]], bars: Bars, start: int) -> Reals:
    """TA-Lib's -100 to 100 as -1 to 1; NaN before `start`, where TA-Lib answers 0 for want of bars."""
    result = pattern(bars.open, bars.high, bars.low, bars.close) / 100.0
    result[:start] = np.nan
    return result
