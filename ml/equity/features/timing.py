"""Time: what the session's own date says. Nothing here counts forward to a session yet to come."""

from __future__ import annotations

import numpy as np

from ml.equity.features.bars import Bars, Reals


def weekday(bars: Bars) -> Reals:
    return bars.weekday


def month_sin(bars: Bars) -> Reals:
    return np.sin(2.0 * np.pi * (bars.month - 1.0) / 12.0)


def month_cos(bars: Bars) -> Reals:
    return np.cos(2.0 * np.pi * (bars.month - 1.0) / 12.0)


def session_of_month(bars: Bars) -> Reals:
    return bars.session_of_month


def days_since_session(bars: Bars) -> Reals:
    return bars.days_since
