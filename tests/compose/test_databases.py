"""The script that makes the roles and databases of docker-compose.yaml, on a real server."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
import yaml
from psycopg2 import errors

from ml.io.migrations import migrate
from ml.io.postgres_programs import shipped_binaries
from ml.settings import REPOSITORY
from ml.stack import postgres as stack_postgres
from ml.stack.ports import free_port
from ml.stack.roles import READER, make_roles
from tests.compose.file import TEXT, Compose, environment_of, strings

ROLES = REPOSITORY / "sql" / "docker" / "10_roles.sql"


@pytest.fixture
def fresh_server(tmp_path: Path) -> Iterator[stack_postgres.PostgresServer]:
    place = stack_postgres.settle(tmp_path / "postgres")
    server = stack_postgres.PostgresServer(place, free_port(), "superuser", {"fsync": "off"})
    server.create()
    server.start()
    yield server
    server.stop()


def run_roles(server: stack_postgres.PostgresServer, passwords: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """The script as the Postgres image's entry point runs it."""
    psql = shipped_binaries() / "psql"
    command = [str(psql), server.dsn(), "--no-psqlrc", "--set", "ON_ERROR_STOP=1", "--file", str(ROLES)]
    environment = {**os.environ, **passwords}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_roles_script_finds_what_it_includes_in_the_container_too(compose: Compose) -> None:
    mounted = {
        inside: source for source, inside, _ in (v.split(":") for v in compose["services"]["postgres"]["volumes"][1:])
    }
    (included,) = re.findall(r"^\\ir (.+)$", ROLES.read_text(encoding="utf-8"), flags=re.MULTILINE)
    script = next(Path(inside) for inside, source in mounted.items() if (REPOSITORY / source) == ROLES.parent)
    inside = Path(os.path.normpath(script / included))
    assert (REPOSITORY / mounted[str(inside.parent)] / inside.name).read_text() == (ROLES.parent / included).read_text()


def test_the_roles_script_makes_what_the_services_log_in_to(
    compose: Compose, fresh_server: stack_postgres.PostgresServer
) -> None:
    given = {n: f"pw-{n}" for n in environment_of(compose["services"]["postgres"]) if n.startswith("AFTERBELL_")}
    assert run_roles(fresh_server, {}).returncode != 0, "a missing password must stop the start"
    with fresh_server.superuser() as cursor:
        cursor.execute("select rolname from pg_roles where rolname like 'a%' or rolname = 'mlflow'")
        assert cursor.fetchall() == []
    done = run_roles(fresh_server, given)
    assert done.returncode == 0, done.stderr
    addresses = set()
    for service in yaml.safe_load(TEXT)["services"].values():
        for text in strings(service):
            addresses |= set(re.findall(r"://(\w+):\$\{(\w+):\?[^}]*\}@postgres:5432/(\w+)", text))
    assert {(user, database) for user, _, database in addresses} == {
        ("airflow", "airflow"),
        ("mlflow", "mlflow"),
        ("afterbell", "afterbell"),
        ("afterbell_reader", "afterbell"),
    }
    for user, variable, database in addresses:
        psycopg2.connect(fresh_server.dsn(database, user, given[variable])).close()


def test_after_the_roles_script_the_reader_is_as_in_the_embedded_stack(
    compose: Compose, fresh_server: stack_postgres.PostgresServer
) -> None:
    given = {n: f"pw-{n}" for n in environment_of(compose["services"]["postgres"]) if n.startswith("AFTERBELL_")}
    assert run_roles(fresh_server, given).returncode == 0
    assert migrate(fresh_server.dsn("afterbell", "afterbell", given["AFTERBELL_STACK_WAREHOUSE_PASSWORD"]))
    dsn = fresh_server.dsn("afterbell", READER, given["AFTERBELL_STACK_READER_PASSWORD"])
    with closing(psycopg2.connect(dsn)) as reader, reader.cursor() as cursor:
        cursor.execute("select count(*) from serving.latest_predictions")
        assert cursor.fetchall() == [(0,)]
        with pytest.raises(errors.InsufficientPrivilege):
            cursor.execute("select pg_advisory_lock(1)")
    for database in ("airflow", "mlflow", "postgres", "template1"):
        with pytest.raises(psycopg2.OperationalError, match="permission denied"):
            psycopg2.connect(fresh_server.dsn(database, READER, given["AFTERBELL_STACK_READER_PASSWORD"]))
    assert habits(fresh_server) == habits_of_the_embedded_stack(fresh_server)


def habits(server: stack_postgres.PostgresServer) -> list[str]:
    with server.superuser() as cursor:
        cursor.execute("select rolconfig from pg_roles where rolname = %s", (READER,))
        ((found,),) = cursor.fetchall()
        return sorted(found)


def habits_of_the_embedded_stack(server: stack_postgres.PostgresServer) -> list[str]:
    with server.superuser() as cursor:
        cursor.execute(f"alter role {READER} reset all")
    make_roles(server, {READER: "another"})
    return habits(server)
