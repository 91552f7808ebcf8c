"""A warehouse that is gone when its user is: for the evaluation, for tests and for benchmarks."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ml.errors import StackError
from ml.io.migrations import migrate
from ml.settings import REPOSITORY
from ml.stack.ports import free_port
from ml.stack.postgres import PostgresServer, settle
from ml.stack.roles import AIRFLOW, MLFLOW, READER, WAREHOUSE, make_database, make_roles

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
        server.stop("immediate")
        shutil.rmtree(home)


def migrated(server: PostgresServer, database: str) -> WarehouseAddress:
    """A database of the product's own, with all migrations and views."""
    make_database(server, database, WAREHOUSE)
    migrate(server.dsn(database, WAREHOUSE, WAREHOUSE))
    return addresses(server, database)


def addresses(server: PostgresServer, database: str) -> WarehouseAddress:
    """How the product and its readers reach a database."""
    return WarehouseAddress(server.dsn(database, WAREHOUSE, WAREHOUSE), server.dsn(database, READER, READER))


@dataclass(frozen=True)
class Installation:
    """A store and a warehouse without anything in them. environment: of the processes that work on both."""

    store: Path
    environment: Mapping[str, str]

    def step(self, *arguments: str) -> dict[str, str]:
        """The keys that `python -m ml` prints, given these arguments; StackError when it fails."""
        done = subprocess.run(
            [sys.executable, "-m", "ml", *arguments],
            cwd=REPOSITORY,
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise StackError(f"the step {arguments[0]} failing", "its keys", "Its own message is above; mend the cause")
        keys: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
        return keys


@contextmanager
def installation(changes: Mapping[str, str]) -> Iterator[Installation]:
    """One with this process's settings and those changes, gone afterwards; a stack that runs is not touched."""
    with tempfile.TemporaryDirectory(prefix="ab-") as folder, postgres_server(CARELESS) as server:
        address, store = migrated(server, WAREHOUSE), Path(folder) / "store"
        own = {
            "AFTERBELL_HOME": folder,
            "AFTERBELL_STORE": str(store),
            "AFTERBELL_WAREHOUSE_DSN": address.dsn,
            "AFTERBELL_READER_DSN": address.reader_dsn,
        }
        yield Installation(store, {**os.environ, **changes, **own})
