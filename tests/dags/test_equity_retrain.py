"""The retraining as Airflow reads it with and without a person to ask, and who is told to have asked for a run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.exceptions import AirflowSkipException
from airflow.serialization.serialized_objects import DagSerialization

from house_rules import CHAMPION
from ml.domain import REASONS
from ml.settings import REPOSITORY, settings
from retrain_form import asked_by, in_words

BEHIND_COMPARE = {False: "per_horizon.promote", True: "per_horizon.approve"}


def read() -> Any:
    folder = REPOSITORY / "dags"
    bag = DagBag(folder / "equity_retrain.py", bundle_path=folder, bundle_name="dags")
    assert bag.import_errors == {}
    return bag.dags["equity_retrain"]


@pytest.mark.parametrize("is_on", [False, True])
def test_a_person_is_asked_between_compare_and_promote_where_the_setting_says_so(
    is_on: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFTERBELL_APPROVAL", str(is_on))
    monkeypatch.setenv("AFTERBELL_APPROVAL_HOURS", "6")
    settings.cache_clear()
    dag = read()
    assert dag.get_task("per_horizon.compare").downstream_task_ids == {BEHIND_COMPARE[is_on]}
    assert dag.has_task("per_horizon.approve") == is_on
    if is_on:
        asks = dag.get_task("per_horizon.approve")
        assert asks.downstream_task_ids == {"per_horizon.promote"}
        assert (asks.response_timeout.total_seconds(), asks.defaults) == (6 * 3600, ["Keep"])
        assert list(asks.serialized_params) == ["why"], "not the form of the whole run"
        assert (asks.retries, bool(asks.doc_md), bool(asks.on_failure_callback)) == (3, True, True)
    again = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    assert set(again.task_ids) == set(dag.task_ids)


def test_the_form_offers_every_reason() -> None:
    param = read().params.get_param("reason")
    assert (param.schema["enum"], param.value) == (list(REASONS), "manual")


@pytest.mark.parametrize(
    ("run_type", "user", "asked", "words"),
    [
        ("asset_triggered", None, ("scheduled", None), "Reason: scheduled"),
        ("manual", "ann", ("drift_detected", "ann"), "Reason: drift_detected, asked for by ann"),
        ("manual", None, ("drift_detected", "unknown"), "Reason: drift_detected, asked for by unknown"),
    ],
)
def test_data_ask_for_a_run_by_schedule_and_people_by_name(
    run_type: str, user: str | None, asked: tuple[str, str | None], words: str
) -> None:
    run = SimpleNamespace(run_type=run_type, triggering_user_name=user)
    context = {"dag_run": run, "params": {"reason": "drift_detected"}}
    assert tuple(asked_by(context).values()) == asked
    assert in_words(context) == words


def test_of_a_single_horizon_the_results_come_by_themselves() -> None:
    """As Airflow gives what one instance of a mapped group returned, whether one was asked for or the others failed."""
    dag = read()
    result = {"horizon": "5d", "promoted": "yes", "verdict": "promote", "version": "2", "reason": "superior"}
    events = {CHAMPION: SimpleNamespace(extra={})}
    announce = dag.get_task("announce").python_callable
    assert announce(None, result, {"as_of": "a night"}, outlet_events=events) == ["5d"]
    both = [result, {**result, "promoted": "no"}]
    assert announce(result, both, {"as_of": "a night"}, outlet_events=events) == ["5d"]
    with pytest.raises(AirflowSkipException, match="No champion changed"):
        announce(None, None, {"as_of": "a night"}, outlet_events=events)
