"""Days without a bar, told apart: weekend, holiday, halt, a market that stood still, and a bar that is missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import date

import numpy as np
import pandas as pd
import psycopg2
import pytest
from psycopg2.extensions import connection as Connection
from psycopg2.extras import execute_values

from ml.equity import sessions
from tests.equity.panels import CALENDAR, bars_of, closes, random_bars
from tests.servers import WarehouseAddress
from tests.sql.seed import insert

GAPS = "select symbol, session::text, kind from serving.gaps order by symbol, session"


@pytest.fixture
def writer(warehouse: WarehouseAddress) -> Iterator[Connection]:
    with closing(psycopg2.connect(warehouse.dsn)) as connection:
        connection.autocommit = True
        insert(connection, "market.ingest_runs", {"ingest_id": 1, "as_of": closes(10)[-1].to_pydatetime()})
        yield connection


def give(writer: Connection, bars: pd.DataFrame, calendar: str, first: date, last: date) -> None:
    """BARS and the calendar's sessions of a span."""
    symbols = sorted(bars["symbol"].unique())
    with writer.cursor() as cursor:
        cursor.execute("select market.make_partitions('1d', %s, %s)", (bars["ts"].min(), bars["ts"].max()))
        execute_values(
            cursor,
            "insert into market.symbols (symbol_id, symbol) overriding system value values %s",
            list(enumerate(symbols, 1)),
        )
        rows = [
            ("1d", symbols.index(symbol) + 1, ts.to_pydatetime(), *[float(close)] * 4, 1000, "2011-03-01", 1)
            for symbol, ts, close in bars[["symbol", "ts", "close"]].itertuples(index=False)
        ]
        execute_values(cursor, "insert into market.bars values %s", rows)
        table = sessions.table(calendar, first, last)
        execute_values(cursor, "insert into market.sessions values %s", list(table.itertuples(index=False, name=None)))


def give_panel(writer: Connection, **rows: Sequence[float | None]) -> None:
    """Bars of the sessions Mon 2011-01-03, Tue 04, Wed 05, Thu 06, Fri 07, Mon 10 and on."""
    give(writer, bars_of(**rows), CALENDAR, date(2011, 1, 3), date(2011, 1, 31))


def refuse(writer: Connection, symbol: str, session: str, ohlcv: Sequence[float | None]) -> None:
    values = dict(zip(("open", "high", "low", "close", "volume"), ohlcv, strict=True))
    insert(writer, "market.quarantine", {"symbol": symbol, "session": session, **values, "reason": "a reason"})


def told(warehouse: WarehouseAddress, text: str = GAPS) -> list[tuple[str, str, str]]:
    with closing(psycopg2.connect(warehouse.reader_dsn)) as reader, reader.cursor() as cursor:
        cursor.execute(text)
        return cursor.fetchall()


def test_only_sessions_between_the_first_and_the_last_bar_are_gaps(
    writer: Connection, warehouse: WarehouseAddress
) -> None:
    give_panel(writer, A=[None, 1.0, None, None, 1.0, 1.0], B=[1.0, 1.0, None, None, None, None], C=[1.0] * 6)
    assert told(warehouse) == [("A", "2011-01-05", "missing"), ("A", "2011-01-06", "missing")]


def test_a_row_without_trading_is_the_evidence_of_a_halt(writer: Connection, warehouse: WarehouseAddress) -> None:
    give_panel(writer, A=[1.0, None, None, None, None, 1.0], B=[1.0, None, 1.0])
    refuse(writer, "A", "2011-01-04", [0, 0, 0, 10.0, 0])
    refuse(writer, "A", "2011-01-05", [None, None, None, 10.0, None])
    refuse(writer, "A", "2011-01-06", [10.0, 10.0, 10.0, 10.0, 0])
    refuse(writer, "A", "2011-01-07", [10.0, 9.0, 11.0, 10.0, 500])
    refuse(writer, "B", "2011-01-05", [0, 0, 0, 0, 0])
    assert told(warehouse) == [
        ("A", "2011-01-04", "halt"),
        ("A", "2011-01-05", "halt"),
        ("A", "2011-01-06", "halt"),
        ("A", "2011-01-07", "missing"),
        ("B", "2011-01-04", "missing"),
    ]


@pytest.mark.parametrize(
    ("absent", "there", "kind"), [(5, 0, "market"), (4, 0, "missing"), (19, 2, "market"), (18, 2, "missing")]
)
def test_a_session_on_which_nearly_nobody_traded_is_the_markets(
    writer: Connection, warehouse: WarehouseAddress, absent: int, there: int, kind: str
) -> None:
    """Fewer than a tenth of at least five that are expected; one that was not listed yet and one that left are not."""
    silent = {f"S{n:02}": [1.0, None, 1.0] for n in range(absent)}
    give_panel(writer, **silent, **{f"T{n}": [1.0] * 3 for n in range(there)}, Y=[None, None, 1.0], Z=[1.0, None, None])
    assert told(warehouse) == [(symbol, "2011-01-04", kind) for symbol in silent]


def test_a_halt_on_a_day_on_which_the_market_stood_still_is_told_as_the_halt(
    writer: Connection, warehouse: WarehouseAddress
) -> None:
    give_panel(writer, **{symbol: [1.0, None, None, 1.0] for symbol in "ABCDEF"})
    refuse(writer, "A", "2011-01-04", [0, 0, 0, 1.0, 0])
    kinds = {(symbol, day): kind for symbol, day, kind in told(warehouse)}
    assert kinds.pop(("A", "2011-01-04")) == "halt"
    assert set(kinds.values()) == {"market"}
    assert len(kinds) == 11


def test_bars_and_gaps_together_are_every_session_of_a_symbols_life(
    writer: Connection, warehouse: WarehouseAddress
) -> None:
    panel = random_bars(["A", "B", "C"], 40, seed=2)
    bars = panel[np.random.default_rng(3).random(len(panel)) > 0.4].reset_index(drop=True)
    give(writer, bars, CALENDAR, date(2011, 1, 3), date(2011, 3, 31))
    days = [str(day.date()) for day in closes(40).tz_localize(None).normalize()]
    absent = told(warehouse)
    for symbol, own in bars.groupby("symbol"):
        seen = [str(ts.date()) for ts in own["ts"]]
        lacking = [day for each, day, _ in absent if each == symbol]
        assert lacking
        assert sorted(seen + lacking) == [day for day in days if seen[0] <= day <= seen[-1]]


@pytest.mark.parametrize(
    ("calendar", "lost"),
    [("24/7", "2024-02-11"), ("XKRX", "2024-02-13"), ("XNZE", "2024-12-24"), ("XNYS", "2024-07-03")],
)
def test_a_gap_is_the_session_of_its_market(
    writer: Connection, warehouse: WarehouseAddress, calendar: str, lost: str
) -> None:
    """A Sunday of a market that never closes, the day after a holiday, and half-days."""
    day = pd.Timestamp(lost)
    first, last = (day - pd.Timedelta(days=9)).date(), (day + pd.Timedelta(days=9)).date()
    ends = sessions.closes(calendar, first, last)
    bars = pd.DataFrame({"symbol": "A", "ts": ends.to_numpy(), "close": 1.0})
    bars["ts"] = pd.DatetimeIndex(ends).as_unit("us")
    give(writer, bars[ends.index != day], calendar, first, last)
    assert told(warehouse) == [("A", lost, "missing")]


def test_days_off_are_weekends_and_holidays(writer: Connection, warehouse: WarehouseAddress) -> None:
    """New York, Seoul with its Saturdays of 1998, Tel Aviv that moved from Sundays to Fridays, and one without any."""
    for calendar, first, last in (
        ("XNYS", date(2013, 1, 2), date(2014, 1, 31)),
        ("XKRX", date(1998, 1, 3), date(1999, 12, 31)),
        ("XTAE", date(2025, 1, 1), date(2026, 12, 31)),
        ("24/7", date(2024, 1, 1), date(2024, 12, 31)),
    ):
        rows = list(sessions.table(calendar, first, last).itertuples(index=False, name=None))
        with writer.cursor() as cursor:
            execute_values(cursor, "insert into market.sessions values %s", rows)
    off = told(warehouse, "select calendar, day::text, kind from serving.days_off order by 1, 2")
    kinds = {(calendar, day): kind for calendar, day, kind in off}
    assert {calendar for calendar, _ in kinds} == {"XNYS", "XKRX", "XTAE"}
    assert [day for (calendar, day), kind in kinds.items() if calendar == "XNYS" and kind == "holiday"] == [
        "2013-01-21", "2013-02-18", "2013-03-29", "2013-05-27", "2013-07-04", "2013-09-02", "2013-11-28", "2013-12-25",
        "2014-01-01", "2014-01-20",
    ]  # fmt: skip
    assert kinds["XNYS", "2013-11-30"] == "weekend"
    assert ("XNYS", "2013-11-29") not in kinds
    assert kinds["XKRX", "1998-10-05"] == "holiday"  # Chuseok, a Monday
    assert kinds["XKRX", "1998-10-03"] == "holiday"  # a Saturday, when Seoul traded on Saturdays
    assert kinds["XKRX", "1999-10-02"] == "weekend"
    assert ("XKRX", "1998-10-10") not in kinds
    assert kinds["XTAE", "2025-01-03"] == "weekend"  # a Friday
    assert ("XTAE", "2025-01-05") not in kinds  # a Sunday
    assert kinds["XTAE", "2026-06-07"] == "weekend"
