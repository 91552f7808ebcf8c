"""Years of bars are made ahead, and leave for the archive and come back without losing or bending anything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection

from ml.errors import WarehouseUnavailable
from ml.io.queries import query
from ml.io.warehouse import Warehouse, partitions
from ml.io.warehouse.partitions import YearOfBars

BAR = "(timeframe, symbol_id, ts, open, high, low, close, volume, known_at, ingest_id)"
CLOSES = ("2011-12-30 21:00+00", "2012-01-03 21:00+00", "2012-12-31 21:00+00", "2013-01-02 21:00+00")
ALL = "select symbol, ts, close, known_at from serving.bars order by symbol, ts"


@pytest.fixture
def owner(warehouse_dsn: str) -> Iterator[Connection]:
    """Bars of one symbol around two turns of the year, and a revision of the one in the middle."""
    with closing(psycopg2.connect(warehouse_dsn)) as connection:
        connection.autocommit = True
        ask(connection, "insert into market.symbols (symbol) values ('AAA')")
        ask(connection, "select market.make_partitions('1d', '2011-06-01', '2013-06-01')")
        for price, ts in enumerate(CLOSES, start=10):
            values = ("1d", 1, ts, price, price, price, price, 5, "2014-01-01", 1)
            ask(connection, f"insert into market.bars {BAR} values %s", values)
        revised = ("1d", 1, CLOSES[1], 9, 9, 9, 9, 5, "2013-06-01", 1, "2014-01-01")
        ask(connection, f"insert into market.bar_revisions {BAR[:-1]}, superseded_at) values %s", revised)
        yield connection


def ask(connection: Connection, statement: str, values: tuple[object, ...] | None = None) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, None if values is None else (values,))
        return cursor.fetchall() if cursor.description else []


def test_next_years_partition_is_made_once_for_every_timeframe(owner: Connection, warehouse_dsn: str) -> None:
    ask(owner, "select market.make_partitions('1h', '2030-01-01', '2030-01-01')")
    warehouse = Warehouse(warehouse_dsn)
    span = datetime(2030, 12, 1, tzinfo=UTC), datetime(2031, 12, 1, tzinfo=UTC)
    made = partitions.make_ahead(warehouse, *span)
    assert made == [YearOfBars("1d", 2030), YearOfBars("1d", 2031), YearOfBars("1h", 2031)]
    assert partitions.make_ahead(warehouse, *span) == []


def test_a_new_year_waits_for_no_reader_and_is_like_those_before(owner: Connection, warehouse_dsn: str) -> None:
    with closing(psycopg2.connect(warehouse_dsn)) as reader:
        ask(reader, ALL)  # its transaction stays open, as pg_dump's does
        ask(owner, "set lock_timeout = '1s'")
        ask(owner, "select market.make_partitions('1d', '2001-01-01', '2002-12-31')")
        ask(owner, "select market.make_partitions('1h', '2001-01-01', '2001-12-31')")
    ask(owner, "create table market.usual partition of market.bars_1d for values from ('1999-01-01') to ('2000-01-01')")
    shape = (
        "select conrelid::regclass::text, contype, pg_get_constraintdef(oid) from pg_constraint"
        " where conrelid = 'market.{}'::regclass and contype <> 'n' order by 2, 3"
    )
    old, new, hourly = (ask(owner, shape.format(name)) for name in ("usual", "bars_1d_2001", "bars_1h_2001"))
    assert len(old) > 1
    assert [each[1:] for each in new] == [each[1:] for each in hourly] == [each[1:] for each in old]


def test_years_wholly_before_the_kept_instant_leave_and_the_year_of_the_instant_stays(
    owner: Connection, warehouse_dsn: str
) -> None:
    warehouse = Warehouse(warehouse_dsn)
    before = ask(owner, ALL)
    moved = partitions.detach_before(warehouse, datetime(2012, 12, 31, 23, tzinfo=UTC))
    assert moved[YearOfBars("1d", 2011)] == 1
    assert YearOfBars("1d", 2012) not in moved
    assert ask(owner, ALL) == before[1:]
    assert ask(owner, "select close from archive.bars_1d_2011") == [(10.0,)]


def test_a_year_leaves_with_its_revisions_and_comes_back_with_them(owner: Connection, warehouse_dsn: str) -> None:
    before = ask(owner, ALL), ask(owner, "select * from market.bar_revisions")
    partitions.detach_before(Warehouse(warehouse_dsn), datetime(2013, 1, 1, tzinfo=UTC))
    assert ask(owner, "select count(*) from market.bar_revisions") == [(0,)]
    assert ask(owner, "select close from archive.bar_revisions") == [(9.0,)]
    for year in (2011, 2012):
        ask(owner, f"select market.attach_bars('1d', {year})")
    assert (ask(owner, ALL), ask(owner, "select * from market.bar_revisions")) == before
    assert ask(owner, "select count(*) from archive.bar_revisions") == [(0,)]


def test_who_brings_bars_for_an_archived_year_finds_what_was_believed_of_it(
    owner: Connection, warehouse_dsn: str
) -> None:
    before = ask(owner, ALL)
    partitions.detach_before(Warehouse(warehouse_dsn), datetime(2013, 1, 1, tzinfo=UTC))
    assert len(ask(owner, ALL)) == 1
    ask(owner, "select market.make_partitions('1d', '2011-01-01', '2012-12-31')")
    assert ask(owner, ALL) == before


def test_readers_see_the_kept_years_and_nothing_of_the_archive(
    owner: Connection, warehouse_dsn: str, reader_dsn: str
) -> None:
    partitions.detach_before(Warehouse(warehouse_dsn), datetime(2013, 1, 1, tzinfo=UTC))
    with closing(psycopg2.connect(reader_dsn)) as reader:
        assert ask(reader, "select close from serving.bars") == [(13.0,)]
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            ask(reader, "select * from archive.bars_1d_2011")


def test_a_long_reader_is_not_waited_for_and_nothing_is_half_moved(
    owner: Connection, warehouse_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient = "set local lock_timeout = '100ms'"
    monkeypatch.setattr(
        "ml.io.warehouse.connection.query", lambda name: impatient if name == "partition_patience" else query(name)
    )
    before = ask(owner, ALL)
    with closing(psycopg2.connect(warehouse_dsn)) as reader:
        ask(reader, ALL)  # its transaction stays open
        with pytest.raises(WarehouseUnavailable, match="in use by somebody else"):
            partitions.detach_before(Warehouse(warehouse_dsn), datetime(2013, 1, 1, tzinfo=UTC))
    assert ask(owner, ALL) == before
