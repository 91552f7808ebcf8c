"""The end of a retraining by itself: decisions that are given, asked about, carried out and summed up."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import Param, dag, task, task_group

from approval import approved, asked
from decision_page import linked
from house_rules import DEFAULT_ARGS, final_errors
from mapped_horizons import HORIZON_LABEL, results, show_horizon

FORM = {"decisions": Param([], type="array", title="Decisions")}


def carried_out(impatient: bool) -> None:
    @task
    def given(params: Any = None) -> list[dict[str, str]]:
        return list(params["decisions"])

    @task_group
    def each(decision: dict[str, str]) -> Any:
        @task(map_index_template=HORIZON_LABEL)
        def compare(decision: dict[str, str]) -> dict[str, str]:
            show_horizon(decision["horizon"])
            return dict(decision)

        @task(map_index_template=HORIZON_LABEL)
        def promote(decided: dict[str, str]) -> dict[str, str]:
            show_horizon(decided["horizon"])
            with final_errors():
                from ml.steps import promote  # noqa: PLC0415 -- as DAG files do

                return promote.run(decided["decision_id"])

        decided = linked(compare(decision))
        if impatient:
            return promote(asked(decided, timedelta(seconds=1)))
        return linked(promote(approved(decided)))

    @task
    def summary(decided: Any) -> list[str]:
        return [f"{r['horizon']}: {r['verdict']} version {r['version']}: {r['reason']}" for r in results(decided)]

    summary(each.expand(decision=given()))


@dag(schedule=None, default_args=DEFAULT_ARGS, params=FORM)
def toy_decisions() -> None:
    carried_out(impatient=False)


@dag(schedule=None, default_args=DEFAULT_ARGS, params=FORM)
def toy_impatient() -> None:
    carried_out(impatient=True)


toy_decisions()
toy_impatient()
