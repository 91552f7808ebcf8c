"""Every DAG keeps the policy of the house: it imports, serialises, and tells people what it does."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import RetryAction, RetryDecision
from airflow.serialization.serialized_objects import DagSerialization

from ml.errors import ProviderUnavailable
from ml.io.exports import SUFFIXES
from ml.settings import ESTIMATORS, HORIZONS, OTHER_NAMES, REPOSITORY, settings
from ml.steps.groups import offered

DAGS = {
    *("equity_ingest", "equity_features", "equity_predict", "equity_retrain"),
    *("equity_backfill", "equity_export", "equity_quarantine", "equity_models", "warehouse_maintenance"),
}
PATIENT = {("equity_ingest", "ingest"), ("equity_backfill", "take_in")}
MAX_LINES = 150


@pytest.fixture(scope="module")
def bag() -> DagBag:
    return DagBag(REPOSITORY / "dags", bundle_path=REPOSITORY / "dags", bundle_name="dags")


@pytest.fixture(params=sorted(DAGS))
def dag(request: pytest.FixtureRequest, bag: DagBag) -> Any:
    return bag.dags[request.param]


def test_all_dags_import_and_no_other_is_there(bag: DagBag) -> None:
    assert bag.import_errors == {}
    assert set(bag.dags) == DAGS


def test_a_dag_survives_serialisation(dag: Any) -> None:
    again = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    assert set(again.task_ids) == set(dag.task_ids)


def test_a_dag_and_its_tasks_explain_themselves(dag: Any) -> None:
    assert len(dag.doc_md) > 200
    assert all(task.doc_md for task in dag.tasks)


def test_a_dag_belongs_to_the_house(dag: Any) -> None:
    assert {"afterbell", "equity"} <= set(dag.tags)
    assert dag.owner == "afterbell"


def test_two_nights_cannot_trample_on_each_other(dag: Any) -> None:
    # Two nights may be predicted at once: publishing holds a lock, and later knowledge keeps the last word.
    assert dag.max_active_runs == (2 if dag.dag_id == "equity_predict" else 1)
    assert dag.catchup is False


def test_tasks_are_retried_with_backoff_and_alert_when_they_fail(dag: Any) -> None:
    for task in dag.tasks:
        assert (task.retries > 3) == ((dag.dag_id, task.task_id) in PATIENT)
        assert task.retries >= 3
        assert task.retry_exponential_backoff
        assert task.on_failure_callback


@pytest.mark.parametrize(("dag_id", "task_id"), sorted(PATIENT))
def test_who_asks_a_vendor_waits_past_midnight_and_not_into_the_next_night(
    bag: DagBag, dag_id: str, task_id: str
) -> None:
    task: Any = bag.dags[dag_id].get_task(task_id)
    delays = [min(task.retry_delay * 2**n, task.max_retry_delay) for n in range(task.retries)]
    assert timedelta(hours=12) < sum(delays, timedelta()) < timedelta(hours=20)
    assert sum(delays[:3], timedelta()) < timedelta(minutes=5), "a short failure costs little"


@pytest.mark.parametrize(("dag_id", "task_id"), sorted(PATIENT))
def test_only_who_is_away_is_waited_for(bag: DagBag, dag_id: str, task_id: str) -> None:
    task: Any = bag.dags[dag_id].get_task(task_id)
    away, broken = ProviderUnavailable("nothing", "bars", "Wait"), TypeError("a bug")

    def decided(error: Exception, try_number: int, cleared_at: int = 0) -> RetryAction:
        decision: RetryDecision = task.retry_policy.evaluate(error, try_number, cleared_at + task.retries)
        return decision.action

    for n in (1, 3, 4, 40):
        assert decided(away, n) == RetryAction.DEFAULT
    assert [decided(broken, n) for n in (1, 2, 3)] == [RetryAction.DEFAULT] * 3
    assert decided(broken, 4) == RetryAction.FAIL
    assert [decided(broken, n, cleared_at=9) for n in (10, 12, 13)] == [*[RetryAction.DEFAULT] * 2, RetryAction.FAIL]


def test_form_fields_have_a_type_a_title_and_a_description(dag: Any) -> None:
    assert dag.params
    for name in dag.params:
        field = dag.params.get_param(name)
        assert field.schema["type"], name
        assert field.schema["title"], name
        assert len(field.description) > 20, name


def test_the_night_is_chained_by_assets(bag: DagBag) -> None:
    def follows(dag_id: str) -> set[str]:
        serialised = DagSerialization.from_dict(DagSerialization.to_dict(bag.dags[dag_id]))
        return {asset.name for _, asset in serialised.timetable.asset_condition.iter_assets()}

    def announces(dag_id: str) -> set[str]:
        return {outlet.name for task in bag.dags[dag_id].tasks for outlet in task.outlets}

    assert announces("equity_ingest") == follows("equity_features") == {"equity_bars"}
    assert announces("equity_features") == follows("equity_retrain") == {"equity_features"}
    assert announces("equity_retrain") == {"equity_champion"}
    assert follows("equity_predict") == {"equity_features", "equity_champion"}


def test_training_waits_for_its_pool_and_predictions_never_do(bag: DagBag) -> None:
    pools = {task.task_id: task.pool for dag in bag.dags.values() for task in dag.tasks}
    assert pools["learn"] == pools["per_horizon.train"] == pools["per_horizon.compare"] == "training"
    assert pools["predict"] == "default_pool"


def test_a_refresh_comes_first_and_whatever_came_of_it_the_candidate_follows(bag: DagBag) -> None:
    retrain: Any = bag.dags["equity_retrain"]

    def rule_and_upstream(name: str) -> tuple[str, set[str]]:
        found = retrain.get_task(f"per_horizon.{name}")
        return found.trigger_rule, {each.removeprefix("per_horizon.") for each in found.upstream_task_ids}

    assert rule_and_upstream("refresh") == ("all_success", {"night", "horizons"})
    assert rule_and_upstream("compare_refresh") == ("all_success", {"refresh"})
    assert rule_and_upstream("promote_refresh") == ("all_success", {"compare_refresh"})
    assert rule_and_upstream("freshness") == ("all_done", {"promote_refresh", "horizons"})
    assert rule_and_upstream("train") == ("all_success", {"freshness", "night", "learned"})
    assert rule_and_upstream("promote") == ("all_success", {"compare"})
    for last, rule in {"announce": "all_done", "summary": "none_failed"}.items():
        task = retrain.get_task(last)
        assert task.trigger_rule == rule
        assert {"per_horizon.promote_refresh", "per_horizon.promote"} <= task.upstream_task_ids


def test_aliases_are_put_right_every_week_and_a_registry_that_is_away_shows(bag: DagBag) -> None:
    dag = bag.dags["warehouse_maintenance"]
    assert dag.get_task("reconcile").upstream_task_ids == set()
    assert "reconcile" in dag.get_task("summary").upstream_task_ids


def test_the_retraining_form_offers_the_horizons_that_exist(bag: DagBag) -> None:
    schema = bag.dags["equity_retrain"].params.get_param("horizons").schema
    assert schema["examples"] == list(HORIZONS), "what the form shows"
    assert schema["items"]["enum"] == [*HORIZONS, *OTHER_NAMES], "what may be sent"


def test_a_failed_estimator_does_not_hold_up_the_others(bag: DagBag) -> None:
    retrain = bag.dags["equity_retrain"]
    waits = retrain.get_task("learned")
    assert (waits.trigger_rule, waits.upstream_task_ids) == ("all_done", {"learn", "estimators", "shadow_scores"})
    assert "learned" in retrain.get_task("per_horizon.train").upstream_task_ids
    assert retrain.params.get_param("estimators").schema["items"]["enum"] == list(ESTIMATORS)


def test_what_is_said_in_shadow_never_holds_up_what_is_published(bag: DagBag) -> None:
    predict, shadow = (bag.dags["equity_predict"].get_task(name) for name in ("predict", "shadow"))
    assert (predict.upstream_task_ids, shadow.upstream_task_ids) == ({"nights"}, {"nights", "predict"})
    assert [outlet.name for outlet in predict.outlets] == ["equity_predictions"]
    assert (shadow.outlets, shadow.trigger_rule) == ([], "none_failed")
    # `compare` sees the scores and goes on without them: between stands a task that waits for all, failed or not.
    scores = bag.dags["equity_retrain"].get_task("shadow_scores")
    assert scores.downstream_task_ids == {"learned"}


def test_the_export_form_offers_the_groups_and_formats_that_exist(bag: DagBag) -> None:
    params = bag.dags["equity_export"].params
    groups = params.get_param("groups").schema
    # Airflow makes a list to choose several from of `examples`.
    assert groups["items"]["enum"] == groups["examples"] == offered(settings())
    assert {"price", "sector", "alpha158", "custom"} <= set(groups["examples"])
    assert params.get_param("file_format").schema["enum"] == list(SUFFIXES)
    assert params.get_param("custom_features").schema["format"] == "multiline"


def test_the_export_form_offers_the_categories_of_ones_own_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, folder = tmp_path / "features.yaml", REPOSITORY / "dags"
    file.write_text("name: mine\nversion: 1\nfeatures:\n  - {name: a, formula: ret, category: liquidity}\n")
    monkeypatch.setenv("AFTERBELL_FEATURES_PATH", str(file))
    settings.cache_clear()
    bag = DagBag(folder / "equity_export.py", bundle_path=folder, bundle_name="dags")
    groups = bag.dags["equity_export"].params.get_param("groups").schema
    assert groups["items"]["enum"] == groups["examples"]
    assert groups["examples"][-2:] == ["liquidity", "custom"]


def test_the_week_has_its_backup_whatever_became_of_the_years_and_the_run_fails_with_them(bag: DagBag) -> None:
    dag = bag.dags["warehouse_maintenance"]
    assert (dag.get_task("back_up").trigger_rule, dag.get_task("back_up").upstream_task_ids) == ("all_done", {"retain"})
    # Airflow takes the state of a run from its last tasks.
    assert [task.task_id for task in dag.leaves] == ["summary"]
    assert dag.get_task("summary").trigger_rule == "all_success"
    assert {"partitions", "retain", "verify", "prune"} <= dag.get_task("summary").upstream_task_ids


@pytest.mark.parametrize("path", sorted((REPOSITORY / "dags").glob("*.py")), ids=lambda path: path.name)
def test_a_dag_file_is_only_the_order_of_tasks(path: Path) -> None:
    assert len(path.read_text().splitlines()) < MAX_LINES
