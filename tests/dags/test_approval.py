"""A person is asked before a champion is replaced, in one real stack: who may answer, and what comes of it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import mlflow
import psycopg2
import pytest
from playwright.sync_api import expect

from ml.domain import Target
from ml.errors import StackError
from ml.settings import HORIZONS, REPOSITORY
from ml.stack import lifecycle
from ml.stack.airflow_api import Airflow, Run
from ml.stack.plan import Plan
from ml.stack.waiting import wait_until
from tests.plugins.page import browser, new_page
from tests.sql.decided import evidence
from tests.sql.seed import insert

pytestmark = [pytest.mark.xdist_group("airflow"), pytest.mark.timeout(600)]

TOYS = {
    "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "tests" / "dags" / "toys"),
    "AFTERBELL_APPROVAL": "true",
    "AFTERBELL_HORIZONS": ",".join(HORIZONS),
}
PLACES = {"1d": 0, "5d": 1, "20d": 2, "60d": 3}
LATE = {"horizon": "1d", "decision_id": "20"}


@pytest.fixture(scope="module")
def stack() -> Iterator[Plan]:
    """A stack with the toys as its DAGs, a champion of every horizon, and a decision to replace or refresh each."""
    home = Path(tempfile.mkdtemp(prefix="ab-"))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in TOYS.items():
            patch.setenv(name, value)
        try:
            plan = lifecycle.up(home)
            seed(plan)
            assert wait_until(lambda: client(plan).has_dag("toy_impatient"), 120)
            yield plan
        finally:
            lifecycle.stop(home)
    shutil.rmtree(home)


def seed(plan: Plan) -> None:
    client = mlflow.MlflowClient(tracking_uri=plan.mlflow_uri)
    mlflow.set_tracking_uri(plan.mlflow_uri)
    with mlflow.start_run():
        logged = mlflow.pyfunc.log_model(
            name="model",
            loader_module="tests.dags.toys.toy_model",
            data_path=str(Path(__file__)),  # some file: the loader looks at none
            pip_requirements=["pandas"],
        )
    with closing(psycopg2.connect(plan.warehouse_dsn)) as connection, connection:
        for place, (horizon, sessions) in enumerate(HORIZONS.items()):
            for version in (1, 2, 3):
                mlflow.register_model(logged.model_uri, f"equity-{horizon}")
                key = f"{horizon}/{version}"
                row = {"target": horizon, "version": version, "training_key": key}
                insert(connection, "lifecycle.model_versions", row)
            client.set_registered_model_alias(f"equity-{horizon}", "champion", "1")
            first = {"decision_id": place + 1, "candidate_version": 1}
            door = "refresh" if horizon == "20d" else "replace"
            second = {"decision_id": place + 11, "candidate_version": 2, "champion_version": 1, "door": door}
            told = evidence(Target("equity", horizon, sessions))
            insert(connection, "lifecycle.decisions", {"target": horizon, **first})
            insert(connection, "lifecycle.promotions", {"target": horizon, "to_version": 1, "decision_id": place + 1})
            insert(
                connection, "lifecycle.decisions", {"target": horizon, **second, "reason": "superior", "evidence": told}
            )


def client(plan: Plan, user: str = "admin") -> Airflow:
    return Airflow(plan.airflow_url, user, plan.secret(f"{user.upper()}_PASSWORD"))


@pytest.fixture(scope="module")
def waiting(stack: Plan) -> Run:
    """A run that asks about all four, until it waits for three answers."""
    airflow = client(stack)
    decisions = [{"horizon": name, "decision_id": str(place + 11)} for name, place in PLACES.items()]
    run = airflow.trigger("toy_decisions", {"decisions": decisions})
    assert wait_until(lambda: states(airflow, run, "each.approve").count("awaiting_input") == 3, 180), airflow.tasks(
        run
    )
    return run


def states(airflow: Airflow, run: Run, task: str) -> list[str]:
    found = [each for each in airflow.tasks(run) if each["task_id"] == task]
    return [str(each["state"]) for each in sorted(found, key=lambda each: each["map_index"])]


def all_states(airflow: Airflow, run: Run) -> list[tuple[str, int, str]]:
    return [(each["task_id"], each["map_index"], each["state"]) for each in airflow.tasks(run)]


def has_ended(airflow: Airflow, run: Run, task: str, place: int) -> bool:
    return states(airflow, run, task)[place] == "success"


def place_of(run: Run, task: str, place: int | None = None) -> str:
    instances = f"/api/v2/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances/{task}"
    return instances if place is None else f"{instances}/{place}"


def answer(airflow: Airflow, run: Run, horizon: str, option: str, why: str = "") -> Any:
    body = {"chosen_options": [option], "params_input": {"why": why}}
    return airflow._ask("PATCH", f"{place_of(run, 'each.approve', PLACES[horizon])}/hitlDetails", json=body)


def told(plan: Plan, statement: str) -> list[tuple[Any, ...]]:
    with closing(psycopg2.connect(plan.reader_dsn)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()


def test_a_viewer_may_look_at_the_question_and_neither_answer_nor_trigger(stack: Plan, waiting: Run) -> None:
    viewer = client(stack, "viewer")
    asked = viewer._ask("GET", f"{place_of(waiting, 'each.approve', 0)}/hitlDetails")
    assert asked["subject"] == "equity-1d: replace champion version 1 by version 2?"
    assert "| **vetoed** |" in asked["body"]
    with pytest.raises(StackError, match="answer 403"):
        answer(viewer, waiting, "1d", "Promote")
    with pytest.raises(StackError, match="answer 403"):
        viewer.trigger("toy_decisions", {})
    assert states(viewer, waiting, "each.approve")[0] == "awaiting_input"


def test_the_question_shows_the_plot_and_the_way_to_the_page(stack: Plan, waiting: Run, tmp_path: Path) -> None:
    folder = Path(os.environ.get("SCREENSHOTS", tmp_path))
    with browser() as chromium, new_page(chromium) as page:
        token = client(stack)._client.headers["Authorization"].removeprefix("Bearer ")
        page.context.add_cookies([{"name": "_token", "value": token, "url": stack.airflow_url}])
        task = f"{stack.airflow_url}/dags/{waiting.dag_id}/runs/{waiting.run_id}/tasks/each.approve"
        page.goto(f"{task}/mapped/0/required_actions")
        plot = page.locator("img[src$='/decisions/11.png']")
        expect(plot).to_be_visible(timeout=60_000)
        page.wait_for_function("document.querySelector('img[src$=\"/decisions/11.png\"]').naturalWidth > 300")
        expect(page.get_by_role("cell", name="deflated Sharpe ratio")).to_be_visible()
        link = page.get_by_role("link", name="All about decision 11, with the plot")
        assert link.get_attribute("href") == f"{stack.airflow_url}/afterbell/decisions/?id=11"
        page.screenshot(path=folder / "approval.png", full_page=True)


def test_the_task_of_a_decision_leads_to_its_page(stack: Plan, waiting: Run) -> None:
    airflow = client(stack)
    for task, place, decision in (("each.compare", 0, 11), ("each.promote", PLACES["20d"], 13)):
        ended = partial(has_ended, airflow, waiting, task, place)
        assert wait_until(ended, 60), all_states(airflow, waiting)
        found = airflow._ask("GET", f"{place_of(waiting, task)}/links", params={"map_index": place})
        assert found["extra_links"]["Decision"] == f"{stack.airflow_url}/afterbell/decisions/?id={decision}"


def test_answers_are_carried_out_and_kept(stack: Plan, waiting: Run) -> None:
    """Also that of somebody who approves when another champion has come meanwhile."""
    airflow = client(stack)
    with closing(psycopg2.connect(stack.warehouse_dsn)) as connection, connection:
        third = {"decision_id": 30, "target": "60d", "candidate_version": 3, "champion_version": 1}
        insert(connection, "lifecycle.decisions", third | {"door": "by_hand", "decided_by": "ann"})
        moved = {"target": "60d", "from_version": 1, "to_version": 3, "decision_id": 30}
        insert(connection, "lifecycle.promotions", moved)
    answer(airflow, waiting, "1d", "Promote", "it is winter")
    answer(airflow, waiting, "5d", "Keep", "too bold")
    answer(airflow, waiting, "60d", "Promote")
    with pytest.raises(StackError, match="answer 409"):
        answer(airflow, waiting, "5d", "Promote")
    assert wait_until(lambda: airflow.state(waiting) in ("success", "failed"), 120), all_states(airflow, waiting)
    summed = airflow._ask("GET", f"{place_of(waiting, 'summary')}/xcomEntries/return_value")
    lines = dict(line.split(": ", 1) for line in summed["value"])
    assert lines["1d"] == "promote version 2: superior"
    assert lines["5d"] == "keep version 2: refused by admin (too bold); superior"
    assert lines["20d"] == "promote version 2: superior"
    assert lines["60d"] == (
        "keep version 2: superseded by champion version 3 of equity-60d, nothing was changed; superior"
    )
    assert champions(stack) == {"1d": 2, "5d": 1, "20d": 2, "60d": 1}
    columns = "horizon, approved, approved_by, approved_at is not null, promoted_at is not null"
    assert told(
        stack, f"select {columns} from serving.promotions where decision_id in (11, 12, 13, 14) order by 1"
    ) == [
        ("1d", True, "admin", True, True),
        ("20d", None, None, False, True),
        ("5d", False, "admin", True, False),
        ("60d", True, "admin", True, False),
    ]
    assert ("admin", "approve", "1d version 2", "it is winter") in told(
        stack, "select who, what, target, why from serving.audit_log"
    )


def test_without_an_answer_in_time_the_champion_stays(stack: Plan) -> None:
    airflow = client(stack)
    with closing(psycopg2.connect(stack.warehouse_dsn)) as connection, connection:
        decision = {"decision_id": 20, "target": "5d", "candidate_version": 3, "champion_version": 1}
        insert(connection, "lifecycle.decisions", {**decision, "door": "replace", "reason": "superior"})
    run = airflow.trigger("toy_impatient", {"decisions": [LATE | {"horizon": "5d"}]})
    assert wait_until(lambda: airflow.state(run) in ("success", "failed"), 180), all_states(airflow, run)
    assert airflow.state(run) == "success"
    assert champions(stack)["5d"] == 1
    (row,) = told(stack, "select approved, approved_by from serving.promotions where decision_id = 20")
    assert row == (False, None)


def champions(plan: Plan) -> dict[str, int]:
    registry = mlflow.MlflowClient(tracking_uri=plan.mlflow_uri)
    return {name: int(registry.get_model_version_by_alias(f"equity-{name}", "champion").version) for name in HORIZONS}
