"""The shipped psql, as the reader."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

from psycopg2.extensions import make_dsn, parse_dsn

from ml.io.postgres_programs import shipped_binaries
from ml.settings import REPOSITORY

PRINT_PREDICTIONS = REPOSITORY / "sql" / "queries" / "print_latest_predictions.sql"


def psql(dsn: str, query: str | None) -> int:
    """Open psql, or answer one query as CSV without header; psql's exit status."""
    answer = ["--csv", "--tuples-only", "-v", "ON_ERROR_STOP=1", "-c", query] if query else []
    return _run(dsn, answer)


def print_predictions(dsn: str) -> int:
    """The published predictions as a table."""
    return _run(dsn, ["--pset", "pager=off", "-v", "ON_ERROR_STOP=1", "-f", str(PRINT_PREDICTIONS)])


def _run(dsn: str, options: Sequence[str]) -> int:
    address = parse_dsn(dsn)
    # An argument is seen by every user of the machine, the environment by ourselves alone.
    environment = {**os.environ, "PGPASSWORD": address.pop("password", "")}
    command = [str(shipped_binaries() / "psql"), "--no-psqlrc", "-d", make_dsn(**address), *options]
    return subprocess.run(command, env=environment, check=False).returncode
