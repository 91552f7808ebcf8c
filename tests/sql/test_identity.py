"""The labels that SQL gives are those of Python, whatever the history of the tickers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pandas as pd
import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg2.extensions import connection as Connection
from psycopg2.extras import execute_values

from ml.equity.identity import label
from ml.frames import TICKERS
from tests.servers import WarehouseAddress

FIRST = pd.Timestamp("2010-01-20")
SYMBOLS = ("P", "Q", "R")
SPAN = st.tuples(st.sampled_from(SYMBOLS), st.integers(1, 3), st.integers(0, 40), st.sampled_from([1, 3, 9, 20, None]))


@pytest.fixture
def writer(warehouse: WarehouseAddress) -> Iterator[Connection]:
    with closing(psycopg2.connect(warehouse.dsn)) as connection:
        yield connection


def day(number: int) -> pd.Timestamp:
    return FIRST + pd.Timedelta(days=number)


def sound(drawn: list[tuple[str, int, int, int | None]]) -> list[tuple[str, int, pd.Timestamp, pd.Timestamp | None]]:
    """Those of the drawn intervals that give no ticker two owners and no instrument two tickers."""
    kept: list[tuple[str, int, int, int]] = []
    for symbol, instrument, start, length in drawn:
        end = 10_000 if length is None else start + length
        if not any((symbol == s or instrument == i) and start < e and f < end for s, i, f, e in kept):
            kept.append((symbol, instrument, start, end))
    return [(s, i, day(start), None if end == 10_000 else day(end)) for s, i, start, end in kept]


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(SPAN, max_size=7), st.integers(0, 60))
def test_every_ticker_has_the_same_label_in_sql(
    writer: Connection, drawn: list[tuple[str, int, int, int | None]], night: int
) -> None:
    rows = sound(drawn)
    known = TICKERS.cast(pd.DataFrame(rows, columns=list(TICKERS.columns)))
    every = [(symbol, day(number)) for symbol in SYMBOLS for number in range(night + 1)]
    frame = pd.DataFrame(every, columns=["symbol", "date"]).astype({"symbol": "str", "date": "datetime64[us]"})
    told = label(frame.assign(ticker=frame["symbol"]), known, "date", day(night))
    wanted = sorted((ticker, date.date(), shown) for shown, date, ticker in told.to_numpy())
    with writer.cursor() as cursor:
        cursor.execute(
            """
            insert into market.symbols (symbol_id, symbol) overriding system value values (1, 'P'), (2, 'Q'), (3, 'R');
            insert into market.instruments (instrument_id) overriding system value values (1), (2), (3);
            select set_config('afterbell.as_of', %s, true)
            """,
            (f"{day(night).date()} 21:00+00",),
        )
        if rows:
            spans = [
                (SYMBOLS.index(s) + 1, i, start.date(), end.date() if end else "infinity") for s, i, start, end in rows
            ]
            execute_values(
                cursor,
                "insert into market.tickers (symbol_id, instrument_id, valid_from, valid_to, known_at) values %s",
                [(*span, "2009-01-01") for span in spans],
            )
        cursor.execute(
            """
            select n.symbol, d.day::date, n.label
            from market.names n
            join generate_series(%s::date, %s::date, interval '1 day') d (day)
                on d.day >= n.valid_from and d.day < n.valid_to
            """,
            (FIRST.date(), day(night).date()),
        )
        shown = sorted(cursor.fetchall())
    writer.rollback()
    assert shown == wanted
