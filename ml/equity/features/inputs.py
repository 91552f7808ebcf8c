"""What a formula may start from: the columns of the bars, and what the date of a bar's session says.

Beside them stands the sector of each bar's symbol on that day, which only cross-sectional operators see.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.equity import sessions
from ml.equity.features.kernels import lanes
from ml.frames import TEXT

Reals = npt.NDArray[np.float64]
Places = npt.NDArray[np.int32]

BARS = ("open", "high", "low", "close", "volume", "raw_close")
"""Columns of ADJUSTED."""

DATES: Mapping[str, str] = {
    "weekday": "0 = Monday to 6 = Sunday",
    "month": "1 to 12",
    "month_sin": "month on a circle, first axis, 0 in January",
    "month_cos": "month on a circle, second axis, 1 in January",
    "year_sin": "day of the year on a circle, first axis",
    "year_cos": "day of the year on a circle, second axis",
    "session_of_month": "sessions of the exchange in this month so far, 1 = first",
    "days_since": "calendar days since the exchange's session before",
    "sessions_left": "scheduled sessions of this month still to come, 0 = last",
    "days_until": "calendar days until the next scheduled session",
    "since_holiday": "scheduled sessions since the last holiday, 1 = the first after it",
    "until_holiday": "scheduled sessions until the next holiday, 1 = the last before it",
}
"""Known when the session closes: those that count forward use the exchange's published schedule, in
which a day of mourning or of a storm is a session, because nobody knew."""

INPUTS = (*BARS, *DATES)

SECTOR = "sector"
"""What operators by sector take besides; no formula holds it by itself."""

_MARGIN = pd.Timedelta(days=400)
"""Every calendar with holidays has one within a year."""


@dataclass(frozen=True)
class Inputs:
    """The wanted inputs of a panel's rows.

    bars: each of shape (rows,), float64; facts: each of shape (sessions,), float64
    session: the place of each row's session among those of `facts`
    sector: of each row, missing where nobody knows it
    """

    bars: Mapping[str, Reals]
    facts: Mapping[str, Reals]
    session: npt.NDArray[np.int64]
    sector: pd.Categorical[str]

    @classmethod
    def of(
        cls,
        adjusted: pd.DataFrame,
        sector: pd.Categorical[str],
        calendar: str,
        place: npt.NDArray[np.int64],
        wanted: set[str],
    ) -> Inputs:
        """place: the running number of each row's session in the calendar."""
        bars = {name: np.ascontiguousarray(adjusted[name].to_numpy()) for name in BARS if name in wanted}
        if not len(place) or not wanted & DATES.keys():
            return cls(bars, dict.fromkeys(DATES, np.empty(0)), place, sector)
        first = int(place.min())
        return cls(bars, _facts(calendar, first, int(place.max())), place - first, sector)

    def at(self, name: str, rows: Places) -> Reals:
        """One input of the rows of a chunk, of the same shape, NaN where there is none."""
        out = np.empty(rows.shape)
        if name in self.bars:
            lanes.gather(self.bars[name], rows, out)
        else:
            lanes.gather_of_session(self.facts[name], self.session, rows, out)
        return out


def unknown_sectors(rows: int) -> pd.Categorical[str]:
    """Of so many rows, none with a sector."""
    return pd.Categorical.from_codes(np.full(rows, -1, dtype=np.int8), pd.Index([], dtype=TEXT))


def _facts(calendar: str, first: int, last: int) -> dict[str, Reals]:
    """DATES of the sessions with the running numbers from first to last."""
    start, stop = (pd.Timestamp(day) for day in sessions.at(calendar, np.array([first, last])))
    held = pd.DatetimeIndex(sessions.closes(calendar, (start - _MARGIN).date(), stop.date()).index)
    days = held[-(last - first + 1) :]
    facts: dict[str, Any] = {
        "weekday": days.day_of_week,
        "month": days.month,
        **_circle("month", (days.month - 1) / 12),
        **_circle("year", days.day_of_year / 365.25),
        "session_of_month": _count_of_month(held)[-len(days) :],
        "days_since": held.to_series().diff().dt.days.to_numpy()[-len(days) :],
        **_scheduled_facts(days, sessions.scheduled(calendar, (start - _MARGIN).date(), (stop + _MARGIN).date())),
    }
    return {name: np.asarray(fact, dtype=np.float64) for name, fact in facts.items()}


def _circle(name: str, turns: pd.Index) -> dict[str, Reals]:
    angle = 2.0 * np.pi * turns.to_numpy()
    return {f"{name}_sin": np.sin(angle), f"{name}_cos": np.cos(angle)}


def _scheduled_facts(days: pd.DatetimeIndex, schedule: sessions.Schedule) -> dict[str, Any]:
    open_days = schedule.sessions
    following = np.searchsorted(open_days, days, side="right")
    left = _count_of_month(open_days[::-1])[::-1]
    own_month = (open_days.year[following] == days.year) & (open_days.month[following] == days.month)
    return {
        "sessions_left": np.where(own_month, left[following], 0),
        "days_until": (open_days[following] - days).days,
        **_holidays(days, following, schedule),
    }


def _holidays(
    days: pd.DatetimeIndex, following: npt.NDArray[np.intp], schedule: sessions.Schedule
) -> dict[str, npt.NDArray[np.generic]]:
    """NaN in both where the calendar has no holidays."""
    later = np.searchsorted(schedule.holidays, days)
    there = (later > 0) & (later < len(schedule.holidays))
    if not there.all():
        return {"since_holiday": np.full(len(days), np.nan), "until_holiday": np.full(len(days), np.nan)}
    before = np.searchsorted(schedule.sessions, schedule.holidays[later - 1])
    after = np.searchsorted(schedule.sessions, schedule.holidays[later])
    return {"since_holiday": following - before, "until_holiday": after - following + 1}


def _count_of_month(days: pd.DatetimeIndex) -> npt.NDArray[np.int64]:
    """The running number of each day among those of its month, from 1, in the order given."""
    return np.asarray(pd.Series(1, index=days).groupby([days.year, days.month]).cumsum())
