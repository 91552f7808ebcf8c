"""The commands of the stack that need no stack."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import pytest

from ml.settings import REPOSITORY
from ml.stack.__main__ import main


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AFTERBELL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_bare_make_lists_every_target_with_its_purpose() -> None:
    listed = subprocess.run(["make"], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.splitlines()
    targets = {line.split()[0] for line in listed}
    assert {"run", "stop", "status", "logs", "reset", "sql", "test", "lint", "typecheck", "bench"} <= targets
    assert [line for line in listed if len(line.split()) < 2] == []


def test_reset_without_a_yes_changes_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "store").mkdir(parents=True)
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert main(["reset"]) == 1
    assert (home / "store").exists()
    assert "nothing was changed" in capsys.readouterr().out


def test_reset_after_a_yes_forgets(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "store").mkdir(parents=True)
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
    assert main(["reset"]) == 0
    assert not (home / "store").exists()


def test_stopping_what_never_ran_makes_nothing(home: Path) -> None:
    assert main(["stop"]) == 0
    assert not home.exists()


@pytest.mark.parametrize("conf", ["as_of=2013-02-01", "[1]"])
def test_a_conf_that_is_no_json_object_is_one_clear_error(conf: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--conf", conf]) == 2
    assert 'Write it like {"as_of": "2013-02-01"}' in capsys.readouterr().err


@pytest.mark.parametrize("command", [["status"], ["env"], ["airflow", "dags list"]])
def test_asking_a_stack_that_was_never_started_says_how_to_start_it(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command) == 2
    assert "make run" in capsys.readouterr().err


def test_an_unknown_log_is_an_error(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "logs").mkdir(parents=True)
    (home / "logs" / "scheduler.log").touch()
    assert main(["logs", "sheduler"]) == 2
    assert "scheduler" in capsys.readouterr().err
