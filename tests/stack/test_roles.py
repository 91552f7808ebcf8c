"""Who may enter which database, and what the reader is refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg2
import pytest
from psycopg2 import errors
from psycopg2.extensions import cursor as Cursor

from ml.stack.postgres import PostgresServer
from ml.stack.roles import AIRFLOW, MLFLOW, READER, WAREHOUSE, admin, make_database, make_roles


@contextmanager
def cursor_of(dsn: str) -> Iterator[Cursor]:
    with closing(psycopg2.connect(dsn)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            yield cursor


def test_the_reader_reads_a_view(reader_dsn: str) -> None:
    with cursor_of(reader_dsn) as cursor:
        cursor.execute("select count(*) from serving.latest_predictions")
        assert cursor.fetchone() == (0,)


@pytest.mark.parametrize(
    "statement",
    [
        "select * from lifecycle.predictions",
        "create table public.mine (x int)",
        "create schema mine",
        "create temporary table mine (x int)",
        "create role another",
        "set role afterbell",
        "copy (select 1) to program 'true'",
        "select pg_read_file('/etc/passwd')",
        "select rolpassword from pg_authid",
    ],
)
def test_the_reader_is_refused_everything_else_even_when_it_leaves_its_read_only_habit(
    reader_dsn: str, statement: str
) -> None:
    with cursor_of(reader_dsn) as cursor:
        cursor.execute("set default_transaction_read_only = off")
        with pytest.raises(errors.InsufficientPrivilege):
            cursor.execute(statement)


def test_the_reader_starts_read_only_with_a_time_limit(reader_dsn: str) -> None:
    with cursor_of(reader_dsn) as cursor:
        cursor.execute("show transaction_read_only")
        assert cursor.fetchone() == ("on",)
        cursor.execute("show statement_timeout")
        assert cursor.fetchone() == ("15s",)


@pytest.mark.parametrize("role", [AIRFLOW, MLFLOW, READER])
@pytest.mark.parametrize("database", ["postgres", "template1", "of_the_product"])
def test_only_the_owner_and_the_reader_enter_a_database(postgres: PostgresServer, role: str, database: str) -> None:
    make_database(postgres, "of_the_product", WAREHOUSE)
    if (role, database) == (READER, "of_the_product"):
        with cursor_of(postgres.dsn(database, role, role)) as cursor:
            cursor.execute("select current_user")
            assert cursor.fetchone() == (READER,)
        return
    with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
        psycopg2.connect(postgres.dsn(database, role, role))


def test_a_wrong_password_is_refused(postgres: PostgresServer) -> None:
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(postgres.dsn("postgres", READER, "wrong"))


def test_making_roles_and_databases_again_keeps_their_rows_and_takes_the_new_password(
    postgres: PostgresServer,
) -> None:
    make_database(postgres, "again", WAREHOUSE)
    with cursor_of(postgres.dsn("again", WAREHOUSE, WAREHOUSE)) as cursor:
        cursor.execute("create table kept (x int)")
    make_roles(postgres, {WAREHOUSE: "o'new\\"})
    make_database(postgres, "again", WAREHOUSE)
    with closing(psycopg2.connect(postgres.dsn("again"), user=WAREHOUSE, password="o'new\\")) as connection:
        connection.cursor().execute("select x from kept")
    make_roles(postgres, {WAREHOUSE: WAREHOUSE})


def test_what_a_database_was_prepared_for_is_noted_in_it(postgres: PostgresServer) -> None:
    make_database(postgres, "noted", WAREHOUSE)
    with postgres.superuser() as cursor:
        assert admin(cursor, "prepared_for", database="noted") is None
        admin(cursor, "note_prepared", database="noted", versions="airflow 'x'")
        assert admin(cursor, "prepared_for", database="noted") == "airflow 'x'"
