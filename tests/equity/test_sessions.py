from __future__ import annotations

from datetime import UTC, date, datetime

import pandas as pd
import pytest

from ml.equity import sessions
from ml.errors import FrameError, SettingsError

NYSE = "XNYS"


def instant(text: str) -> pd.Timestamp:
    return pd.Timestamp(text, tz="UTC")


@pytest.mark.parametrize(
    ("session", "close"),
    [
        ("2013-03-01", "2013-03-01T21:00"),  # winter time
        ("2013-03-08", "2013-03-08T21:00"),  # the Friday before the clocks change
        ("2013-03-11", "2013-03-11T20:00"),  # the Monday after
        ("2013-11-01", "2013-11-01T20:00"),
        ("2013-11-04", "2013-11-04T21:00"),
        ("2013-11-29", "2013-11-29T18:00"),  # the day after Thanksgiving: 13:00 in New York
        ("2013-12-24", "2013-12-24T18:00"),
        ("2000-03-01", "2000-03-01T21:00"),
    ],
)
def test_known_closes_of_new_york(session: str, close: str) -> None:
    assert sessions.close_of(NYSE, date.fromisoformat(session)) == instant(close)


def test_the_storm_of_2012_closed_the_exchange_for_two_days() -> None:
    week = sessions.closes(NYSE, date(2012, 10, 26), date(2012, 10, 31))
    assert [str(day.date()) for day in week.index] == ["2012-10-26", "2012-10-31"]
    assert week.tolist() == [instant("2012-10-26T20:00"), instant("2012-10-31T20:00")]
    with pytest.raises(SettingsError, match="2012-10-26 and 2012-10-31"):
        sessions.close_of(NYSE, date(2012, 10, 29))


def test_other_exchanges_close_in_their_own_time_zone() -> None:
    assert sessions.close_of("XTKS", date(2013, 3, 1)) == instant("2013-03-01T06:00")
    assert sessions.close_of("XLON", date(2013, 7, 1)) == instant("2013-07-01T15:30")


def test_an_unknown_calendar_is_refused_with_examples() -> None:
    with pytest.raises(SettingsError, match=r"'NOPE'.*XNYS"):
        sessions.close_of("NOPE", date(2013, 3, 1))


def test_dates_become_closes_and_a_holiday_becomes_nothing() -> None:
    dates = pd.Series(["2013-11-29", "2013-11-28", None, "2013-11-27"], index=[7, 3, 5, 1], dtype="datetime64[us]")
    got = sessions.sessions_to_closes(NYSE, dates)
    assert got.index.tolist() == [7, 3, 5, 1]
    assert got.dtype == "datetime64[us, UTC]"
    assert got[[7, 1]].tolist() == [instant("2013-11-29T18:00"), instant("2013-11-27T21:00")]
    assert got[[3, 5]].isna().all()


def test_a_close_leads_back_to_its_session() -> None:
    closes = pd.Series([instant("2013-11-29T18:00"), instant("2013-03-11T20:00")])
    assert sessions.session_of(NYSE, closes).tolist() == [pd.Timestamp("2013-11-29"), pd.Timestamp("2013-03-11")]
    with pytest.raises(FrameError, match="2013-11-29T21:00"):
        sessions.session_of(NYSE, pd.Series([instant("2013-11-29T21:00")]))


def test_later_closes_skip_weekends_and_holidays() -> None:
    closes = pd.Series([instant("2013-11-27T21:00"), instant("2012-10-26T20:00")], index=[4, 2])
    assert sessions.later_close(NYSE, closes, 1).to_dict() == {
        4: instant("2013-11-29T18:00"),
        2: instant("2012-10-31T20:00"),
    }
    assert sessions.later_close(NYSE, closes, 5)[4] == instant("2013-12-05T21:00")


def test_later_closes_reach_into_the_future() -> None:
    latest = sessions.latest_close(NYSE, pd.Timestamp.now("UTC"))
    later = sessions.later_close(NYSE, [latest], 300)[0]
    assert pd.Timedelta(days=400) < later - latest < pd.Timedelta(days=470)
    with pytest.raises(SettingsError, match="all that XNYS knows"):
        sessions.later_close(NYSE, [latest], 5000)


def test_the_next_close_is_later_and_the_latest_is_not() -> None:
    friday = instant("2013-03-01T21:00")
    assert sessions.next_close(NYSE, friday) == instant("2013-03-04T21:00")
    assert sessions.next_close(NYSE, friday - pd.Timedelta(seconds=1)) == friday
    assert sessions.latest_close(NYSE, friday) == friday
    assert sessions.latest_close(NYSE, friday - pd.Timedelta(seconds=1)) == instant("2013-02-28T21:00")


@pytest.mark.parametrize(
    "text",
    ["2013-03-01", " 2013-03-01 ", "2013-03-01T21:00:00Z", "2013-03-01T21:00", "2013-03-01 16:00:00-05:00", "20130301"],
)
def test_as_of_is_read_as_a_session_or_as_its_close(text: str) -> None:
    assert sessions.parse_as_of(NYSE, text) == instant("2013-03-01T21:00")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("yesterday", "such as 2013-03-01"),
        ("", "such as 2013-03-01"),
        ("2013-03-02", "2013-03-01 and 2013-03-04"),
        ("2012-10-30", "2012-10-26 and 2012-10-31"),
        ("2013-03-01T20:00:00Z", "2013-02-28T21:00:00.00:00 and 2013-03-01T21:00:00"),
        ("2013-03-05", "in the future.*2013-03-01"),
        ("2013-03-04", "in the future.*2013-03-01"),
        ("2093-03-04", "in the future"),
        ("2013-03-04T21:00:00Z", "in the future"),
    ],
)
def test_an_as_of_that_cannot_be_used_is_refused_with_what_could(text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        sessions.parse_as_of(NYSE, text, now=datetime(2013, 3, 4, 20, 59, tzinfo=UTC))


@pytest.mark.parametrize(
    ("calendar", "session", "close"),
    [
        ("XKRX", "2024-02-08", "2024-02-08T06:30"),  # 15:30 in Seoul, which has no summer time
        ("XKRX", "2024-07-01", "2024-07-01T06:30"),
        ("XKRX", "2019-11-14", "2019-11-14T07:30"),  # the day of the university entrance examination: an hour later
        ("XKRX", "2015-07-01", "2015-07-01T06:00"),  # until July 2016 at 15:00
        ("24/7", "2024-03-10", "2024-03-11T00:00"),  # a Sunday, and the night of New York's change of clocks
        ("24/7", "2024-12-25", "2024-12-26T00:00"),
        ("XNYS", "2024-07-03", "2024-07-03T17:00"),  # 13:00 before Independence Day
        ("XSHG", "2024-02-08", "2024-02-08T07:00"),
        ("XLON", "2024-12-24", "2024-12-24T12:30"),
    ],
)
def test_known_closes_of_other_markets(calendar: str, session: str, close: str) -> None:
    day = date.fromisoformat(session)
    assert sessions.close_of(calendar, day) == instant(close)
    assert sessions.session_of(calendar, pd.Series([instant(close)])).tolist() == [pd.Timestamp(session)]
    assert sessions.parse_as_of(calendar, session) == sessions.parse_as_of(calendar, f"{close}Z") == instant(close)
    assert sessions.latest_close(calendar, instant(close)) == instant(close)
    assert sessions.last_session(calendar, day) == day


@pytest.mark.parametrize(
    ("calendar", "day", "is_session"),
    [
        ("XKRX", "1998-12-05", True),  # the last Saturday on which Seoul traded
        ("XKRX", "1998-12-12", False),
        ("XKRX", "2024-02-09", False),  # the Lunar New Year of 2024 was Saturday the 10th
        ("XKRX", "2024-02-12", False),  # and its substitute
        ("XKRX", "2023-12-29", False),  # the last trading day of a year is the 28th
        ("XBOM", "2024-01-20", True),  # a Saturday before the inauguration in Ayodhya
        ("XBOM", "2024-01-27", False),
        ("XMOS", "2021-02-20", True),
        ("XMOS", "2021-02-27", False),
        ("XTAE", "2025-01-05", True),  # a Sunday
        ("XTAE", "2025-01-03", False),
        ("XTAE", "2026-01-09", True),  # a Friday: since 2026 Tel Aviv trades on Fridays instead
        ("XTAE", "2026-01-11", False),
        ("ASEX", "2024-05-03", False),  # the Orthodox Good Friday
        ("ASEX", "2024-05-06", False),
        ("ASEX", "2024-05-07", True),
        ("XBSE", "2024-06-24", False),  # the Orthodox Whit Monday
        ("24/7", "2024-12-25", True),
    ],
)
def test_weeks_and_holidays_of_other_markets(calendar: str, day: str, is_session: bool) -> None:
    """Weeks that changed and Orthodox holidays: what calendar_offsets.py is for."""
    assert (not sessions.closes(calendar, date.fromisoformat(day), date.fromisoformat(day)).empty) == is_session


@pytest.mark.parametrize(
    ("calendar", "now", "closed", "under_way"),
    [
        ("XNYS", "2014-07-03T16:59", "2014-07-02", "2014-07-03"),  # a half-day, before Independence Day
        ("XNYS", "2014-07-03T17:00", "2014-07-03", "2014-07-07"),
        ("XNYS", "2014-11-28T18:00", "2014-11-28", "2014-12-01"),
        ("24/7", "2024-03-10T23:59", "2024-03-09", "2024-03-10"),
        ("24/7", "2024-03-11T00:00", "2024-03-10", "2024-03-11"),
        ("XKRX", "2024-02-08T06:29", "2024-02-07", "2024-02-08"),
        ("XKRX", "2024-02-08T06:30", "2024-02-08", "2024-02-13"),
        ("XNZE", "2024-12-23T23:44", "2024-12-23", "2024-12-24"),
        ("XNZE", "2024-12-23T23:45", "2024-12-24", "2024-12-27"),
    ],
)
def test_the_last_session_to_close_and_the_one_under_way(calendar: str, now: str, closed: str, under_way: str) -> None:
    assert str(sessions.last_closed(calendar, instant(now))) == closed
    assert str(sessions.under_way(calendar, instant(now))) == under_way
    assert sessions.parse_as_of(calendar, closed, now=instant(now)) == sessions.latest_close(calendar, instant(now))
    with pytest.raises(SettingsError, match=f"in the future.*at the latest {closed} "):
        sessions.parse_as_of(calendar, under_way, now=instant(now))


def test_a_day_before_the_calendar_begins_is_refused() -> None:
    sessions.require_reach(NYSE, date(1990, 1, 1), "AFTERBELL_HISTORY_START")
    with pytest.raises(SettingsError, match=r"1989-12-31 for AFTERBELL_HISTORY_START.*expected 1990-01-01 or later"):
        sessions.require_reach(NYSE, date(1989, 12, 31), "AFTERBELL_HISTORY_START")
    with pytest.raises(SettingsError, match=r"2000-01-01 for the start, before the calendar AIXK.*2017-01-01"):
        sessions.require_reach("AIXK", date(2000, 1, 1), "the start")


def test_sessions_come_as_rows_for_the_warehouse() -> None:
    week = sessions.table(NYSE, date(2013, 11, 27), date(2013, 12, 1))
    assert week["calendar"].tolist() == [NYSE, NYSE]
    assert [str(day.date()) for day in week["session"]] == ["2013-11-27", "2013-11-29"]
    assert week["opens_at"].tolist() == [instant("2013-11-27T14:30"), instant("2013-11-29T14:30")]
    assert week["closes_at"].tolist() == [instant("2013-11-27T21:00"), instant("2013-11-29T18:00")]
    assert week["is_early_close"].tolist() == [False, True]
    assert sessions.table("24/7", date(2024, 2, 10), date(2024, 2, 11))["opens_at"].tolist() == [
        instant("2024-02-10"),
        instant("2024-02-11"),
    ]
