"""Sessions and their closes, from exchange_calendars: early closes, holidays, daylight saving time.

A calendar is named by its code (ISO 10383, e.g. "XNYS"). A session is a naive date, a close an
instant in UTC. Nothing here, or anywhere else, counts weekdays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache, lru_cache

import exchange_calendars
import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.equity import calendar_offsets
from ml.errors import FrameError, SettingsError
from ml.frames import DATE

calendar_offsets.teach()

VERSION: str = exchange_calendars.__version__
"""Of the calendars: a newer one may tell other sessions and holidays of the past."""

_FIRST = pd.Timestamp("1990-01-01")
_YEARS_AHEAD = 3


@dataclass(frozen=True)
class _Table:
    """All sessions of one calendar, their opens and closes in UTC, all naive datetime64[us], ascending.

    reach: the first day of which the calendar tells whether it was a session.
    weekdays: which days of the week, Monday first, can be sessions.
    """

    sessions: npt.NDArray[np.datetime64]
    opens: npt.NDArray[np.datetime64]
    closes: npt.NDArray[np.datetime64]
    is_early: npt.NDArray[np.bool_]
    reach: date
    weekdays: tuple[bool, ...]


@dataclass(frozen=True)
class Schedule:
    """Naive days, ascending: those planned as sessions, and those of the week's session days planned as holidays."""

    sessions: pd.DatetimeIndex
    holidays: pd.DatetimeIndex


@cache
def _table(calendar: str) -> _Table:
    try:
        default = exchange_calendars.get_calendar(calendar)
    except exchange_calendars.errors.InvalidCalendarName as error:
        raise SettingsError(
            f"the calendar {calendar!r}",
            "a code that exchange_calendars knows, e.g. XNYS (New York), XKRX (Seoul), XLON (London), 24/7",
            "Correct AFTERBELL_CALENDAR",
        ) from error
    first, last = max(default.bound_min() or _FIRST, _FIRST), default.bound_max()
    ahead = pd.Timestamp.now().normalize() + pd.DateOffset(years=_YEARS_AHEAD)
    wide = exchange_calendars.get_calendar(calendar, start=first, end=ahead if last is None else min(last, ahead))
    return _Table(
        wide.sessions.to_numpy().astype("datetime64[us]"),
        wide.opens.dt.tz_localize(None).to_numpy().astype("datetime64[us]"),
        wide.closes.dt.tz_localize(None).to_numpy().astype("datetime64[us]"),
        wide.sessions.isin(wide.early_closes),
        first.date(),
        tuple(flag == "1" for flag in wide.weekmask),
    )


def closes(calendar: str, first: date, last: date) -> pd.Series:
    """The closes (UTC) of the sessions from `first` to `last`, both included; the index holds the sessions."""
    table = _table(calendar)
    start = int(np.searchsorted(table.sessions, np.datetime64(_day(first)), side="left"))
    stop = int(np.searchsorted(table.sessions, np.datetime64(_day(last)), side="right"))
    index = pd.DatetimeIndex(table.sessions[start:stop], name="session")
    return pd.Series(_utc(table.closes[start:stop]), index=index, name="close")


def table(calendar: str, first: date, last: date) -> pd.DataFrame:
    """The sessions from `first` to `last`, both included, as rows of market.sessions.

    Columns calendar, session (naive), opens_at and closes_at (UTC), is_early_close.
    """
    known = _table(calendar)
    start = int(np.searchsorted(known.sessions, np.datetime64(_day(first)), side="left"))
    stop = int(np.searchsorted(known.sessions, np.datetime64(_day(last)), side="right"))
    columns = {
        "session": known.sessions[start:stop],
        "opens_at": _utc(known.opens[start:stop]),
        "closes_at": _utc(known.closes[start:stop]),
        "is_early_close": known.is_early[start:stop],
    }
    return pd.DataFrame({"calendar": pd.Series([calendar] * (stop - start), dtype="str")} | columns)


@lru_cache(maxsize=8)
def scheduled(calendar: str, first: date, last: date) -> Schedule:
    """What the exchange's rules said beforehand of the days from `first` to `last`.

    Closures that nobody could plan (a storm, a day of mourning) are sessions here. So are the days
    before a rule was made known that holds for them; exchange_calendars does not tell when that was.
    """
    known = _table(calendar)
    days = pd.date_range(first, last, freq="D")
    days = days[np.array(known.weekdays)[days.day_of_week]]
    rules = exchange_calendars.get_calendar(calendar).regular_holidays
    planned = days.isin(rules.holidays(first, last)) if rules is not None else np.zeros(len(days), dtype=bool)
    return Schedule(days[~planned], days[planned])


def close_of(calendar: str, session: date) -> pd.Timestamp:
    """The close of `session` in UTC; SettingsError naming the nearest sessions when the exchange was closed."""
    table = _table(calendar)
    day = np.datetime64(_day(session), "us")
    position = int(np.searchsorted(table.sessions, day))
    if position < len(table.sessions) and table.sessions[position] == day:
        return _stamp(table.closes[position])
    around = [str(s.astype("datetime64[D]")) for s in table.sessions[max(position - 1, 0) : position + 1]]
    raise SettingsError(
        f"{day.astype('datetime64[D]')}, when {calendar} holds no session",
        f"a session, the nearest being {' and '.join(around)}",
        "Choose one of them",
    )


def sessions_to_closes(calendar: str, dates: pd.Series) -> pd.Series:
    """The close (UTC) of each session in `dates`, on the same index; NaT for a date that is not a session."""
    table = _table(calendar)
    days = dates.to_numpy().astype("datetime64[us]")
    positions, known = _find(table.sessions, days)
    found = np.where(known, table.closes[positions], np.datetime64("NaT", "us"))
    return pd.Series(_utc(found), index=dates.index, name="ts")


def session_of(calendar: str, ts: pd.Series) -> pd.Series:
    """The session (naive date) that ends at each close in `ts`; FrameError when one is not a close."""
    table = _table(calendar)
    return pd.Series(table.sessions[positions(calendar, ts)], index=ts.index, dtype=DATE, name="session")


def later_close(calendar: str, ts: pd.Series | pd.DatetimeIndex | Sequence[pd.Timestamp], h: int) -> pd.Series:
    """The close `h` sessions after each close in `ts`, also in the future; the index is that of `ts`.

    FrameError when an instant is not a close, SettingsError beyond the end of the calendar.
    """
    table = _table(calendar)
    series = pd.Series(ts)
    later = positions(calendar, series) + h
    if len(later) and (later.max() >= len(table.closes) or later.min() < 0):
        raise SettingsError(
            f"a close {h} sessions from {series.max() if h > 0 else series.min()}",
            f"closes from {table.closes[0]} to {table.closes[-1]}, all that {calendar} knows",
            "Choose another date or a newer exchange_calendars",
        )
    return pd.Series(_utc(table.closes[later]), index=series.index, name="ts")


def positions(calendar: str, ts: pd.Series) -> npt.NDArray[np.int64]:
    """The running number, within the calendar, of the session that ends at each close in `ts`.

    FrameError when one is not a close.
    """
    table = _table(calendar)
    instants = ts.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy().astype("datetime64[us]")
    found, known = _find(table.closes, instants)
    if not known.all():
        raise FrameError(
            f"{int((~known).sum())} instants that are no close of {calendar}, the first {instants[~known][0]} UTC",
            "the instant at which a session closed",
            "Convert dates with sessions_to_closes, or correct AFTERBELL_CALENDAR",
        )
    return found


def at(calendar: str, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.datetime64]:
    """The sessions (naive dates) with these running numbers: what `positions` told of their closes."""
    return _table(calendar).sessions[numbers]


def closes_at(calendar: str, numbers: npt.NDArray[np.int64]) -> pd.DatetimeIndex:
    """The closes (UTC) of the sessions with these running numbers."""
    return _utc(_table(calendar).closes[numbers])


def first_of_month(calendar: str, close: datetime) -> int:
    """The running number of the first session of the month that the session closing at `close` lies in."""
    month = np.datetime64(_session_at(calendar, pd.Timestamp(close)), "M")
    return int(np.searchsorted(_table(calendar).sessions, month.astype("datetime64[us]")))


def parse_as_of(calendar: str, text: str, now: datetime | None = None) -> pd.Timestamp:
    """The close that `text` means: a session ("2013-03-01") or the close itself as an ISO instant (UTC if naive).

    SettingsError when it cannot be read, is not a session or a close, or lies after `now`.
    """
    now = now or pd.Timestamp.now("UTC")
    moment = _read(text)
    latest, session = latest_close(calendar, now), last_closed(calendar, now)
    # Asked first: a date beyond the calendar's end is in the future, whatever else it is.
    # A session may close on the evening (UTC) before its day: Wellington's half-days do.
    after = moment > now if isinstance(moment, datetime) else moment > max(now.date(), session)
    if not after:
        close = _exact_close(calendar, moment) if isinstance(moment, datetime) else close_of(calendar, moment)
        if close <= latest:
            return close
    raise SettingsError(
        f"the as_of {text!r}, which lies in the future",
        f"a session that has closed, at the latest {session} (closed {latest.isoformat()})",
        "Choose that or an earlier one",
    )


def require_reach(calendar: str, day: date, name: str) -> None:
    """SettingsError when `day`, the setting or field called `name`, lies before all that the calendar knows."""
    known = _table(calendar).reach
    if _day(day) < known:
        raise SettingsError(
            f"{day} for {name}, before the calendar {calendar} begins", f"{known} or later", "Choose a later date"
        )


def last_closed(calendar: str, now: datetime) -> date:
    """The last session that has closed by `now`: the day of the session, which the close itself may lie after."""
    return _session_at(calendar, latest_close(calendar, now))


def under_way(calendar: str, now: datetime) -> date:
    """The next session to close: no bar can be of a later one yet."""
    return _session_at(calendar, next_close(calendar, now))


def last_session(calendar: str, day: date) -> date:
    """The last session on or before `day`."""
    table = _table(calendar)
    position = int(np.searchsorted(table.sessions, np.datetime64(_day(day), "us"), side="right")) - 1
    found: date = pd.Timestamp(table.sessions[position]).date()
    return found


def next_close(calendar: str, as_of: datetime) -> pd.Timestamp:
    """The first close strictly after `as_of`."""
    table = _table(calendar)
    return _stamp(table.closes[np.searchsorted(table.closes, _naive(as_of), side="right")])


def latest_close(calendar: str, now: datetime) -> pd.Timestamp:
    """The last close at or before `now`."""
    table = _table(calendar)
    return _stamp(table.closes[np.searchsorted(table.closes, _naive(now), side="right") - 1])


def _session_at(calendar: str, close: pd.Timestamp) -> date:
    session: date = session_of(calendar, pd.Series([close])).iloc[0].date()
    return session


def _read(text: str) -> date | pd.Timestamp:
    """A plain date as `date`, anything longer as an instant in UTC."""
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        pass  # not a plain date: an instant, or nothing at all
    try:
        instant = pd.Timestamp(datetime.fromisoformat(text.strip()))
    except ValueError as error:
        raise SettingsError(
            f"the as_of {text!r}",
            "a session such as 2013-03-01, or a close such as 2013-03-01T21:00:00Z",
            "Correct it",
        ) from error
    return instant.tz_localize("UTC") if instant.tz is None else instant.tz_convert("UTC")


def _exact_close(calendar: str, instant: datetime) -> pd.Timestamp:
    before = latest_close(calendar, instant)
    if before != instant:
        raise SettingsError(
            f"the instant {instant.isoformat()}, at which no session of {calendar} closed",
            f"a close, the nearest being {before.isoformat()} and {next_close(calendar, instant).isoformat()}",
            "Choose one of them, or give the date alone",
        )
    return before


def _find(
    table: npt.NDArray[np.datetime64], wanted: npt.NDArray[np.datetime64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Where each of `wanted` stands in the ascending `table`, and whether it is there at all (else the place is 0)."""
    places = np.searchsorted(table, wanted)
    places[places == len(table)] = 0
    known = table[places] == wanted
    return np.where(known, places, 0), known


def _day(value: date) -> date:
    return value.date() if isinstance(value, datetime) else value


def _naive(value: datetime) -> np.datetime64:
    """An aware instant as numpy's naive UTC microseconds."""
    return pd.Timestamp(value).tz_convert("UTC").tz_localize(None).as_unit("us").to_datetime64()


def _stamp(value: np.datetime64) -> pd.Timestamp:
    return pd.Timestamp(value).tz_localize("UTC")


def _utc(values: npt.NDArray[np.datetime64]) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(values.astype("datetime64[us]")).tz_localize("UTC")
