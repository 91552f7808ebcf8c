"""Real servers for the tests: a throwaway Postgres and MLflow per worker, a whole stack on request."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import hypothesis
import psycopg2
import pytest

from ml.settings import Settings, settings
from ml.stack.postgres import PostgresServer
from ml.stack.roles import WAREHOUSE, make_database
from tests.servers import (
    CARELESS,
    WarehouseAddress,
    addresses,
    migrated,
    mlflow_database,
    mlflow_server_on,
    postgres_server,
)
from tests.sql.story import story

TEMPLATE = "afterbell_template"
# More workers than cores: threads that spin while they wait would take the cores from those that work.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# Nor do properties hold quicker than the machine is free.
hypothesis.settings.register_profile("house", deadline=None)
hypothesis.settings.load_profile("house")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share a server, one after the other, begin first: the longest chain decides when all have ended."""
    items.sort(key=lambda item: item.get_closest_marker("xdist_group") is None)


@pytest.fixture
def short_home() -> Iterator[Path]:
    """A directory with a short path (sockets live in homes), emptied afterwards."""
    home = Path(tempfile.mkdtemp(prefix="ab-"))
    yield home
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("a small disk can only be mounted by root")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


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
    with postgres_server(CARELESS) as server:
        yield server


@pytest.fixture(scope="session")
def new_warehouse(postgres: PostgresServer) -> Callable[[], WarehouseAddress]:
    """Makes one more fresh, migrated database: a copy of a template, which takes some hundredths of a second."""
    migrated(postgres, TEMPLATE)

    def make() -> WarehouseAddress:
        name = f"warehouse_{uuid4().hex}"
        make_database(postgres, name, WAREHOUSE, template=TEMPLATE)
        return addresses(postgres, name)

    return make


@pytest.fixture
def warehouse(new_warehouse: Callable[[], WarehouseAddress]) -> WarehouseAddress:
    """A database for one test. (They end with their server; dropping each would cost more than it frees.)"""
    return new_warehouse()


@pytest.fixture
def warehouse_dsn(warehouse: WarehouseAddress) -> str:
    return warehouse.dsn


@pytest.fixture
def reader_dsn(warehouse: WarehouseAddress) -> str:
    return warehouse.reader_dsn


@pytest.fixture(scope="session")
def told(new_warehouse: Callable[[], WarehouseAddress]) -> WarehouseAddress:
    """A warehouse that holds the story of tests/sql/story.py, a row in every view; its tests only read it."""
    warehouse = new_warehouse()
    with closing(psycopg2.connect(warehouse.dsn)) as writer, writer:
        story(writer)
    return warehouse


@pytest.fixture(scope="session")
def mlflow_server(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real MLflow server. Its tests carry `pytest.mark.xdist_group("mlflow")`: one server for all."""
    with mlflow_server_on(mlflow_database(postgres), tmp_path_factory.mktemp("mlflow")) as uri:
        yield uri


@pytest.fixture
def stack_settings(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, warehouse: WarehouseAddress, tmp_path: Path
) -> Settings:
    """Settings with a fresh home and warehouse; with MLflow too in a test that asks for `mlflow_server`."""
    monkeypatch.setenv("AFTERBELL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AFTERBELL_WAREHOUSE_DSN", warehouse.dsn)
    monkeypatch.setenv("AFTERBELL_READER_DSN", warehouse.reader_dsn)
    if "mlflow_server" in request.fixturenames:
        monkeypatch.setenv("AFTERBELL_MLFLOW_URI", request.getfixturevalue("mlflow_server"))
    settings.cache_clear()
    return settings()
