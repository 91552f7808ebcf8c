"""Price: where the close came from, and where it stands."""

from __future__ import annotations

import numpy as np
import talib

from ml.equity.features.bars import Bars, Reals
from ml.equity.features.windows import ratio, shifted


def log_return(bars: Bars, sessions: int) -> Reals:
    return np.log(bars.close / shifted(bars.close, sessions))


def gap(bars: Bars) -> Reals:
    return np.log(bars.open / shifted(bars.close, 1))


def intraday_return(bars: Bars) -> Reals:
    return np.log(bars.close / bars.open)


def close_position(bars: Bars) -> Reals:
    return ratio(bars.close - bars.low, bars.high - bars.low)


def drawdown(bars: Bars, window: int) -> Reals:
    return np.asarray(np.log(bars.close / talib.MAX(bars.high, window)))
