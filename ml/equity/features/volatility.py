"""Volatility, per session (not annualised).

Parkinson (1980), "The extreme value method for estimating the variance of the rate of return";
Garman and Klass (1980), "On the estimation of security price volatilities from historical data".
"""

from __future__ import annotations

import math

import numpy as np

from ml.equity.features.bars import Bars, Reals
from ml.equity.features.windows import FLAT, ratio, rolling_mean, rolling_std

_PARKINSON = 4.0 * math.log(2.0)
_GARMAN_KLASS = 2.0 * math.log(2.0) - 1.0


def vol_cc(bars: Bars, window: int) -> Reals:
    return rolling_std(bars.log_return, window)


def vol_parkinson(bars: Bars, window: int) -> Reals:
    squared_range = np.log(bars.high / bars.low) ** 2
    return np.sqrt(rolling_mean(squared_range, window) / _PARKINSON)


def vol_garman_klass(bars: Bars, window: int) -> Reals:
    day = 0.5 * np.log(bars.high / bars.low) ** 2
    day -= _GARMAN_KLASS * np.log(bars.close / bars.open) ** 2
    return np.sqrt(rolling_mean(day, window))


def vol_ratio(bars: Bars, short: int, long: int) -> Reals:
    slow = rolling_std(bars.log_return, long)
    return ratio(rolling_std(bars.log_return, short), np.where(slow < FLAT, 0.0, slow))
