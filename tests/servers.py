"""Real servers for tests and benchmarks, as context managers: a throwaway Postgres with its roles, and MLflow on it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ml.stack import mlflow
from ml.stack.ports import LOOPBACK, free_port
from ml.stack.postgres import PostgresServer
from ml.stack.roles import MLFLOW, make_database
from ml.stack.throwaway import CARELESS, WarehouseAddress, addresses, migrated, postgres_server
from ml.stack.waiting import wait_until

__all__ = [
    "CARELESS",
    "WarehouseAddress",
    "addresses",
    "migrated",
    "mlflow_database",
    "mlflow_server_on",
    "postgres_server",
]


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
