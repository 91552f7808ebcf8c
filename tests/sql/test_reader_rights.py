"""What the role afterbell_reader may do: SELECT the views of `serving`, and nothing else.

Its habits (read-only, timeouts) are conveniences that a session can change, so the refusals are tried
by a reader who has changed them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

import psycopg2
import pytest
from psycopg2 import errors, sql
from psycopg2.extensions import connection as Connection

from ml.stack.postgres import PostgresServer
from ml.stack.roles import AIRFLOW, MLFLOW, READER, make_database
from tests.servers import WarehouseAddress
from tests.sql.seed import story

WRITING = ("insert", "update", "delete", "truncate", "references", "trigger", "maintain")
# A view over several tables refuses to be written before rights are asked for; that is refusal too.
NO_TARGET = (errors.ObjectNotInPrerequisiteState, errors.FeatureNotSupported, errors.WrongObjectType)


@pytest.fixture(scope="module")
def told(new_warehouse: Callable[[], WarehouseAddress]) -> WarehouseAddress:
    """A warehouse with a row in every view; nothing that is tried here may change it."""
    warehouse = new_warehouse()
    with closing(psycopg2.connect(warehouse.dsn)) as writer, writer:
        story(writer)
    return warehouse


@pytest.fixture
def owner(told: WarehouseAddress) -> Iterator[Connection]:
    with closing(psycopg2.connect(told.dsn)) as connection:
        connection.autocommit = True
        yield connection


@pytest.fixture
def reader(told: WarehouseAddress) -> Iterator[Connection]:
    """A reader's session as it comes."""
    with closing(psycopg2.connect(told.reader_dsn)) as connection:
        connection.autocommit = True
        yield connection


@pytest.fixture
def bold_reader(reader: Connection) -> Connection:
    """A reader who has switched the read-only habit off."""
    run(reader, "set default_transaction_read_only = off")
    return reader


def run(connection: Connection, statement: str | sql.Composable) -> list[tuple[object, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def relations(owner: Connection, serving: bool) -> list[sql.Identifier]:
    """The views of `serving`, or every other relation of the database that is not Postgres's own."""
    found = run(
        owner,
        """
        select n.nspname, c.relname
        from pg_class c
        join pg_namespace n on n.oid = c.relnamespace
        where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
            and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
        order by 1, 2
        """,
    )
    return [sql.Identifier(str(schema), str(name)) for schema, name in found if (schema == "serving") == serving]


def test_the_reader_selects_every_view(owner: Connection, reader: Connection) -> None:
    views = relations(owner, serving=True)
    assert len(views) == 9
    for view in views:
        assert run(reader, sql.SQL("select * from {} limit 1").format(view)), view


def test_the_reader_selects_nothing_else(owner: Connection, bold_reader: Connection) -> None:
    others = relations(owner, serving=False)
    schemas = {relation.strings[0] for relation in others}
    assert {"market", "lifecycle", "public"} <= schemas, "tables of the product and of yoyo are among them"
    for relation in others:
        with pytest.raises(errors.InsufficientPrivilege):
            run(bold_reader, sql.SQL("select * from {} limit 1").format(relation))


def test_the_reader_writes_to_no_view(owner: Connection, bold_reader: Connection) -> None:
    for view in relations(owner, serving=True):
        ((column,),) = run(
            owner, sql.SQL("select attname from pg_attribute where attrelid = {}::regclass and attnum = 1").format(
                sql.Literal(".".join(view.strings))
            )
        )  # fmt: skip
        name = sql.Identifier(str(column))
        for text in (
            "delete from {0}",
            "update {0} set {1} = {1}",
            "insert into {0} select * from {0}",
            "truncate {0}",
        ):
            with pytest.raises((errors.InsufficientPrivilege, *NO_TARGET)):
                run(bold_reader, sql.SQL(text).format(view, name))


def test_the_reader_holds_no_right_but_select(owner: Connection) -> None:
    for serving in (True, False):
        for relation in relations(owner, serving):
            kind = run(owner, sql.SQL("select relkind from pg_class where oid = {}::regclass").format(quoted(relation)))
            if kind == [("S",)]:
                continue
            for right in WRITING if serving else ("select", *WRITING):
                asked = sql.SQL("select has_table_privilege({}, {}, {})")
                held = run(owner, asked.format(sql.Literal(READER), quoted(relation), sql.Literal(right)))
                assert held == [(False,)], (relation, right)


def quoted(relation: sql.Identifier) -> sql.Composable:
    return sql.Literal(".".join(f'"{part}"' for part in relation.strings))


@pytest.mark.parametrize(
    "statement",
    [
        "create table mine (x int)",
        "create table public.mine (x int)",
        "create table market.mine (x int)",
        "create temp table mine (x int)",
        "create schema mine",
        "create view serving.mine as select 1",
        "create function serving.mine() returns int language sql as 'select 1'",
        "create function public.mine() returns int language sql as 'select 1'",
        "create extension vector",
        "create role friend",
        "create database friend",
        "alter view serving.bars rename to tabs",
        "alter view serving.bars set (security_barrier)",
        "create or replace view serving.actions as select 1 as symbol",
        "drop view serving.bars",
        "drop table market.bars",
        "alter role afterbell_reader superuser",
        "alter role afterbell_reader createdb",
        "alter role afterbell password 'mine'",
        "alter system set work_mem = '1GB'",
        "set role afterbell",
        "set role postgres",
        "set session authorization afterbell",
        "grant select on market.bars to afterbell_reader",
        "begin; lock table serving.bars in access exclusive mode",
        "select nextval('market.ingest_runs_ingest_id_seq')",
        "select pg_read_file('/etc/passwd')",
        "select pg_ls_dir('.')",
        "select pg_reload_conf()",
        "select lo_import('/etc/passwd')",
        "copy serving.bars to '/tmp/bars'",
        "copy serving.bars to program 'cat'",
        "select * from pg_authid",
        "select lo_create(0)",
        "select lo_from_bytea(0, 'mine')",
        "select pg_logical_emit_message(false, 'mine', 'mine')",
        "select pg_advisory_lock(hashtext('publication:equity'))",
        "select pg_try_advisory_xact_lock(1)",
        "do language plpgsql $$ begin delete from market.bars; end $$",
    ],
)
def test_the_reader_is_refused(bold_reader: Connection, statement: str) -> None:
    with pytest.raises(errors.InsufficientPrivilege):
        run(bold_reader, statement)


def test_the_reader_enters_no_other_database(postgres: PostgresServer) -> None:
    for database in (AIRFLOW, MLFLOW):
        make_database(postgres, database, database)
    for database in ("postgres", "template1", AIRFLOW, MLFLOW):
        with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
            psycopg2.connect(postgres.dsn(database, READER, READER))


def test_a_reader_as_he_comes_cannot_write_even_by_mistake(reader: Connection) -> None:
    with pytest.raises(errors.ReadOnlySqlTransaction):
        run(reader, "create temp table mine (x int)")


def test_a_long_statement_is_cut(reader: Connection) -> None:
    assert run(reader, "show statement_timeout") == [("15s",)]
    run(reader, "set statement_timeout = '50ms'")
    with pytest.raises(errors.QueryCanceled):
        run(reader, "select pg_sleep(5)")
