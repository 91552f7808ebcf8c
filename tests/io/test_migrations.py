"""Migrations may be run twice, by two at once, and after a kill at any point."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from uuid import uuid4

import psycopg2
import pytest

from ml.io.migrations import migrate
from ml.stack.postgres import PostgresServer
from ml.stack.roles import WAREHOUSE, make_database

FIRST = "0001.the-first-house"


@pytest.fixture
def empty(postgres: PostgresServer) -> str:
    """The address of a database that nobody has migrated yet."""
    name = f"empty_{uuid4().hex}"
    make_database(postgres, name, WAREHOUSE)
    return postgres.dsn(name, WAREHOUSE, WAREHOUSE)


def execute(dsn: str, statement: str) -> None:
    with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement)


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
