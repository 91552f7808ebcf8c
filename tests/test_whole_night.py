"""The product as a new user meets it: one command, a night in a real Airflow, its answers by SQL and on the page."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from ml.settings import REPOSITORY
from ml.stack import lifecycle, night
from ml.stack.airflow import ADMIN, VIEWER
from ml.stack.airflow_api import Airflow, Run
from ml.stack.plan import Plan
from ml.stack.waiting import wait_until
from tests.plugins.page import check_page

pytestmark = [pytest.mark.xdist_group("airflow"), pytest.mark.timeout(1500)]
SEEN = "select * from serving.latest_predictions order by symbol, horizon"
Shell = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def stack() -> Iterator[Plan]:
    """The whole stack in a home of its own, as `make run` starts it, with a short search."""
    home = Path(tempfile.mkdtemp(prefix="ab-"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AFTERBELL_TRIALS", "3")
        yield lifecycle.up(home)
    lifecycle.stop(home)
    shutil.rmtree(home)


@pytest.fixture(scope="module")
def shell(stack: Plan) -> Shell:
    """`python -m ml.stack ...`, which the targets of the Makefile call, on that stack."""
    environment = {**os.environ, "AFTERBELL_HOME": str(stack.home.root), "AFTERBELL_TRIALS": "3"}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "ml.stack", *arguments],
            cwd=REPOSITORY,
            env=environment,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )

    return run


@pytest.fixture(scope="module")
def first_night(shell: Shell) -> str:
    """What `make run` printed for the first night."""
    done = shell("run")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_first_night_ends_with_published_predictions(first_night: str, shell: Shell) -> None:
    assert "equity_retrain[20d] promote" in first_night
    assert "predict       running -> skipped" in first_night
    assert "(15 rows)" in first_night
    count = "select count(*), count(distinct symbol), count(distinct horizon) from serving.latest_predictions"
    assert shell("sql", count).stdout == "15,5,3\n"


def test_a_second_run_changes_no_published_value(first_night: str, shell: Shell) -> None:
    before = shell("sql", SEEN).stdout
    assert len(before.splitlines()) == 15
    done = shell("run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert shell("sql", SEEN).stdout == before
    assert shell("sql", "select count(*) from serving.publications").stdout == "1\n"


def test_an_earlier_night_by_its_form_gets_no_answer_from_a_model_of_later_ones(first_night: str, shell: Shell) -> None:
    before = shell("sql", SEEN).stdout
    done = shell("run", "--conf", '{"as_of": "2013-02-01"}')
    assert done.returncode == 0, done.stdout + done.stderr
    assert shell("sql", SEEN).stdout == before
    assert shell("sql", "select count(*) from serving.publications").stdout == "1\n"
    assert shell("sql", "select count(*) from serving.promotions").stdout == "3\n"


def test_the_reader_sees_the_views_and_nothing_else(first_night: str, shell: Shell) -> None:
    for view in ("latest_predictions", "prediction_history", "models", "promotions", "data_quality"):
        assert int(shell("sql", f"select count(*) from serving.{view}").stdout) > 0
    refused = shell("sql", "select count(*) from lifecycle.predictions")
    assert refused.returncode != 0
    assert "permission denied" in refused.stderr


def test_the_page_shows_the_night_in_a_real_browser(first_night: str, stack: Plan, tmp_path: Path) -> None:
    folder = Path(os.environ.get("SCREENSHOTS", tmp_path))
    check_page(stack.airflow_url, VIEWER, stack.secret("VIEWER_PASSWORD"), folder)
    assert (folder / "predictions-laptop.png").stat().st_size > 10_000


def test_a_viewer_may_not_trigger_and_a_bad_form_is_refused(first_night: str, stack: Plan) -> None:
    runs = f"{stack.airflow_url}/api/v2/dags/equity_ingest/dagRuns"
    for user, conf, status in [
        (VIEWER, {}, 403),
        (ADMIN, {"as_of": "the day before yesterday"}, 400),
        (ADMIN, {"as_of": 20130201}, 400),
    ]:
        token = httpx.post(
            f"{stack.airflow_url}/auth/token",
            json={"username": user, "password": stack.secret(f"{user.upper()}_PASSWORD")},
            trust_env=False,
        ).json()["access_token"]
        answer = httpx.post(
            runs,
            json={"logical_date": None, "conf": conf},
            headers={"Authorization": f"Bearer {token}"},
            trust_env=False,
        )
        assert answer.status_code == status, answer.text


def test_bad_input_fails_at_once_with_its_message_in_the_log(first_night: str, shell: Shell, stack: Plan) -> None:
    before = shell("sql", SEEN).stdout
    done = shell("run", "--conf", '{"as_of": "2013-12-25"}')
    assert done.returncode != 0
    airflow = Airflow(stack.airflow_url, ADMIN, stack.secret("ADMIN_PASSWORD"))
    assert airflow.unfinished("equity_ingest") == []
    found = (stack.home.logs / "tasks").rglob("task_id=ingest/*.log")
    written = [path for path in found if "2013-12-25, when XNYS" in path.read_text()]
    assert [path.name for path in written] == ["attempt=1.log"]  # final errors are not retried
    logs = "".join(path.read_text() for path in written)
    assert "2013-12-25, when XNYS holds no session" in logs
    assert "afterbell failure" in logs
    assert shell("sql", SEEN).stdout == before


def test_airflows_own_backfill_makes_a_night_of_each_past_session(first_night: str, shell: Shell, stack: Plan) -> None:
    before = shell("sql", SEEN).stdout
    airflow = Airflow(stack.airflow_url, ADMIN, stack.secret("ADMIN_PASSWORD"))
    # A retraining for each past night would take minutes; the night of 2013-02-01 above has had one.
    assert shell("airflow", "dags pause --yes equity_retrain").returncode == 0
    asked = "--dag-id equity_ingest --from-date 2013-02-20 --to-date 2013-02-22 --max-active-runs 1"
    done = shell("airflow", f"backfill create {asked}")
    assert done.returncode == 0, done.stdout + done.stderr

    attempts = "select attempt from serving.ingest_runs where attempt ~ '/backfill_' and status = 'accepted' order by 1"
    assert wait_until(lambda: len(shell("sql", attempts).stdout.split()) == 2, 300, pause=5), done.stdout
    runs = [Run(*attempt.split("/")) for attempt in shell("sql", attempts).stdout.split()]
    seen = [night.follow(airflow, run, stack.home.logs / "tasks", lambda _: None) for run in runs]
    for each in seen:
        night.require_success(each)
        assert {run.dag_id for run in each.runs} == {"equity_ingest", "equity_features", "equity_predict"}
    # The day of --to-date is not included: its session closes after 00:00 UTC.
    nights = "select as_of::date, kind from serving.ingest_runs where attempt ~ '/backfill_' order by ingest_id"
    assert shell("sql", nights).stdout == "2013-02-20,night\n2013-02-21,night\n"
    assert shell("sql", SEEN).stdout == before
