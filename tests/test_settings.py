"""The settings say what they are, and one clear thing about a value that cannot be used."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from dotenv import dotenv_values
from pydantic import AliasChoices
from pydantic.fields import FieldInfo

from ml.errors import SettingsError
from ml.settings import HORIZONS, OTHER_NAMES, REPOSITORY, Settings, settings

EXAMPLE = REPOSITORY / ".env.example"
# Their defaults depend on the machine.
PATHS = {"AFTERBELL_HOME"}


def _variable(name: str, field: FieldInfo) -> str:
    alias = field.validation_alias
    return str(alias.choices[0]) if isinstance(alias, AliasChoices) else f"AFTERBELL_{name.upper()}"


def _documented() -> dict[str, str]:
    return dict(re.findall(r"^# ([A-Z_]+)=(.*)$", EXAMPLE.read_text(), re.MULTILINE))


def test_the_example_names_every_setting_and_no_other() -> None:
    assert set(_documented()) == {_variable(name, field) for name, field in Settings.model_fields.items()}


def test_every_setting_of_the_example_is_explained_above_it() -> None:
    lines = EXAMPLE.read_text().splitlines()
    for number, line in enumerate(lines):
        if re.match(r"# [A-Z_]+=", line):
            assert lines[number - 1].startswith("# "), line


def test_the_example_sets_nothing_until_it_is_edited() -> None:
    assert dotenv_values(EXAMPLE) == {}


def test_the_example_shows_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = {name: value for name, value in _documented().items() if value and name not in PATHS}
    example = tmp_path / "example.env"
    example.write_text("\n".join(f"{name}={value}" for name, value in shown.items()))
    assert Settings(_env_file=example) == Settings(_env_file=None)  # type: ignore[call-arg]
    unset = {name for name, value in _documented().items() if not value}
    assert unset == {
        _variable(name, field) for name, field in Settings.model_fields.items() if field.default in (None, ())
    }


@pytest.mark.parametrize(
    ("variable", "value", "choices"),
    [
        ("AFTERBELL_PROVIDER", "bloomberg", ["'sample'", "'files'", "'polygon'"]),
        ("AFTERBELL_HORIZONS", "1d,3d", ["1d", "5d", "20d", "60d"]),
        ("AFTERBELL_HORIZONS", "", ["1d", "5d", "20d", "60d"]),
        ("AFTERBELL_LABELS", "5d=triangle", ["return, scaled, barrier"]),
        ("AFTERBELL_LABELS", "barrier", ["1d, 5d, 20d, 60d"]),
        ("AFTERBELL_SCORES", "2d=brier", ["1d, 5d, 20d, 60d"]),
        ("AFTERBELL_SCORES", "5d=brier, 1w=rank_ic", ["each once"]),
        ("AFTERBELL_MIN_IMPROVEMENTS", "5d=-1", ["a number from 0 on"]),
        ("AFTERBELL_TRIALS", "none", ["integer"]),
        ("AFTERBELL_AIRFLOW_PORT", "70000", ["65535"]),
    ],
)
def test_a_bad_value_is_one_error_with_variable_value_and_choices(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, choices: list[str]
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as caught:
        settings()
    message = str(caught.value)
    assert message.count("\n") == 0
    assert variable in message
    assert value.rsplit(",", maxsplit=1)[-1] in message
    assert [choice for choice in choices if choice not in message] == []


@pytest.mark.parametrize(
    ("typed", "names"),
    [("3m, 1d", ("60d", "1d")), ("1w,5d,1w", ("5d",)), ("1m", ("20d",)), ("60d", ("60d",))],
)
def test_a_horizon_typed_by_another_name_is_known_by_its_own_alone(
    monkeypatch: pytest.MonkeyPatch, typed: str, names: tuple[str, ...]
) -> None:
    monkeypatch.setenv("AFTERBELL_HORIZONS", typed)
    assert settings().horizons == names


def test_horizons_that_are_not_named_keep_their_label_and_score(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFTERBELL_LABELS", "1m=barrier, 5d = scaled")
    monkeypatch.setenv("AFTERBELL_SCORES", "60d=rank_ic")
    assert settings().labels == {"1d": "return", "5d": "scaled", "20d": "barrier", "60d": "return"}
    assert settings().scores == {"1d": "log_loss", "5d": "log_loss", "20d": "log_loss", "60d": "rank_ic"}


def test_every_other_name_means_a_horizon() -> None:
    assert set(OTHER_NAMES.values()) < set(HORIZONS)
    assert not set(OTHER_NAMES) & set(HORIZONS)


def test_the_shell_counts_before_what_the_stack_remembers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stack.env").write_text("AFTERBELL_MLFLOW_URI=http://stack:1\nAFTERBELL_TRIALS=3\n")
    monkeypatch.setenv("AFTERBELL_HOME", str(tmp_path))
    monkeypatch.setenv("AFTERBELL_MLFLOW_URI", "http://shell:1")
    assert (settings().mlflow_uri, settings().trials) == ("http://shell:1", 3)


def test_a_missing_address_is_an_error_with_its_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFTERBELL_HOME", str(tmp_path))
    for require, variable in (
        (settings().require_warehouse_dsn, "AFTERBELL_WAREHOUSE_DSN"),
        (settings().require_reader_dsn, "AFTERBELL_READER_DSN"),
        (settings().require_mlflow_uri, "AFTERBELL_MLFLOW_URI"),
    ):
        with pytest.raises(SettingsError, match=variable):
            require()


def test_secrets_do_not_show_when_settings_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLYGON_API_KEY", "k3y")
    monkeypatch.setenv("AFTERBELL_WAREHOUSE_DSN", "postgresql://a:p4ss@b/c")
    shown = repr(settings())
    assert "k3y" not in shown
    assert "p4ss" not in shown
