"""Volume: how much was traded, and on which side of the price."""

from __future__ import annotations

import numpy as np
import talib

from ml.equity.features.bars import Bars, Reals
from ml.equity.features.windows import FLAT, ratio, rolling_mean, rolling_std, rolling_sum, shifted


def volume_ratio(bars: Bars, window: int) -> Reals:
    return ratio(bars.volume, shifted(rolling_mean(bars.volume, window), 1))


def obv_slope(bars: Bars, window: int) -> Reals:
    signed = np.sign(bars.log_return) * bars.volume
    return ratio(rolling_sum(signed, window), rolling_sum(bars.volume, window))


def money_flow(bars: Bars, window: int) -> Reals:
    return np.asarray(talib.MFI(bars.high, bars.low, bars.close, bars.volume, window))


def dollar_volume_z(bars: Bars, window: int) -> Reals:
    dollars = bars.close * bars.volume
    log = np.log(dollars, out=np.full(len(dollars), np.nan), where=dollars > 0)
    spread = rolling_std(log, window)
    return ratio(log - rolling_mean(log, window), np.where(spread < FLAT, 0.0, spread))
