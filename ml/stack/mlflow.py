"""The embedded MLflow server: tracking and registry in Postgres, artifacts in the home."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import httpx

from ml.stack.ports import LOOPBACK


def command(port: int, artifacts: Path) -> Sequence[str]:
    """One worker; the database comes from the environment, where no other user can read its password."""
    place = ["--host", LOOPBACK, "--port", str(port), "--workers", "1"]
    return [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        *place,
        "--serve-artifacts",
        "--artifacts-destination",
        str(artifacts),
    ]


def environment(database: str) -> dict[str, str]:
    """`database`: an SQLAlchemy address."""
    return {
        "MLFLOW_BACKEND_STORE_URI": database,
        # The job execution server triples the memory and serves features nobody uses here.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


def is_ready(uri: str) -> bool:
    try:
        return httpx.get(f"{uri}/health", timeout=3, trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
