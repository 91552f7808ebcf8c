"""Migrations may be run twice, by two at once, after a kill at any point, and in a house that is lived in."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any
from uuid import uuid4

import psycopg2
import pytest
import yoyo

from ml.io.migrations import migrate
from ml.io.queries import SQL
from ml.stack.postgres import PostgresServer
from ml.stack.roles import WAREHOUSE, make_database

Row = tuple[Any, ...]

NAMES = sorted(path.stem for path in (SQL / "migrations").glob("*.sql"))
FIRST = NAMES[0]

AT_FIRST = """
    insert into market.ingest_runs (
        domain, provider, source, as_of, window_start, window_end, received_rows, landing_key, received_digest,
        requested_at, status, known_at, inserted_rows
    )
    values
        ('equity', 'files', 'a', '2023-12-29 21:00Z', '2023-12-28', '2023-12-29', 5, 'landing/1', 'd1',
         '2023-12-29 22:00Z', 'accepted', '2023-12-29 22:05Z', 5),
        ('equity', 'files', 'a', '2024-01-02 21:00Z', '2023-12-28', '2024-01-02', 7, 'landing/2', 'd2',
         '2024-01-02 22:00Z', 'accepted', '2024-01-02 22:05Z', 1),
        ('equity', 'files', 'a', '2024-01-03 21:00Z', '2023-12-28', '2024-01-03', 9, 'landing/3', 'd3',
         '2024-01-03 22:00Z', 'failed', null, null),
        ('equity', 'files', 'a', '2024-01-04 21:00Z', '2023-12-28', '2024-01-04', 2, 'landing/4', 'd4',
         '2024-01-04 22:00Z', 'landed', null, null);
    insert into market.bars values
        ('1d', 'IBM', '2023-12-29 21:00Z', 1, 2, 0.5, 1.5, 100, '2023-12-29 22:05Z', 1),
        ('1d', 'IBM', '2024-01-02 21:00Z', 1, 2, 0.5, 1.6, 0, '2024-01-02 22:05Z', 2),
        ('1d', 'AAPL', '2023-12-29 21:00Z', 10, 20, 5, 16, 1000, '2024-01-02 22:05Z', 2);
    insert into market.bar_revisions values
        ('1d', 'AAPL', '2023-12-29 21:00Z', 10, 20, 5, 15, 1000, '2023-12-29 22:05Z', 1, '2024-01-02 22:05Z');
    insert into market.actions values
        ('IBM', '2024-01-02', 'split', 3, '2023-12-29 22:05Z', '2024-01-02 22:05Z', 1),
        ('IBM', '2024-01-02', 'split', 2, '2024-01-02 22:05Z', null, 2);
    insert into market.quarantine values
        ('IBM', '2023-12-30', 1, 2, 0.5, 1.5, 100, 'no such session', 1, 2),
        (null, null, null, null, null, null, null, 'missing symbol', 3, 3);
    insert into market.check_results (
        ingest_id, suite, check_name, severity, passed, observed, expected, unexpected_rows
    )
    values (3, 'received', 'keys are unique', 'fail', false, '1 row', '0 rows', 1);
    create view serving.bars as
    select symbol, timeframe, ts, open, high, low, close, volume, known_at from market.bars;
"""
"""The first house with two nights in it, one that was stopped and one that only landed."""

BEFORE = {
    "bars": "select symbol, timeframe, ts, open, high, low, close, volume, known_at from serving.bars order by 1, 3",
    "deliveries": """
        select ingest_id, domain, provider, source, as_of, window_start, window_end, received_rows, received_digest,
            requested_at, status, known_at, inserted_rows
        from market.ingest_runs order by 1
    """,
    "actions": "select * from market.actions order by 1, 2, known_at",
    "checks": "select * from market.check_results",
    "quarantine": """
        select symbol, session, open, high, low, close, volume, reason, first_ingest_id, last_ingest_id
        from market.quarantine order by reason
    """,
}
"""What has the same answer before and after."""


@pytest.fixture
def empty(postgres: PostgresServer) -> str:
    """The address of a database that nobody has migrated yet."""
    name = f"empty_{uuid4().hex}"
    make_database(postgres, name, WAREHOUSE)
    return postgres.dsn(name, WAREHOUSE, WAREHOUSE)


def execute(dsn: str, statement: str) -> list[Row]:
    with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("set time zone utc")
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def apply(dsn: str, names: Sequence[str]) -> None:
    """These migrations, and no view."""
    backend = yoyo.get_backend(dsn)
    with backend.lock():
        backend.apply_migrations(yoyo.read_migrations(str(SQL / "migrations")).filter(lambda m: m.id in names))
    backend.connection.close()


@pytest.fixture
def first_house(empty: str) -> str:
    """The address of a database at the first migration, lived in."""
    apply(empty, [FIRST])
    execute(empty, AT_FIRST)
    return empty


def answers(dsn: str) -> dict[str, list[Row]]:
    return {name: execute(dsn, statement) for name, statement in BEFORE.items()}


def test_a_second_time_applies_nothing(empty: str) -> None:
    assert FIRST in migrate(empty)
    assert migrate(empty) == []


def test_two_at_once_apply_each_migration_once(empty: str) -> None:
    with ThreadPoolExecutor(2) as both:
        applied = [name for names in both.map(migrate, [empty, empty]) for name in names]
    assert applied.count(FIRST) == 1


def test_a_killed_migration_leaves_no_lock_behind(empty: str) -> None:
    migrate(empty)
    execute(empty, "insert into yoyo_lock (locked, pid) values (1, 4711)")
    execute(empty, "delete from _yoyo_migration")  # killed after applying, before marking it applied
    assert FIRST in migrate(empty)
    assert migrate(empty) == []


def test_a_lived_in_first_house_is_carried_over_without_losing_a_row(first_house: str) -> None:
    before = answers(first_house)
    assert [len(rows) for rows in before.values()] == [3, 4, 2, 1, 2]
    assert migrate(first_house) == NAMES[1:]
    assert answers(first_house) == before
    assert execute(
        first_house,
        """
        select s.symbol, r.timeframe, r.ts::text, r.open, r.high, r.low, r.close, r.volume, r.known_at::text,
            r.ingest_id, r.superseded_at::text
        from market.bar_revisions r join market.symbols s using (symbol_id)
        """,
    ) == [
        ("AAPL", "1d", "2023-12-29 21:00:00+00", 10.0, 20.0, 5.0, 15.0, 1000.0, "2023-12-29 22:05:00+00", 1,
         "2024-01-02 22:05:00+00")
    ]  # fmt: skip
    assert execute(first_house, "select distinct kind, attempt, timeframe, symbols from market.ingest_runs") == [
        ("night", None, "1d", None)
    ]
    assert execute(
        first_house, "select ingest_id, part, store_key, received_rows, digest from market.landed_parts order by 1"
    ) == [(1, "whole", "landing/1", 5, "d1"), (2, "whole", "landing/2", 7, "d2"), (3, "whole", "landing/3", 9, "d3"),
          (4, "whole", "landing/4", 2, "d4")]  # fmt: skip
    assert execute(first_house, "select reason, state from serving.quarantine order by 1") == [
        ("missing symbol", "open"),
        ("no such session", "open"),
    ]


def test_bars_of_before_lie_in_their_years_each_ticker_with_an_instrument_of_its_own(first_house: str) -> None:
    migrate(first_house)
    assert execute(first_house, "select tableoid::regclass::text, count(*) from market.bars group by 1 order by 1") == [
        ("market.bars_1d_2023", 2),
        ("market.bars_1d_2024", 1),
    ]
    tickers = execute(
        first_house,
        """
        select s.symbol, t.valid_from::text, t.valid_to::text, t.known_at::text, t.instrument_id
        from market.tickers t join market.symbols s using (symbol_id) order by 1
        """,
    )
    since = "2023-12-29 22:05:00+00"
    assert [row[:4] for row in tickers] == [
        ("AAPL", "-infinity", "infinity", since),
        ("IBM", "-infinity", "infinity", since),
    ]
    assert len({row[4] for row in tickers}) == 2


def test_a_night_before_the_migration_is_still_seen_as_it_was(first_house: str) -> None:
    migrate(first_house)
    then = "select symbol, close from serving.bars_as_known('2024-01-01', '2023-12-30') order by 1"
    assert execute(first_house, then) == [("AAPL", 15.0), ("IBM", 1.5)]
    assert execute(first_house, then.replace("2024-01-01", "2024-01-03")) == [("AAPL", 16.0), ("IBM", 1.5)]


@pytest.mark.parametrize("name", NAMES[1:])
def test_a_kill_before_a_migration_was_marked_loses_no_row(first_house: str, name: str) -> None:
    before = answers(first_house)
    apply(first_house, NAMES[1 : NAMES.index(name) + 1])
    execute(first_house, f"delete from _yoyo_migration where migration_id = '{name}'")
    assert migrate(first_house) == NAMES[NAMES.index(name) :]
    assert answers(first_house) == before
