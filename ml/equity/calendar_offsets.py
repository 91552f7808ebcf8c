"""exchange_calendars' own offsets taught what pandas 3 calls: without it some calendars are wrong or cannot be made.

pandas 3.1 calls `_add_datetime`, and for a range of days `_get_daily_offset_mask`, where it called `_apply` before.
exchange_calendars 4.13 overrides only the latter. So markets with Orthodox holidays (ASEX, XBEL, XBSE, XCYS) and XTAE
could not be made, and the Saturdays and Sundays on which XKRX, XBOM and XMOS traded were no sessions, without a word.
To be dropped when exchange_calendars overrides them itself; tests/equity/test_sessions.py tells when it is needed.
"""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd
from exchange_calendars.pandas_extensions.offsets import CompositeCustomBusinessDay, OrthodoxEaster
from pandas.tseries.offsets import CustomBusinessDay


def teach() -> None:
    """Give the offsets their missing methods; those that have them already keep theirs."""
    for offset, name, method in (
        (OrthodoxEaster, "_add_datetime", OrthodoxEaster._apply),
        (CompositeCustomBusinessDay, "_add_datetime", _next_day),
        (CompositeCustomBusinessDay, "_get_daily_offset_mask", _mask),
    ):
        if name not in vars(offset):
            setattr(offset, name, method)


def _next_day(offset: CompositeCustomBusinessDay, day: pd.Timestamp) -> pd.Timestamp:
    """`offset.n` working days on from `day`, or back."""
    step = timedelta(days=1 if offset.n > 0 else -1)
    for _ in range(abs(offset.n)):
        day += step
        while not offset.is_on_offset(day):
            day += step
    return day


def _mask(offset: CompositeCustomBusinessDay, days: npt.NDArray[np.datetime64]) -> npt.NDArray[np.bool_]:
    """Which of `days` are working days: by the week of their own time where it has one, else by the usual week."""
    mask: npt.NDArray[np.bool_] = CustomBusinessDay._get_daily_offset_mask(offset, days).copy()  # type: ignore[attr-defined]
    for first, last, week in offset.business_days:
        inside = (days >= _bound(first, pd.Timestamp.min)) & (days <= _bound(last, pd.Timestamp.max))
        mask[inside] = week._get_daily_offset_mask(days[inside])
    return mask


def _bound(day: pd.Timestamp | None, otherwise: pd.Timestamp) -> np.datetime64:
    return (otherwise if day is None else day).to_datetime64()
