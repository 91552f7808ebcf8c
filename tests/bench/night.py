"""`make night data=FOLDER`: a whole night over your own bars, each step as a process of its own, timed and weighed.

Uses a throwaway Postgres and MLflow; nothing of the running stack is touched.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ml.settings import settings
from tests.bench.processes import Step, run
from tests.servers import migrated, mlflow_database, mlflow_server_on, postgres_server


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
            began = time.perf_counter()
            steps = _night(environment)
            _print(steps, time.perf_counter() - began)


def _night(environment: dict[str, str]) -> list[Step]:
    ingest = run(environment, "ingest", "ingest")
    steps = [ingest, run(environment, "validate", "validate", ingest.keys["ingest_id"])]
    steps += [run(environment, step, step) for step in ("features", "labels")]
    with ThreadPoolExecutor(settings().trainings) as together:
        learn = [
            together.submit(run, environment, f"learn {estimator}", "learn", "--estimator", estimator)
            for estimator in settings().estimators
        ]
        steps += [each.result() for each in learn]
    for horizon in settings().horizons:
        trained = run(environment, f"train {horizon}", "train", "--horizon", horizon)
        version = trained.keys["version"]
        compared = run(environment, f"compare {horizon}", "compare", "--horizon", horizon, "--version", version)
        steps += [trained, compared, run(environment, f"promote {horizon}", "promote", compared.keys["decision_id"])]
    return [*steps, run(environment, "predict and publish", "predict")]


def _print(steps: list[Step], wall: float) -> None:
    """wall: of the whole, as AFTERBELL_TRAININGS estimators learn at once; so do their peaks add up."""
    print("\n| step | wall s | processor s | peak MiB |\n| --- | --- | --- | --- |")
    for step in steps:
        print(f"| {step.name} | {step.wall:.1f} | {step.cpu:.1f} | {step.peak:,.0f} |")
    peak = sum(sorted(step.peak for step in steps)[-settings().trainings :])
    print(f"| all | {wall:.1f} | {sum(s.cpu for s in steps):.1f} | at most {peak:,.0f} |")


if __name__ == "__main__":
    main()
