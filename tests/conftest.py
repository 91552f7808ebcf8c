"""Real servers for the tests: a throwaway Postgres and MLflow per worker, a whole stack on request."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from ml.io.migrations import migrate
from ml.settings import Settings, settings
from ml.stack import lifecycle, mlflow
from ml.stack.plan import Plan
from ml.stack.ports import LOOPBACK, free_port
from ml.stack.postgres import PostgresServer, settle
from ml.stack.roles import AIRFLOW, MLFLOW, READER, WAREHOUSE, make_database, make_roles
from ml.stack.waiting import wait_until

TEMPLATE = "afterbell_template"
# A server that may lose everything with the machine: two to three times faster.
CARELESS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass(frozen=True)
class Warehouse:
    """One migrated database: the product's own address and the reader's."""

    dsn: str
    reader_dsn: str


@pytest.fixture
def short_home() -> Iterator[Path]:
    """A directory with a short path (sockets live in homes), emptied afterwards."""
    home = Path(tempfile.mkdtemp(prefix="ab-"))
    yield home
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(autouse=True)
def _settings_of_the_shell_stay_out(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in os.environ:
        if name.startswith(("AFTERBELL_", "POLYGON_", "AIRFLOW__")):
            monkeypatch.delenv(name)
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A Postgres with the roles of the stack, for this worker alone."""
    home = Path(tempfile.mkdtemp(prefix="ab-"))
    server = PostgresServer(settle(home / "postgres"), free_port(), "superuser", CARELESS)
    server.create()
    server.start()
    make_roles(server, {role: role for role in (AIRFLOW, MLFLOW, WAREHOUSE, READER)})
    yield server
    server.stop()
    shutil.rmtree(home)


@pytest.fixture(scope="session")
def new_warehouse(postgres: PostgresServer) -> Callable[[], Warehouse]:
    """Makes one more fresh, migrated database: a copy of a template, which takes some hundredths of a second."""
    make_database(postgres, TEMPLATE, WAREHOUSE)
    migrate(postgres.dsn(TEMPLATE, WAREHOUSE, WAREHOUSE))

    def make() -> Warehouse:
        name = f"warehouse_{uuid4().hex}"
        make_database(postgres, name, WAREHOUSE, template=TEMPLATE)
        return Warehouse(postgres.dsn(name, WAREHOUSE, WAREHOUSE), postgres.dsn(name, READER, READER))

    return make


@pytest.fixture
def warehouse(new_warehouse: Callable[[], Warehouse]) -> Warehouse:
    """A database for one test. (They end with their server; dropping each would cost more than it frees.)"""
    return new_warehouse()


@pytest.fixture
def warehouse_dsn(warehouse: Warehouse) -> str:
    return warehouse.dsn


@pytest.fixture
def reader_dsn(warehouse: Warehouse) -> str:
    return warehouse.reader_dsn


@pytest.fixture(scope="session")
def mlflow_server(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real MLflow server. Its tests carry `pytest.mark.xdist_group("mlflow")`: one server for all."""
    make_database(postgres, MLFLOW, MLFLOW)
    address = postgres.dsn(MLFLOW, MLFLOW, MLFLOW).replace("postgresql:", "postgresql+psycopg2:")
    folder, port = tmp_path_factory.mktemp("mlflow"), free_port()
    uri = f"http://{LOOPBACK}:{port}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            mlflow.command(port, folder / "artifacts"),
            env={**os.environ, **mlflow.environment(address)},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    ready = wait_until(lambda: process.poll() is not None or mlflow.is_ready(uri), 120)
    if ready and process.poll() is None:
        yield uri
    os.killpg(process.pid, signal.SIGTERM)
    process.wait(30)
    assert ready, (folder / "log").read_text()


@pytest.fixture
def stack_settings(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, warehouse: Warehouse, tmp_path: Path
) -> Settings:
    """Settings with a fresh home and warehouse; with MLflow too in a test that asks for `mlflow_server`."""
    monkeypatch.setenv("AFTERBELL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AFTERBELL_WAREHOUSE_DSN", warehouse.dsn)
    monkeypatch.setenv("AFTERBELL_READER_DSN", warehouse.reader_dsn)
    if "mlflow_server" in request.fixturenames:
        monkeypatch.setenv("AFTERBELL_MLFLOW_URI", request.getfixturevalue("mlflow_server"))
    settings.cache_clear()
    return settings()


@pytest.fixture(scope="session")
def running_stack() -> Iterator[Plan]:
    """The whole stack, as `make run` starts it. Its tests carry `pytest.mark.xdist_group("airflow")`."""
    home = Path(tempfile.mkdtemp(prefix="ab-"))
    yield lifecycle.up(home)
    lifecycle.stop(home)
    shutil.rmtree(home)
