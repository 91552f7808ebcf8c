"""One real stack from its first start to its end, with a crash and two nights of toys between."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from ml.errors import StackError
from ml.settings import REPOSITORY, settings
from ml.stack import airflow, lifecycle, mlflow, night
from ml.stack.airflow_api import Airflow
from ml.stack.plan import Plan
from ml.stack.ports import LOOPBACK
from ml.stack.processes import leftovers
from ml.stack.supervisor import Supervisor
from ml.stack.waiting import wait_until

pytestmark = [pytest.mark.xdist_group("airflow"), pytest.mark.timeout(900)]
PROGRAMS = {"postgres", "mlflow", "api-server", "log-server", "scheduler", "dag-processor", "triggerer"}


@pytest.fixture(scope="module")
def stack() -> Iterator[Plan]:
    """A stack with the toys as its DAGs."""
    home = Path(tempfile.mkdtemp(prefix="ab-"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(REPOSITORY / "tests" / "stack" / "dags"))
        yield lifecycle.up(home)
    lifecycle.stop(home)
    assert leftovers_of(home) == []
    shutil.rmtree(home)


@pytest.fixture(autouse=True)
def _toys(monkeypatch: pytest.MonkeyPatch, _settings_of_the_shell_stay_out: None) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(REPOSITORY / "tests" / "stack" / "dags"))


def leftovers_of(home: Path) -> list[str]:
    """Command lines that name the home, of whatever user."""
    return [line for line in (" ".join(_command(p)) for p in psutil.process_iter()) if str(home) in line]


def _command(process: psutil.Process) -> list[str]:
    try:
        command: list[str] = process.cmdline()
    except psutil.Error:
        return []
    return command


def _pids(plan: Plan) -> dict[str, int]:
    return {row["name"]: row["pid"] for row in lifecycle.processes(plan)}


def _logs(plan: Plan) -> Path:
    return plan.home.logs / "tasks"


def _client(plan: Plan, user: str = "admin") -> Airflow:
    return Airflow(plan.airflow_url, user, plan.secret(f"{user.upper()}_PASSWORD"))


def test_after_up_everything_runs_and_answers(stack: Plan) -> None:
    assert {row["name"]: row["statename"] for row in lifecycle.processes(stack)} == dict.fromkeys(PROGRAMS, "RUNNING")
    assert mlflow.is_ready(stack.mlflow_uri)
    assert all(airflow.is_component_ready(stack.port("AIRFLOW"), name) for name in airflow.COMPONENTS)


def test_nothing_listens_beyond_the_loopback(stack: Plan) -> None:
    def listening() -> list[str]:
        family = [*leftovers(stack.home.root), psutil.Process(_pids(stack)["postgres"])]
        return [c.laddr.ip for p in family for c in p.net_connections("inet") if c.status == psutil.CONN_LISTEN]

    assert wait_until(lambda: len(listening()) >= 4, 30)  # nobody waits for the log server before
    assert set(listening()) == {LOOPBACK}


def test_a_second_up_and_two_at_once_leave_every_process_alone(stack: Plan) -> None:
    before = _pids(stack)
    with ThreadPoolExecutor(2) as both:
        plans = list(both.map(lambda _: lifecycle.up(stack.home.root), range(2)))
    assert _pids(stack) == before
    assert [plan.values for plan in plans] == [stack.values, stack.values]


def test_the_viewer_may_look_and_not_trigger(stack: Plan) -> None:
    viewer = _client(stack, "viewer")
    assert viewer.has_dag("equity_ingest")
    with pytest.raises(StackError, match="answer 403"):
        viewer.trigger("equity_ingest", {})


def test_a_wrong_password_is_refused(stack: Plan) -> None:
    with pytest.raises(StackError, match="answer 401"):
        Airflow(stack.airflow_url, "admin", "wrong")


def test_the_training_pool_has_a_slot_for_each_training_at_once(stack: Plan) -> None:
    assert _client(stack)._get("pools/training")["slots"] == settings().trainings == 2


def test_following_a_night_sees_every_descendant_to_its_end(stack: Plan) -> None:
    client, lines = _client(stack), list[str]()
    seen = night.follow(client, night.begin(client, {}), _logs(stack), lines.append)
    night.require_success(seen)

    assert sorted(run.dag_id for run in seen.runs) == [
        "equity_ingest",
        "equity_predict",
        "equity_predict",
        "equity_retrain",
    ]
    assert set(seen.runs.values()) == {"success"}
    told = "\n".join(lines)
    assert "equity_retrain[5d] train" in told
    # The first predict is skipped for want of a champion, the second is not.
    assert {state for (_, task, _), state in seen.tasks.items() if task == "predict"} == {"skipped", "success"}


def test_a_failed_night_points_to_an_existing_log(stack: Plan) -> None:
    client = _client(stack)
    seen = night.follow(client, night.begin(client, {"fail": True}), _logs(stack), lambda _: None)
    with pytest.raises(StackError, match="1 failed run") as caught:
        night.require_success(seen)
    log = Path(caught.value.todo.removeprefix("Read ").partition(";")[0])
    assert "asked to fail" in log.read_text()


def test_after_kill_9_of_the_supervisor_and_all_of_postgres_up_just_works(stack: Plan) -> None:
    before = _pids(stack)
    os.kill(int((stack.home.run / "supervisord.pid").read_text()), signal.SIGKILL)
    os.kill(before["postgres"], signal.SIGKILL)
    os.kill(before["scheduler"], signal.SIGKILL)

    again = lifecycle.up(stack.home.root)

    after = _pids(again)
    assert set(after) == PROGRAMS
    assert not set(after.values()) & set(before.values())
    assert [pid for pid in before.values() if psutil.pid_exists(pid)] == []
    assert again.values == stack.values
    client = _client(again)
    seen = night.follow(client, night.begin(client, {}), _logs(stack), lambda _: None)
    assert set(seen.runs.values()) == {"success"}


def test_killed_processes_come_back_by_themselves_and_the_orphans_they_left_go(stack: Plan) -> None:
    supervisor = Supervisor(stack.home)
    before = {name: psutil.Process(_pids(stack)[name]) for name in ("mlflow", "scheduler")}
    orphans = [child for process in before.values() for child in process.children(recursive=True)]
    assert len(orphans) >= 2
    for process in before.values():
        process.kill()

    for name, process in before.items():
        assert wait_until(lambda: supervisor.processes()[name]["pid"] not in (0, process.pid), 30)  # noqa: B023
    assert psutil.wait_procs(orphans, timeout=30)[1] == []
    assert wait_until(lambda: mlflow.is_ready(stack.mlflow_uri), 120)
    client = _client(stack)
    seen = night.follow(client, night.begin(client, {}), _logs(stack), lambda _: None)
    assert set(seen.runs.values()) == {"success"}


def test_stopping_leaves_no_process_and_starting_again_keeps_what_was(stack: Plan) -> None:
    client = _client(stack)
    before = night.follow(client, night.begin(client, {}), _logs(stack), lambda _: None).runs
    lifecycle.stop(stack.home.root)
    lifecycle.stop(stack.home.root)
    assert leftovers(stack.home.root) == []
    assert leftovers_of(stack.home.root) == []
    assert lifecycle.up(stack.home.root).values == stack.values
    assert {run: _client(stack).state(run) for run in before} == dict.fromkeys(before, "success")


def test_reset_forgets_all_below_the_home_and_nothing_beside(stack: Plan) -> None:
    beside = stack.home.root / "of the user"
    beside.touch()
    lifecycle.reset(stack.home.root)
    assert {path.name for path in stack.home.root.iterdir()} == {"of the user", "lock"}
