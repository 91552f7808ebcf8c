import math

import numpy as np
import pytest
from scipy.stats import t as student_t

from ml.errors import TrainingError
from ml.estimators.interface import Vector
from ml.lifecycle.significance import critical_value, degrees_of_freedom, ewc_test, nominal_level


def naive(d: list[float], nu: int) -> tuple[float, float]:
    """The statistic and its standard error as the paper writes them, O(T nu)."""
    n = len(d)
    mean = sum(d) / n
    total = 0.0
    for j in range(1, nu + 1):
        weight = math.sqrt(2 / n) * sum(d[t - 1] * math.cos(math.pi * j * (t - 0.5) / n) for t in range(1, n + 1))
        total += weight**2
    error = math.sqrt(total / nu / n)
    return mean / error, error


@pytest.mark.parametrize(
    ("n_dates", "horizon", "expected"),
    [
        (504, 1, 25),  # 0.4 x 504^(2/3) = 0.4 x 63.3
        (504, 5, 25),  # the cap is floor(504 / 20) = 25
        (504, 20, 6),  # floor(504 / 80) = 6
        (252, 5, 12),  # floor(252 / 20) = 12
        (252, 20, 4),  # floor(252 / 80) = 3, and 4 is the least cap
        (1000, 1, 40),  # 0.4 x 100 exactly
        (125, 1, 10),  # 0.4 x 25 exactly
    ],
)
def test_degrees_of_freedom_by_hand(n_dates: int, horizon: int, expected: int) -> None:
    assert degrees_of_freedom(n_dates, horizon) == expected


@pytest.mark.parametrize(("n_dates", "horizon"), [(60, 1), (252, 1), (504, 5), (505, 20)])
def test_the_statistic_equals_a_naive_double_loop(n_dates: int, horizon: int) -> None:
    d = np.random.default_rng(n_dates).standard_normal(n_dates) * 0.01 + 0.001
    found = ewc_test(d, horizon)
    statistic, error = naive(d.tolist(), found.dof)
    assert found.statistic == pytest.approx(statistic, rel=1e-9)
    assert found.std_error == pytest.approx(error, rel=1e-9)
    assert found.p_value == pytest.approx(float(student_t.sf(statistic, found.dof)), rel=1e-9)
    assert found.mean == pytest.approx(d.mean())


def test_a_shift_moves_the_mean_but_not_the_standard_error() -> None:
    d = np.random.default_rng(1).standard_normal(300)
    assert ewc_test(d + 1000, 1).std_error == pytest.approx(ewc_test(d, 1).std_error, rel=1e-9)


def test_the_opposite_difference_has_the_opposite_verdict() -> None:
    d = np.random.default_rng(2).standard_normal(300)
    assert ewc_test(d, 1).p_value + ewc_test(-d, 1).p_value == pytest.approx(1.0)


def test_the_critical_value_is_where_p_meets_the_level() -> None:
    d = np.random.default_rng(3).standard_normal(504)
    found = ewc_test(d, 1)
    assert critical_value(found.p_value, found.dof) == pytest.approx(found.statistic)


@pytest.mark.parametrize("constant", [0.0, 0.37, -0.37])
def test_no_variation_is_no_evidence(constant: float) -> None:
    found = ewc_test(np.full(504, constant), 1)
    assert (found.statistic, found.p_value) == (0.0, 1.0)
    assert found.mean == pytest.approx(constant)
    assert "same on every date" in found.note


@pytest.mark.parametrize(
    ("n_dates", "horizon", "enough"), [(59, 1, False), (60, 1, True), (119, 20, False), (120, 20, True)]
)
def test_too_few_dates_are_no_evidence(n_dates: int, horizon: int, enough: bool) -> None:
    found = ewc_test(np.random.default_rng(0).standard_normal(n_dates) + 5, horizon)
    assert (found.p_value < 0.05, found.note == "") == (enough, enough)


def test_no_dates_at_all_are_no_evidence() -> None:
    assert ewc_test(np.empty(0), 1).p_value == 1.0


def test_missing_differences_are_refused() -> None:
    with pytest.raises(TrainingError, match="1 of 100 differences"):
        ewc_test(np.r_[np.ones(99), np.nan], 1)


def test_long_horizons_are_tested_at_four_percent() -> None:
    assert [nominal_level(0.05, h) for h in (1, 19, 20, 60)] == pytest.approx([0.05, 0.05, 0.04, 0.04])


def overlapping_noise(draws: int, n_dates: int, horizon: int, seed: int) -> Vector:
    """MA(h - 1): what labels that overlap by h - 1 periods do to a difference without mean."""
    shocks = np.random.default_rng(seed).standard_normal((draws, n_dates + horizon - 1))
    sums = np.cumsum(np.c_[np.zeros(draws), shocks], axis=1)
    return np.asarray(sums[:, horizon:] - sums[:, :-horizon])


@pytest.mark.parametrize("horizon", [1, 5, 20])
def test_false_promotions_on_noise_stay_at_the_nominal_level(horizon: int) -> None:
    draws, level = 4000, nominal_level(0.05, horizon)
    noise = overlapping_noise(draws, 504, horizon, seed=horizon)
    rate = np.mean([ewc_test(d, horizon).p_value <= level for d in noise])
    # Four standard errors of a share of 5 % over 4000 draws are 1.4 points.
    assert 0.03 < rate < 0.064


@pytest.mark.parametrize(("horizon", "effect"), [(1, 0.15), (5, 0.9)])
def test_a_planted_mean_is_found(horizon: int, effect: float) -> None:
    # The mean's standard error is 1/sqrt(504) = 0.045 at h = 1 and five times that at h = 5: 3.4 and 4 errors.
    noise = overlapping_noise(400, 504, horizon, seed=9)
    power = np.mean([ewc_test(d + effect, horizon).p_value <= 0.05 for d in noise])
    assert power > 0.9


def test_pooling_overlapping_dates_as_independent_would_promote_far_too_often() -> None:
    """Why the long-run variance is there at all: the plain t-test on the same noise."""
    noise = overlapping_noise(2000, 504, 20, seed=4)
    plain = noise.mean(axis=1) / (noise.std(axis=1) / np.sqrt(504))
    assert np.mean(plain > 1.65) > 0.3
