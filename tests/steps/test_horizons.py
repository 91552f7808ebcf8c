"""A horizon by whatever name it was typed: steps, forms and the command line go on with its own."""

from __future__ import annotations

import pytest

from ml.__main__ import parser
from ml.errors import SettingsError
from ml.settings import settings
from ml.steps import domains


def test_a_form_may_name_horizons_as_people_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFTERBELL_HORIZONS", "1d,5d,60d")
    settings.cache_clear()
    assert domains.horizons("equity", ["1w", "3m", "5d"]) == ["5d", "60d"]
    assert domains.horizons("equity", None) == domains.horizons("equity", []) == ["1d", "5d", "60d"]


def test_a_horizon_that_is_off_is_refused_by_its_own_name() -> None:
    with pytest.raises(SettingsError, match="horizon '60d'; expected one of 1d, 5d, 20d"):
        domains.horizons("equity", ["3m"])


@pytest.mark.parametrize(("typed", "name"), [("1w", "5d"), ("1m", "20d"), ("3m", "60d"), ("5d", "5d"), ("9d", "9d")])
def test_the_command_line_passes_the_horizons_own_name_on(typed: str, name: str) -> None:
    train = parser().parse_args(["train", "--horizon", typed])
    compare = parser().parse_args(["compare", "--horizon", typed, "--version", "1"])
    assert (train.horizon, compare.horizon) == (name, name)
