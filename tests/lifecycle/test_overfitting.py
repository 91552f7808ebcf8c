"""How much of a score is luck, beside what the papers say and what simulation shows."""

import numpy as np
import pytest
from scipy.stats import norm

from ml.lifecycle.overfitting import backtest_overfitting, deflated_sharpe_ratio, expected_best


@pytest.mark.parametrize("trials", [10, 100, 1000])
def test_the_expected_best_is_what_simulation_shows(trials: int) -> None:
    drawn = np.random.default_rng(1).standard_normal((4000, trials)).max(axis=1).mean()
    assert expected_best(trials) == pytest.approx(drawn, abs=0.05)


def test_of_one_trial_nothing_is_deflated() -> None:
    assert expected_best(1) == 0.0
    assert deflated_sharpe_ratio(np.array([1.0, -1.0, 1.0, -1.0] * 50), 1, 1) == pytest.approx(0.5)


def test_the_formula_of_the_paper_by_hand() -> None:
    """Bailey and López de Prado (2014): an annual ratio of 2.5 in 1,250 days that fall harder than they rise, the
    best of 100 trials; the variance of the trials' ratios is taken to be that of the estimate."""
    rng = np.random.default_rng(3)
    jumps = np.where(rng.uniform(size=1250) < 0.02, rng.normal(-6, 1, 1250), rng.standard_normal(1250))
    returns = (jumps - jumps.mean()) / jumps.std(ddof=1) + 2.5 / np.sqrt(250)
    skewness = float(np.mean((returns - returns.mean()) ** 3) / returns.std() ** 3)
    kurtosis = float(np.mean((returns - returns.mean()) ** 4) / returns.std() ** 4)
    ratio, luck = 2.5 / np.sqrt(250), expected_best(100) / np.sqrt(1249)
    by_hand = norm.cdf((ratio - luck) * np.sqrt(1249) / np.sqrt(1 - skewness * ratio + (kurtosis - 1) / 4 * ratio**2))
    assert deflated_sharpe_ratio(returns, 1, 100) == pytest.approx(by_hand)
    assert deflated_sharpe_ratio(returns, 1, 10) > by_hand > deflated_sharpe_ratio(returns, 1, 10_000)


def test_luck_alone_seldom_passes_after_as_many_trials_as_it_took() -> None:
    rng = np.random.default_rng(5)
    best = []
    for _ in range(300):
        tried = rng.standard_normal((50, 504))
        best.append(max(tried, key=lambda returns: returns.mean() / returns.std()))
    assert np.mean([deflated_sharpe_ratio(returns, 1, 50) > 0.95 for returns in best]) <= 0.03
    assert np.mean([deflated_sharpe_ratio(returns, 1, 1) > 0.95 for returns in best]) > 0.9


def test_overlapping_returns_are_worth_fewer() -> None:
    returns = np.random.default_rng(6).normal(0.1, 1.0, 504)
    assert deflated_sharpe_ratio(returns, 20, 1) < deflated_sharpe_ratio(returns, 1, 1)


@pytest.mark.parametrize("returns", [np.zeros(504), np.ones(504), np.array([]), np.array([1.0, 2.0])])
def test_what_does_not_vary_or_is_too_little_has_none(returns: np.ndarray) -> None:
    assert np.isnan(deflated_sharpe_ratio(returns, 1, 10))


def test_an_option_that_is_better_on_all_dates_is_no_luck() -> None:
    losses = np.random.default_rng(7).standard_normal((6, 400))
    losses[2] -= 1.0
    assert backtest_overfitting(losses) == 0.0


def test_without_any_difference_the_best_of_one_half_is_as_likely_bad_on_the_other() -> None:
    rng = np.random.default_rng(8)
    found = [backtest_overfitting(rng.standard_normal((9, 400))) for _ in range(200)]
    assert np.mean([each for each in found if each is not None]) == pytest.approx(0.5, abs=0.08)


def test_what_is_good_now_and_bad_then_is_overfitting() -> None:
    """Each option is good in a half of its own: who leads on some dates falls behind on the others."""
    phase = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    losses = np.repeat(np.sin(phase[:, None] + phase[None, :]), 50, axis=1)
    assert backtest_overfitting(losses) == pytest.approx(1.0, abs=0.05)


def test_too_little_to_tell() -> None:
    assert backtest_overfitting(np.zeros((1, 400))) is None
    assert backtest_overfitting(np.zeros((3, 79))) is None
