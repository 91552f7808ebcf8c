"""Nights of other markets: the last session that has closed, whatever rows of later days the files hold."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from ml.equity import sessions
from ml.errors import SettingsError
from ml.settings import settings
from ml.steps import backfill, features, ingest, validate
from ml.steps.night import Keys
from tests.steps.market import invented, seen, write

Configure = Callable[[str, pd.DataFrame], None]
SYMBOLS = ("AAA", "BBB")
A_YEAR = timedelta(days=365)
OF_LAST = "select symbol, serving.session_of(ts)::text from serving.bars where ts = (select max(ts) from serving.bars)"


@pytest.fixture
def configure(market: Path, monkeypatch: pytest.MonkeyPatch) -> Configure:
    """Settings for a calendar, and a file with these bars."""

    def made(calendar: str, bars: pd.DataFrame) -> None:
        write(market, bars)
        monkeypatch.setenv("AFTERBELL_CALENDAR", calendar)
        settings.cache_clear()

    return made


def bars_until(calendar: str, last: date) -> pd.DataFrame:
    return invented(SYMBOLS, last - A_YEAR, last, calendar=calendar)


def night(as_of: str | None = None) -> Keys:
    """Ingest, validate and features, as the scheduler calls them."""
    landed = ingest.run(as_of)
    keys = validate.run(landed["ingest_id"])
    return features.run(keys["domain"], keys["as_of"], keys["known_at"])


def stray(bars: pd.DataFrame, day: str) -> pd.DataFrame:
    """The same bars and one row more, dated `day`."""
    return pd.concat([bars, bars.tail(1).assign(date=pd.Timestamp(day))], ignore_index=True)


@pytest.mark.parametrize(
    ("calendar", "session", "close"),
    [
        ("XNYS", "2014-07-03", "2014-07-03T17:00:00+00:00"),  # a half-day
        ("XNYS", "2014-11-28", "2014-11-28T18:00:00+00:00"),
        ("XNYS", "2014-03-10", "2014-03-10T20:00:00+00:00"),  # the Monday after the clocks changed
        ("XKRX", "2024-02-08", "2024-02-08T06:30:00+00:00"),
        ("XNZE", "2024-12-24", "2024-12-23T23:45:00+00:00"),  # a half-day that ends before its day begins in UTC
        ("24/7", "2024-03-10", "2024-03-11T00:00:00+00:00"),
    ],
)
def test_a_night_of_a_past_session(
    configure: Configure, reader_dsn: str, calendar: str, session: str, close: str
) -> None:
    configure(calendar, bars_until(calendar, date.fromisoformat(session)))
    assert night()["as_of"] == close
    assert seen(reader_dsn, OF_LAST) == [(symbol, session) for symbol in SYMBOLS]
    assert seen(reader_dsn, "select count(*) from serving.gaps") == [(0,)]
    assert backfill.plan("2012-01-01")[-1]["end"] == session


@pytest.mark.parametrize("calendar", ["24/7", "XKRX", "XNYS"])
def test_rows_of_the_session_under_way_are_not_the_nights_yet(
    configure: Configure, reader_dsn: str, calendar: str
) -> None:
    configure(calendar, bars_until(calendar, sessions.under_way(calendar, datetime.now(UTC))))
    keys = night()
    closed = sessions.parse_as_of(calendar, keys["as_of"])
    assert closed == sessions.latest_close(calendar, datetime.now(UTC))
    session = str(sessions.last_closed(calendar, closed))
    assert seen(reader_dsn, OF_LAST) == [(symbol, session) for symbol in SYMBOLS]
    assert seen(reader_dsn, "select count(*) from serving.quarantine") == [(0,)]
    assert backfill.plan("2012-01-01")[-1]["end"] == session
    with pytest.raises(SettingsError, match=f"at the latest {session}, the last session"):
        backfill.plan("2012-01-01", str(sessions.under_way(calendar, closed)))


@pytest.mark.parametrize(("calendar", "last"), [("XNYS", "2014-08-29"), ("24/7", "2024-03-10")])
@pytest.mark.parametrize("day", ["2060-09-01", "2114-08-29", "9999-12-31"])  # a Wednesday, a slip of the pen, "never"
def test_a_stray_row_of_the_future_is_quarantined_and_the_night_goes_on(
    configure: Configure, reader_dsn: str, calendar: str, last: str, day: str
) -> None:
    bars = bars_until(calendar, date.fromisoformat(last))
    configure(calendar, stray(bars, day))
    keys = night()
    assert seen(reader_dsn, OF_LAST) == [(symbol, last) for symbol in SYMBOLS]
    [(symbol, session, reason)] = seen(reader_dsn, "select symbol, session::text, reason from serving.quarantine")
    assert (symbol, session) == (SYMBOLS[-1], day)
    assert "date after the night's session" in str(reason)
    # the same again the next day, and without the row nothing is lost
    assert night()["snapshot"] == keys["snapshot"]
    configure(calendar, bars)
    assert night()["snapshot"] == keys["snapshot"]
    assert seen(reader_dsn, "select count(*) from serving.quarantine") == [(1,)]


def test_an_unfinished_session_and_a_stray_row_at_once(configure: Configure, reader_dsn: str) -> None:
    under_way = sessions.under_way("24/7", datetime.now(UTC))
    configure("24/7", stray(bars_until("24/7", under_way), "2060-09-01"))
    session = sessions.last_closed("24/7", pd.Timestamp(night()["as_of"]))
    assert session == sessions.last_closed("24/7", datetime.now(UTC))
    assert seen(reader_dsn, OF_LAST) == [(symbol, str(session)) for symbol in SYMBOLS]
    assert seen(reader_dsn, "select session::text from serving.quarantine") == [("2060-09-01",)]


def test_a_history_that_begins_before_the_calendar_is_refused(
    configure: Configure, reader_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFTERBELL_HISTORY_START", "1985-01-01")
    configure("XNYS", bars_until("XNYS", date(2014, 8, 29)))
    with pytest.raises(SettingsError, match=r"1985-01-01 for AFTERBELL_HISTORY_START.*1990-01-01 or later"):
        night()
    with pytest.raises(SettingsError, match=r"1985-01-01 for the start.*1990-01-01 or later"):
        backfill.plan("1985-01-01")
    assert seen(reader_dsn, "select count(*) from serving.ingest_runs") == [(0,)]
