"""A night of toys under the product's names: chained by assets, one mapped, one skipped, one that fails on request."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Asset, Param, dag, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

BARS = Asset(name="toy_bars", uri="toy://bars")
CHAMPION = Asset(name="toy_champion", uri="toy://champion")


@dag(schedule=None, max_active_runs=1, params={"fail": Param(False, type="boolean")})
def equity_ingest() -> None:
    @task(outlets=[BARS])
    def ingest(params: dict[str, Any] | None = None) -> None:
        if params and params["fail"]:
            raise AirflowFailException("asked to fail")

    ingest()


@dag(schedule=(BARS | CHAMPION), max_active_runs=1)
def equity_predict() -> None:
    @task
    def predict(*, triggering_asset_events: Any = None) -> None:
        if not [asset for asset in triggering_asset_events if asset.name == CHAMPION.name]:
            raise AirflowSkipException("no champion yet")

    predict()


@dag(schedule=[BARS], max_active_runs=1)
def equity_retrain() -> None:
    @task
    def horizons() -> list[str]:
        return ["1d", "5d"]

    @task(pool="training", map_index_template="{{ horizon }}")
    def train(horizon: str) -> str:
        return horizon

    @task(outlets=[CHAMPION])
    def announce(trained: Any) -> None:
        list(trained)

    announce(train.expand(horizon=horizons()))


equity_ingest()
equity_predict()
equity_retrain()
