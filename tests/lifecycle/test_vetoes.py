"""Each veto alone, on forecasts of which one thing is wrong."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from ml.domain import Target
from ml.frames import OUT_OF_FOLD
from ml.lifecycle.vetoes import Facts, Limits, Veto, vetoes

DAY = Target("toy", "1d", 1)
N_DATES, N_ENTITIES = 300, 20


def forecasts(tells: float, bold: float = 1.0, seed: int = 0, lasting: bool = False) -> pd.DataFrame:
    """`expected` tells the value beside noise of the same size, which may stay from date to date; p_up is the
    probability that follows from it, or bolder than that."""
    rng = np.random.default_rng(99)
    value = rng.normal(0, 0.02, (N_DATES, N_ENTITIES))
    noise = np.random.default_rng(seed).normal(0, 0.02, value.shape)
    expected = tells * value + (np.tile(noise[0], (N_DATES, 1)) if lasting else noise)
    ts = np.repeat(pd.date_range("2023-01-01", periods=N_DATES, tz="UTC").as_unit("us"), N_ENTITIES)
    names = pd.array([f"E{i:02d}" for i in range(N_ENTITIES)] * N_DATES, dtype="str")
    p_up = norm.cdf(bold * tells * expected.ravel() / 0.02 / np.sqrt(tells**2 + 1))
    columns = {"entity": names, "ts": ts, "value": value.ravel(), "p_up": p_up, "expected": expected.ravel()}
    return OUT_OF_FOLD.check(OUT_OF_FOLD.cast(pd.DataFrame(columns).assign(scale=1.0, baseline_p_up=0.5)))


def asked(
    candidate: pd.DataFrame,
    champion: pd.DataFrame,
    facts: Facts | None = None,
    trials: int = 100,
    limits: Limits | None = None,
) -> dict[str, Veto]:
    said = vetoes(DAY, candidate, champion, facts or Facts(), trials, limits or Limits())
    return {veto.name: veto for veto in said}


def raised(said: dict[str, Veto]) -> list[str]:
    return [name for name, veto in said.items() if veto.vetoed]


def test_a_better_model_of_usual_size_is_let_through() -> None:
    facts = Facts(1e6, 0.5, 2.0, 0.4)
    assert raised(asked(forecasts(1.0), forecasts(0.0, seed=1), facts)) == []


def test_as_a_champion_of_itself_nothing_speaks_against_it() -> None:
    same = forecasts(0.2)
    assert raised(asked(same, same)) == []


def test_probabilities_that_cannot_be_believed() -> None:
    assert raised(asked(forecasts(1.0, bold=3.0), forecasts(1.0))) == ["calibration error"]


def test_gains_that_trading_eats_up() -> None:
    """Of two that know nothing, one changes its mind every day."""
    calm, restless = forecasts(0.0, seed=3, lasting=True), forecasts(0.0, seed=3)
    dear = Limits(cost_bps=100)
    assert "net return of deciles" in raised(asked(restless, calm, limits=dear))
    assert "net return of deciles" not in raised(asked(calm, restless, limits=dear))
    assert "net return of deciles" not in raised(asked(restless, calm, limits=Limits(cost_bps=0)))


def test_a_champion_whose_returns_are_no_luck_does_not_give_way_to_one_whose_are() -> None:
    weak, strong = forecasts(0.0, seed=4), forecasts(0.3, seed=4)
    found = asked(weak, strong, trials=10_000)["deflated Sharpe ratio"]
    assert (found.vetoed, found.allowed) == (True, "at least 0.95")
    assert found.found.endswith("after 10000 trials, the champion's 1.000")
    assert not asked(strong, weak, trials=10_000)["deflated Sharpe ratio"].vetoed


def test_between_two_whose_returns_are_luck_the_sharpe_ratio_says_nothing() -> None:
    silent = forecasts(0.0).assign(expected=0.0)
    for champion in (silent, forecasts(0.0, seed=7)):
        assert not asked(forecasts(0.0), champion)["deflated Sharpe ratio"].vetoed
    assert asked(silent, forecasts(0.3))["deflated Sharpe ratio"].vetoed


@pytest.mark.parametrize(
    ("facts", "name"),
    [
        (Facts(overfitting=0.8), "backtest overfitting"),
        (Facts(size_bytes=2e9), "size in MB"),
        (Facts(load_seconds=30.0, night_seconds=31.0), "seconds for a night"),
    ],
)
def test_what_is_known_of_the_model_itself(facts: Facts, name: str) -> None:
    assert raised(asked(forecasts(1.0), forecasts(0.0), facts)) == [name]


def test_what_nobody_told_speaks_neither_for_nor_against() -> None:
    found = asked(forecasts(1.0), forecasts(0.0))
    assert [found[name].found for name in ("backtest overfitting", "size in MB", "seconds for a night")] == [
        "not told"
    ] * 3
    assert raised(found) == []
