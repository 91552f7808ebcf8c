"""What follows what in a retraining, as Airflow itself carries it out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mapped_horizons import results
from ml.settings import REPOSITORY
from tests.airflow_environment import PLUGINS

SUCCESS, SKIPPED, FAILED, HELD_UP = "success", "skipped", "failed", "upstream_failed"


def run(home: Path, **doing: str) -> dict[str, Any]:
    """The states of the tasks, by horizon where there are several."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.dags.retrain_run", json.dumps({f"{n[1:]}d": does for n, does in doing.items()})],
        cwd=REPOSITORY,
        env={
            **os.environ,
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(PLUGINS),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "PYTHONPATH": os.pathsep.join(map(str, (PLUGINS, REPOSITORY / "dags"))),
        },
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    states: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return states


@pytest.mark.timeout(600)
def test_candidates_follow_whatever_came_of_the_refreshes_and_the_run_shows_what_failed(tmp_path: Path) -> None:
    states = run(tmp_path, h1="fresh", h5="due", h20="fails")
    assert states["refresh"] == [SKIPPED, SUCCESS, FAILED]
    assert states["compare_refresh"] == states["promote_refresh"] == [SKIPPED, SUCCESS, HELD_UP]
    for task in ("freshness", "train", "compare", "promote"):
        assert states[task] == [SUCCESS] * 3, task
    assert states["announce"] == [SUCCESS], "a champion was refreshed, and predictions are made again"
    assert states["summary"] == [HELD_UP]


@pytest.mark.timeout(600)
def test_a_night_without_anything_to_refresh_is_a_success_even_of_one_horizon(tmp_path: Path) -> None:
    states = run(tmp_path, h1="fresh")
    assert states["refresh"] == states["compare_refresh"] == states["promote_refresh"] == [SKIPPED]
    assert states["freshness"] == states["train"] == states["compare"] == states["promote"] == [SUCCESS]
    assert (states["announce"], states["summary"]) == ([SKIPPED], [SUCCESS])


def test_results_are_those_of_whoever_returned_any() -> None:
    one, two = {"horizon": "1d"}, {"horizon": "5d"}
    assert results(None, [one, two]) == [one, two]
    assert results(two, one) == [two, one]
    assert results(None, None) == []
