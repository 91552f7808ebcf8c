"""What a retraining does for each horizon: refresh the champion where that is due, then make and judge a candidate."""

from __future__ import annotations

from typing import Any

from airflow.sdk import get_current_context, task, task_group
from airflow.sdk.exceptions import AirflowSkipException

from alerts import overdue
from approval import approved
from decision_page import linked
from house_rules import DOMAIN, TRAINING_POOL, final_errors
from mapped_horizons import HORIZON_LABEL, show_horizon
from retrain_form import asked_by


def per_horizon(night: Any, estimators: Any, horizons: Any) -> tuple[Any, Any]:
    """The group, mapped over the horizons; what came of its refreshes, and of its candidates."""
    both: Any = _per_horizon.partial(night=night, estimators=estimators).expand(horizon=horizons)
    refreshed, decided = both
    return refreshed, decided


@task_group(group_id="per_horizon")
def _per_horizon(horizon: str, night: dict[str, str], estimators: list[str]) -> Any:
    newer: Any = refresh(horizon, night)
    judged: Any = linked(compare.override(task_id="compare_refresh")(newer))
    refreshed: Any = linked(promote.override(task_id="promote_refresh")(judged))
    aged: Any = freshness(horizon)
    refreshed >> aged
    candidate: Any = train(aged, night, estimators)
    decided: Any = linked(compare(candidate))
    return refreshed, linked(promote(approved(decided)))


@task(
    pool=TRAINING_POOL,
    map_index_template=HORIZON_LABEL,
    doc_md="The champion's own recipe on newer rows, a version in MLflow; skipped when it is not due.",
)
def refresh(horizon: str, night: dict[str, str]) -> dict[str, str]:
    show_horizon(horizon)
    with final_errors():
        from ml.steps import refresh

        newer = refresh.run(**night, horizon=horizon)
    if "version" not in newer:
        raise AirflowSkipException("Nothing to refresh tonight; the log says why.")
    return newer


@task(
    trigger_rule="all_done",
    map_index_template=HORIZON_LABEL,
    doc_md="Waits for the refresh, whatever came of it. An alert when the champion is older than twice its limit.",
)
def freshness(horizon: str) -> str:
    show_horizon(horizon)
    with final_errors():
        from ml.steps import freshness

        overdue(freshness.run(DOMAIN, horizon))
    return horizon


@task(
    pool=TRAINING_POOL,
    map_index_template=HORIZON_LABEL,
    doc_md="One model of what the estimators learned, without those that failed; a version in MLflow.",
)
def train(horizon: str, night: dict[str, str], estimators: list[str], params: Any = None) -> dict[str, str]:
    show_horizon(horizon)
    with final_errors():
        from ml.steps import train

        why: Any = asked_by(get_current_context())
        return train.run(**night, horizon=horizon, estimators=estimators, trials=params["trials"], **why)


@task(
    pool=TRAINING_POOL,
    map_index_template=HORIZON_LABEL,
    doc_md="Candidate and champion recipes on the same outer dates; the decision is stored whole.",
)
def compare(candidate: dict[str, str]) -> dict[str, str]:
    show_horizon(candidate["horizon"])
    with final_errors():
        from ml.steps import compare

        return compare.run(**candidate, reason=str(asked_by(get_current_context())["reason"]))


@task(map_index_template=HORIZON_LABEL, doc_md="Make the candidate the champion if the decision says so.")
def promote(decided: dict[str, str]) -> dict[str, str]:
    show_horizon(decided["horizon"])
    with final_errors():
        from ml.steps import promote

        return promote.run(decided["decision_id"])
