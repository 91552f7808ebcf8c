"""What the user sets counts; what the stack chose is remembered; a contradiction is told."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from ml.errors import SettingsError, StackError
from ml.stack.home import Home, remembered
from ml.stack.plan import Plan, draw, recall
from ml.stack.ports import LOOPBACK, free_port
from ml.stack.processes import MARK


def _drawn(root: Path) -> Plan:
    home = Home(root)
    home.make()
    return draw(home, lambda _: False)


def test_a_first_start_remembers_addresses_for_everybody_and_for_nobody_else(short_home: Path) -> None:
    plan = _drawn(short_home)
    kept = remembered(plan.home)
    assert kept["AFTERBELL_WAREHOUSE_DSN"].startswith("postgresql://afterbell:")
    assert kept["AFTERBELL_READER_DSN"].startswith("postgresql://afterbell_reader:")
    assert kept["AFTERBELL_MLFLOW_URI"] == f"http://{LOOPBACK}:{plan.port('MLFLOW')}"
    assert stat.S_IMODE(plan.home.env_file.stat().st_mode) == 0o600


def test_drawing_again_changes_nothing(short_home: Path) -> None:
    first = _drawn(short_home)
    second = _drawn(short_home)
    assert second.values == first.values
    assert second.configuration() == first.configuration()
    assert recall(first.home).values == first.values


def test_a_port_of_the_user_is_taken_over(short_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("AFTERBELL_AIRFLOW_PORT", str(port))
    plan = _drawn(short_home)
    assert plan.airflow_url == f"http://localhost:{port}"
    assert plan.environment()["AIRFLOW__API__PORT"] == str(port)


def test_databases_of_the_user_are_respected_and_not_remembered(
    short_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFTERBELL_WAREHOUSE_DSN", "postgresql://me@far/away")
    monkeypatch.setenv("AFTERBELL_READER_DSN", "postgresql://reader@far/away")
    monkeypatch.setenv("AFTERBELL_MLFLOW_URI", "http://far:5000")
    plan = _drawn(short_home)
    assert plan.warehouse_dsn == "postgresql://me@far/away"
    assert plan.mlflow_uri == "http://far:5000"
    assert not {"AFTERBELL_WAREHOUSE_DSN", "AFTERBELL_READER_DSN", "AFTERBELL_MLFLOW_URI"} & set(remembered(plan.home))
    assert plan.programs()[0].name == "postgres"
    assert "mlflow" not in {program.name for program in plan.programs()}


def test_one_database_address_without_the_other_is_an_error(short_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFTERBELL_WAREHOUSE_DSN", "postgresql://me@far/away")
    with pytest.raises(SettingsError, match="only one of AFTERBELL_WAREHOUSE_DSN and AFTERBELL_READER_DSN"):
        _drawn(short_home)


def test_data_without_its_passwords_is_an_error_with_a_way_out(short_home: Path) -> None:
    (short_home / "postgres" / "data").mkdir(parents=True)
    with pytest.raises(StackError, match="make reset"):
        _drawn(short_home)


def test_a_stack_that_was_never_started_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="Start it: make run"):
        recall(Home(tmp_path))


def test_a_changed_setting_changes_the_configuration(short_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _drawn(short_home).configuration()
    monkeypatch.setenv("AFTERBELL_TRIALS", "3")
    assert _drawn(short_home).configuration() != before


def test_no_secret_stands_in_a_command_or_in_the_configuration(short_home: Path) -> None:
    plan = _drawn(short_home)
    shown = plan.configuration() + repr(plan.programs())
    secrets = [value for name, value in plan.values.items() if not name.endswith(("_PORT", "_URI"))]
    assert len(secrets) == 12
    assert [secret for secret in secrets if secret in shown] == []


def test_the_api_server_stops_after_its_workers_and_postgres_last(short_home: Path) -> None:
    priority = {program.name: program.priority for program in _drawn(short_home).programs()}
    assert priority["scheduler"] == priority["dag-processor"] == priority["triggerer"]
    assert priority["scheduler"] > priority["api-server"] > priority["mlflow"] > priority["postgres"]


def test_a_shell_gets_no_mark_so_that_stopping_does_not_end_it(short_home: Path) -> None:
    plan = _drawn(short_home)
    assert MARK not in plan.environment()
    assert plan.marked_environment()[MARK] == str(short_home)
