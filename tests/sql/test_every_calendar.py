"""Every calendar by its code: it can be made, and Python and SQL tell the session of each of its closes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import date

import exchange_calendars
import pandas as pd
import psycopg2
import pytest
from psycopg2.extensions import cursor as Cursor

from ml.equity import sessions
from ml.frames import session_day
from tests.servers import WarehouseAddress

CODES = sorted(exchange_calendars.get_calendar_names(include_aliases=False))


@pytest.fixture
def reader(told: WarehouseAddress) -> Iterator[Cursor]:
    with closing(psycopg2.connect(told.reader_dsn)) as connection, connection.cursor() as cursor:
        yield cursor


@pytest.mark.parametrize("code", CODES)
def test_a_calendar_leads_from_sessions_to_closes_and_back(code: str, reader: Cursor) -> None:
    every = sessions.table(code, date(1990, 1, 1), date(2040, 1, 1))
    assert len(every) > 1000
    assert every["session"].is_monotonic_increasing
    assert every["closes_at"].is_monotonic_increasing
    assert every["closes_at"].is_unique
    assert (every["opens_at"] < every["closes_at"]).all()
    assert sessions.session_of(code, every["closes_at"]).equals(every["session"].rename("session"))
    assert sessions.sessions_to_closes(code, every["session"]).equals(every["closes_at"].rename("ts"))
    assert [session_day(close) for close in every["closes_at"]] == [day.date() for day in every["session"]]
    now = every["closes_at"].iloc[-20]
    assert sessions.parse_as_of(code, f"{every['session'].iloc[-20]:%Y-%m-%d}", now) == now
    assert wrong_in_sql(reader, every) == []


def wrong_in_sql(reader: Cursor, every: pd.DataFrame) -> list[tuple[str, str]]:
    """The closes of which SQL tells another session."""
    closes, days = every["closes_at"].dt.strftime("%Y-%m-%d %H:%M+00"), every["session"].dt.strftime("%Y-%m-%d")
    reader.execute(
        """
        select closed, serving.session_of(closed::timestamptz)::text
        from unnest(%s::text[], %s::date[]) x (closed, day)
        where serving.session_of(closed::timestamptz) <> day
        """,
        (closes.tolist(), days.tolist()),
    )
    return reader.fetchall()


def test_sql_tells_the_session_of_no_instant_and_of_any_instant(reader: Cursor) -> None:
    reader.execute(
        """
        select serving.session_of(ts)::text
        from unnest(array['infinity', '-infinity', '2024-03-11 00:00+00', '2024-03-11 00:00:00.000001+00', null]
            ::timestamptz[]) with ordinality x (ts, n)
        order by n
        """
    )
    assert [day for (day,) in reader.fetchall()] == ["infinity", "-infinity", "2024-03-10", "2024-03-11", None]
