"""What the role afterbell_reader may do: SELECT the views of `serving`, call its functions, and nothing else.

Its habits (read-only, timeouts) are conveniences that a session can change, so the refusals are tried
by a reader who has changed them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest
from psycopg2 import errors, sql
from psycopg2.extensions import connection as Connection

from ml.settings import REPOSITORY
from ml.stack.postgres import PostgresServer
from ml.stack.roles import AIRFLOW, MLFLOW, READER, make_database
from tests.servers import WarehouseAddress

LAID = "\n".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "sql" / "serving").glob("*.sql"))
WRITING = ("insert", "update", "delete", "truncate", "references", "trigger", "maintain")
# A view over several tables refuses to be written before rights are asked for; that is refusal too.
NO_TARGET = (errors.ObjectNotInPrerequisiteState, errors.FeatureNotSupported, errors.WrongObjectType)


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
    laid = re.findall(r"^create or replace view serving\.(\w+) as$", LAID, flags=re.MULTILINE)
    assert sorted(laid) == [view.strings[1] for view in views]
    for view in views:
        assert run(reader, sql.SQL("select * from {} limit 1").format(view)), view


def test_the_reader_selects_nothing_else(owner: Connection, bold_reader: Connection) -> None:
    others = relations(owner, serving=False)
    schemas = {relation.strings[0] for relation in others}
    assert {"market", "lifecycle", "public"} <= schemas, "tables of the product and of yoyo are among them"
    for relation in others:
        with pytest.raises(errors.InsufficientPrivilege):
            run(bold_reader, sql.SQL("select * from {} limit 1").format(relation))


def functions(owner: Connection) -> list[tuple[str, str, int, bool, list[str] | None]]:
    """Every function of ours: schema, name, number of arguments, runs as its owner, its settings."""
    return run(  # type: ignore[return-value]
        owner,
        """
        select n.nspname::text, p.proname::text, p.pronargs::int, p.prosecdef, p.proconfig
        from pg_proc p
        join pg_namespace n on n.oid = p.pronamespace
        where n.nspname not in ('pg_catalog', 'information_schema')
        order by 1, 2
        """,
    )


def test_the_reader_calls_the_functions_of_serving(owner: Connection, reader: Connection) -> None:
    assert [name for schema, name, *_ in functions(owner) if schema == "serving"] == [
        "adjusted_bars",
        "bars_as_known",
        "session_of",
    ]
    assert len(run(reader, "select * from serving.adjusted_bars('AAPL', 'splits')")) == 4
    assert len(run(reader, "select * from serving.bars_as_known() where symbol = 'AAPL'")) == 4
    assert run(reader, "select * from serving.bars_as_known('2000-01-01')") == []


def test_the_reader_calls_no_other_function_by_any_path(owner: Connection, bold_reader: Connection) -> None:
    inner = [function for function in functions(owner) if function[0] != "serving"]
    assert {"session_of", "make_partitions", "detach_bars", "bars_as_known"} <= {name for _, name, *_ in inner}
    for schema, name, arguments, *_ in inner:
        call = sql.SQL("select {}({})").format(sql.Identifier(schema, name), sql.SQL(", ").join([sql.NULL] * arguments))
        with pytest.raises(errors.InsufficientPrivilege, match=f"schema {schema}"):
            run(bold_reader, call)
    run(bold_reader, "set search_path = market, archive, lifecycle")
    for text in ("select session_of(now())", "select * from bars", "select make_partitions('1d', now(), now())"):
        with pytest.raises((errors.UndefinedFunction, errors.UndefinedTable)):
            run(bold_reader, text)


def test_a_function_that_runs_as_its_owner_takes_no_name_from_its_caller(owner: Connection) -> None:
    of_the_owner = [(schema, settings) for schema, _, _, as_owner, settings in functions(owner) if as_owner]
    assert of_the_owner == [("serving", ['search_path=""'])] * 3


def test_settings_of_the_reader_show_the_past_and_nothing_else(owner: Connection, bold_reader: Connection) -> None:
    everything = "select symbol, ts, raw_close from serving.bars_total_return order by 1, 2"
    now = run(bold_reader, everything)
    run(bold_reader, "set afterbell.known_at = '2024-04-30'")
    past = run(bold_reader, everything)
    assert [row[2] for row in now if row not in past] == [101.0]
    assert [row[2] for row in past if row not in now] == [103.0]
    run(bold_reader, "set afterbell.known_at = '2024-04-30''); delete from market.bars; --'")
    with pytest.raises(errors.InvalidDatetimeFormat):
        run(bold_reader, everything)
    assert run(owner, "select count(*) from market.bars") == [(8,)]


def test_the_reader_writes_to_no_view(owner: Connection, bold_reader: Connection) -> None:
    for view in relations(owner, serving=True):
        ((column,),) = run(
            owner, sql.SQL("select attname from pg_attribute where attrelid = {}::regclass and attnum = 2").format(
                sql.Literal(".".join(view.strings))
            )
        )  # fmt: skip
        name = sql.Identifier(str(column))
        for text in (
            "delete from {0}",
            "update {0} set {1} = {1}",
            "insert into {0} ({1}) select {1} from {0}",
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
        "select market.make_partitions('1d', '2024-01-01', '2024-01-02')",
        "select market.detach_bars('1d', 2024)",
        "select * from market.bars_as_known('1d', now(), now())",
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
