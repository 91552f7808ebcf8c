from __future__ import annotations

import pytest

from ml.domain import Target
from ml.equity.domain import equity
from ml.errors import SettingsError
from ml.settings import LOG_LOSSES, RETURNS


def test_each_horizon_is_a_target_counted_in_sessions() -> None:
    assert equity(("1d", "20d")).targets == (Target("equity", "1d", 1), Target("equity", "20d", 20))
    assert equity(("5d",)).target("5d").model_name == "equity-5d"


@pytest.mark.parametrize("horizons", [("3d",), ("1d", "1w"), ()])
def test_a_horizon_that_does_not_exist_is_refused_with_the_known_ones(horizons: tuple[str, ...]) -> None:
    with pytest.raises(SettingsError, match="1d, 5d, 20d"):
        equity(horizons)


def test_a_target_declares_what_it_learns_and_what_it_is_judged_by() -> None:
    day, month = equity(("1d", "20d"), RETURNS | {"20d": "barrier"}, LOG_LOSSES | {"1d": "rank_ic"}).targets
    assert (day.label, day.score) == ("return", "rank_ic")
    assert (month.label, month.score) == ("barrier", "log_loss")
