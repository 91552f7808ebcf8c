"""`python -m tests.bench.learning`: what learning costs on a whole market, each step a process of its own.

From a real Postgres into a store on disk and a real MLflow. With the default of 8,000 symbols over ten years the
temporary folder needs 25 GB. Of so large a market `learn` draws whole symbols (AFTERBELL_PANEL_ROWS); its log, on
standard error, says how many.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.bench.market import year_by_year
from tests.bench.processes import Step, run
from tests.bench.scale import SYMBOLS
from tests.bench.stream import accepted, market_of
from tests.servers import migrated, mlflow_database, mlflow_server_on, postgres_server

HORIZON = "5d"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.learning", description=__doc__)
    parser.add_argument("--symbols", type=int, default=SYMBOLS)
    parser.add_argument("--years", type=int, default=10)
    parser.add_argument("--estimators", default="xgboost,lightgbm")
    asked = parser.parse_args()
    print("| step | wall s | processor s | peak MiB |\n| --- | --- | --- | --- |", flush=True)
    for step in _steps(asked.symbols, asked.years, asked.estimators.split(",")):
        print(f"| {step.name} | {step.wall:.1f} | {step.cpu:.1f} | {step.peak:,.0f} |", flush=True)


def _steps(symbols: int, years: int, estimators: list[str]) -> Iterator[Step]:
    with tempfile.TemporaryDirectory() as folder, postgres_server({}) as server:
        address = migrated(server, "afterbell")
        bars = sum(accepted(address.dsn, market_of(year)) for year in year_by_year(symbols, years))
        with mlflow_server_on(mlflow_database(server), Path(folder)) as uri:
            environment = {
                **os.environ,
                "AFTERBELL_HOME": folder,
                "AFTERBELL_WAREHOUSE_DSN": address.dsn,
                "AFTERBELL_MLFLOW_URI": uri,
                "AFTERBELL_PROVIDER": "files",
                "AFTERBELL_HORIZONS": HORIZON,
                "AFTERBELL_ESTIMATORS": ",".join(estimators),
            }
            yield run(environment, f"features of {bars:,} bars", "features")
            yield run(environment, f"labels {HORIZON}", "labels")
            for estimator in estimators:
                yield run(environment, f"learn {estimator} {HORIZON}", "learn", "--estimator", estimator)
            yield run(environment, f"train {HORIZON}", "train", "--horizon", HORIZON)


if __name__ == "__main__":
    main()
