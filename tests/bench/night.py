"""`make night data=FOLDER`: a whole night over your own bars, each step as a process of its own, timed and weighed.

Uses a throwaway Postgres and MLflow; nothing of the running stack is touched.
"""

from __future__ import annotations

import argparse
import os
import tempfile
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
            _print(_night(environment))


def _night(environment: dict[str, str]) -> list[Step]:
    ingest = run(environment, "ingest", "ingest")
    steps = [ingest, run(environment, "validate", "validate", ingest.keys["ingest_id"])]
    steps += [run(environment, step, step) for step in ("features", "labels")]
    for estimator in settings().estimators:
        steps.append(run(environment, f"learn {estimator}", "learn", "--estimator", estimator))
    for horizon in settings().horizons:
        trained = run(environment, f"train {horizon}", "train", "--horizon", horizon)
        version = trained.keys["version"]
        compared = run(environment, f"compare {horizon}", "compare", "--horizon", horizon, "--version", version)
        steps += [trained, compared, run(environment, f"promote {horizon}", "promote", compared.keys["decision_id"])]
    return [*steps, run(environment, "predict and publish", "predict")]


def _print(steps: list[Step]) -> None:
    print("\n| step | wall s | processor s | peak MiB |\n| --- | --- | --- | --- |")
    for step in steps:
        print(f"| {step.name} | {step.wall:.1f} | {step.cpu:.1f} | {step.peak:,.0f} |")
    wall, cpu, peak = sum(s.wall for s in steps), sum(s.cpu for s in steps), max(s.peak for s in steps)
    print(f"| all | {wall:.1f} | {cpu:.1f} | {peak:,.0f} |")


if __name__ == "__main__":
    main()
