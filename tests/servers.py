"""Real servers for tests and benchmarks, as context managers: a throwaway Postgres with its roles, and MLflow on it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ml.io.migrations import migrate
from ml.stack import mlflow
from ml.stack.ports import LOOPBACK, free_port
from ml.stack.postgres import PostgresServer, settle
from ml.stack.roles import AIRFLOW, MLFLOW, READER, WAREHOUSE, make_database, make_roles
from ml.stack.waiting import wait_until

# A server that may lose everything with the machine: two to three times faster.
CARELESS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass(frozen=True)
class WarehouseAddress:
    """One migrated database: the product's own address and the reader's."""

    dsn: str
    reader_dsn: str


@contextmanager
def postgres_server(settings: Mapping[str, str]) -> Iterator[PostgresServer]:
    """A Postgres with the roles of the stack (each password is the role's name), gone afterwards."""
    home = Path(tempfile.mkdtemp(prefix="ab-"))
    server = PostgresServer(settle(home / "postgres"), free_port(), "superuser", settings)
    try:
        server.create()
        server.start()
        make_roles(server, {role: role for role in (AIRFLOW, MLFLOW, WAREHOUSE, READER)})
        yield server
    finally:
        server.stop()
        shutil.rmtree(home)


def migrated(server: PostgresServer, database: str) -> WarehouseAddress:
    """A database of the product's own, with all migrations and views."""
    make_database(server, database, WAREHOUSE)
    migrate(server.dsn(database, WAREHOUSE, WAREHOUSE))
    return addresses(server, database)


def addresses(server: PostgresServer, database: str) -> WarehouseAddress:
    """How the product and its readers reach a database."""
    return WarehouseAddress(server.dsn(database, WAREHOUSE, WAREHOUSE), server.dsn(database, READER, READER))


def mlflow_database(server: PostgresServer) -> str:
    """The address, as SQLAlchemy writes it, of a database for MLflow."""
    make_database(server, MLFLOW, MLFLOW)
    return server.dsn(MLFLOW, MLFLOW, MLFLOW).replace("postgresql:", "postgresql+psycopg2:")


@contextmanager
def mlflow_server_on(database: str, folder: Path) -> Iterator[str]:
    """The address of a real MLflow server over `database`, artifacts and log below `folder`."""
    port = free_port()
    uri = f"http://{LOOPBACK}:{port}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            mlflow.command(port, folder / "artifacts"),
            env={**os.environ, **mlflow.environment(database)},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        ready = wait_until(lambda: process.poll() is not None or mlflow.is_ready(uri), 120)
        assert ready, (folder / "log").read_text()
        assert process.poll() is None, (folder / "log").read_text()
        yield uri
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)
