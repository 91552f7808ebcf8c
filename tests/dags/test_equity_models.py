"""The tasks of equity_models as Airflow calls them: whose word is kept, what is skipped, which errors are final."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from ml.__main__ import MODELS
from ml.settings import REPOSITORY, Settings
from ml.steps.by_hand import ACTIONS
from tests.steps.market import seen

FORM = {"action": "freeze", "horizon": "1d", "version": None, "why": "holidays"}


@pytest.fixture
def dag() -> Any:
    folder = REPOSITORY / "dags"
    return DagBag(folder / "equity_models.py", bundle_path=folder, bundle_name="dags").dags["equity_models"]


def decide(dag: Any, **form: Any) -> dict[str, str]:
    run = SimpleNamespace(triggering_user_name="ann", run_id="manual__1")
    done: dict[str, str] = dag.get_task("decide").python_callable(params=FORM | form, dag_run=run)
    return done


def test_form_and_command_offer_what_can_be_done(dag: Any) -> None:
    assert dag.params.get_param("action").schema["enum"] == list(ACTIONS)
    assert dict(MODELS)["action"]["choices"] == list(ACTIONS)


def test_the_user_is_kept_and_without_a_move_nothing_is_announced(
    dag: Any, stack_settings: Settings, reader_dsn: str
) -> None:
    done = decide(dag)
    assert seen(reader_dsn, "select horizon, is_frozen, decided_by, why from serving.freezes") == [
        ("1d", True, "ann", "holidays")
    ]
    with pytest.raises(AirflowSkipException, match="the predictions stand"):
        dag.get_task("announce").python_callable(done, outlet_events={})


def test_what_cannot_be_done_fails_for_good(dag: Any, stack_settings: Settings) -> None:
    with pytest.raises(AirflowFailException, match="no version to promote"):
        decide(dag, action="promote")
