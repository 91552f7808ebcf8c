"""Technical indicators by TA-Lib, divided by the close where they carry a price's unit.

RSI, MACD, ATR and ADX are recursive: they start at the first bar of the symbol's history, the way
TA-Lib starts them, and forget it exponentially.
"""

from __future__ import annotations

import numpy as np
import talib

from ml.equity.features.bars import Bars, Reals
from ml.equity.features.windows import FLAT, ratio, rolling_mean, rolling_moment


def rsi(bars: Bars, window: int) -> Reals:
    return np.asarray(talib.RSI(bars.close, window))


def macd_histogram(bars: Bars, fast: int, slow: int, signal: int) -> Reals:
    return np.asarray(talib.MACD(bars.close, fast, slow, signal)[2] / bars.close)


def bollinger_position(bars: Bars, window: int) -> Reals:
    # Not by talib.BBANDS: its running sums make noise out of a price that stands still.
    mean = rolling_mean(bars.close, window)
    spread = np.sqrt(rolling_moment(bars.close, window, 2))
    return 0.5 + ratio(bars.close - mean, np.where(spread < FLAT * mean, 0.0, 4.0 * spread))


def average_true_range(bars: Bars, window: int) -> Reals:
    return np.asarray(talib.ATR(bars.high, bars.low, bars.close, window) / bars.close)


def adx(bars: Bars, window: int) -> Reals:
    return np.asarray(talib.ADX(bars.high, bars.low, bars.close, window))


def cci(bars: Bars, window: int) -> Reals:
    return np.asarray(talib.CCI(bars.high, bars.low, bars.close, window))


def stochastic(bars: Bars, window: int, smoothing: int) -> Reals:
    # Clipped, because TA-Lib's running average leaves the range by its rounding.
    slow_k = talib.STOCH(bars.high, bars.low, bars.close, window, smoothing, 0, 1, 0)[0]
    return np.asarray(np.clip(slow_k, 0.0, 100.0))


def williams_r(bars: Bars, window: int) -> Reals:
    return np.asarray(talib.WILLR(bars.high, bars.low, bars.close, window))
