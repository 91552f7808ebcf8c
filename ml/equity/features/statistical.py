"""Statistics of the log returns in a trailing window."""

from __future__ import annotations

import numpy as np

from ml.equity.features.bars import Bars, Reals
from ml.equity.features.windows import (
    FLAT,
    ratio,
    rolling_correlation,
    rolling_mean,
    rolling_moment,
    rolling_std,
    rolling_sum,
    shifted,
)


def return_z(bars: Bars, window: int) -> Reals:
    spread = rolling_std(bars.log_return, window)
    return ratio(bars.log_return - rolling_mean(bars.log_return, window), np.where(spread < FLAT, 0.0, spread))


def skew(bars: Bars, window: int) -> Reals:
    variance = rolling_moment(bars.log_return, window, 2)
    spread = np.where(variance < FLAT**2, 0.0, variance**1.5)
    return ratio(rolling_moment(bars.log_return, window, 3), spread)


def autocorrelation(bars: Bars, window: int) -> Reals:
    return rolling_correlation(bars.log_return, shifted(bars.log_return, 1), window)


def efficiency(bars: Bars, window: int) -> Reals:
    path = rolling_sum(np.abs(bars.log_return), window)
    return ratio(np.abs(rolling_sum(bars.log_return, window)), path)
