"""`make night data=FOLDER`: a whole night over your own bars, each step as a process of its own, timed and weighed.

Uses a throwaway Postgres and MLflow; nothing of the running stack is touched.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from ml.settings import REPOSITORY, settings
from tests.servers import migrated, mlflow_database, mlflow_server_on, postgres_server

MEBIBYTE = 1024


@dataclass(frozen=True)
class Step:
    """One finished step: wall and processor seconds, peak memory in MiB, and the keys that it printed."""

    name: str
    wall: float
    cpu: float
    peak: float
    keys: dict[str, str]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.night", description=__doc__)
    parser.add_argument("data", type=Path, help="folder or file for the provider `files`")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, postgres_server({}) as server:
        address = migrated(server, "afterbell")
        with mlflow_server_on(mlflow_database(server), Path(folder)) as uri:
            environment = {
                **os.environ,
                "AFTERBELL_HOME": folder,
                "AFTERBELL_PROVIDER": "files",
                "AFTERBELL_FILES_PATH": str(asked.data.absolute()),
                "AFTERBELL_WAREHOUSE_DSN": address.dsn,
                "AFTERBELL_MLFLOW_URI": uri,
            }
            _print(_night(environment))


def _night(environment: dict[str, str]) -> list[Step]:
    ingest = _run(environment, "ingest", "ingest")
    steps = [ingest, _run(environment, "validate", "validate", ingest.keys["ingest_id"])]
    steps += [_run(environment, step, step) for step in ("features", "labels")]
    for horizon in settings().horizons:
        trained = _run(environment, f"train {horizon}", "train", "--horizon", horizon)
        version = trained.keys["version"]
        compared = _run(environment, f"compare {horizon}", "compare", "--horizon", horizon, "--version", version)
        steps += [trained, compared, _run(environment, f"promote {horizon}", "promote", compared.keys["decision_id"])]
    return [*steps, _run(environment, "predict and publish", "predict")]


def _run(environment: dict[str, str], name: str, *arguments: str) -> Step:
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "ml", *arguments], cwd=REPOSITORY, env=environment, stdout=said
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise SystemExit(f"{name} failed; its log is above")
        said.seek(0)
        keys = json.loads(said.read().splitlines()[-1])
    return Step(name, wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / MEBIBYTE, keys)


def _print(steps: list[Step]) -> None:
    print("\n| step | wall s | processor s | peak MiB |\n| --- | --- | --- | --- |")
    for step in steps:
        print(f"| {step.name} | {step.wall:.1f} | {step.cpu:.1f} | {step.peak:,.0f} |")
    wall, cpu, peak = sum(s.wall for s in steps), sum(s.cpu for s in steps), max(s.peak for s in steps)
    print(f"| all | {wall:.1f} | {cpu:.1f} | {peak:,.0f} |")


if __name__ == "__main__":
    main()
