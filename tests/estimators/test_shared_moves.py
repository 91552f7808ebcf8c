import numpy as np
import pytest

from ml.estimators.panel import Panel, Sample, Vector, sample_of
from ml.estimators.shared_moves import SharedMoves, correlation_within


def sample_in(period: list[int], value: Vector, weight: Vector | None = None) -> Sample:
    codes = np.array(period)
    panel = Panel(np.zeros((codes.size, 1), np.float32), np.arange(codes.size), codes)
    return Sample(panel, np.arange(codes.size), value, np.ones(codes.size) if weight is None else weight)


def test_the_correlation_is_that_of_the_analysis_of_variance() -> None:
    # Means 2 and 6 about 4: between 2 x (4 + 4) = 16 with one degree of freedom; within 4 x 1 = 4 with two, so 2.
    found = correlation_within(np.array([0, 0, 1, 1]), np.array([1.0, 3.0, 5.0, 7.0]))
    assert found == pytest.approx((16 - 2) / (16 + 2))


def test_periods_of_unequal_length_give_the_planted_correlation() -> None:
    rng = np.random.default_rng(1)
    period = np.repeat(np.arange(4000), rng.integers(1, 20, 4000))
    value = np.sqrt(0.3) * rng.standard_normal(4000)[period] + np.sqrt(0.7) * rng.standard_normal(period.size)
    assert correlation_within(period, value) == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize("period", [[0, 0, 0, 0], [0, 1, 2, 3]])
def test_a_correlation_that_cannot_be_told_is_none(period: list[int]) -> None:
    assert correlation_within(np.array(period), np.array([1.0, -1.0, 2.0, -2.0])) == 0.0


def test_outcomes_that_never_differ_or_only_within_periods_have_none() -> None:
    period = np.array([0, 0, 1, 1])
    assert correlation_within(period, np.ones(4)) == 0.0
    assert correlation_within(period, np.array([1.0, -1.0, 1.0, -1.0])) == 0.0


def test_errors_are_multiplied_by_the_inverse_of_their_correlations() -> None:
    rng = np.random.default_rng(2)
    period = [0, 0, 0, 1, 1]
    value = np.array([2.0, 3.0, 1.0, -2.0, -1.0])
    sample, errors = sample_in(period, value), rng.standard_normal(5)
    rho = correlation_within(np.array(period), value)
    same = np.equal.outer(period, period)
    V = np.where(same, rho, 0.0) + (1 - rho) * np.eye(5)
    np.testing.assert_allclose(SharedMoves.of(sample, value).apart(errors), (1 - rho) * np.linalg.solve(V, errors))


def test_what_is_left_out_is_shared_by_weight() -> None:
    weight = np.array([1.0, 3.0, 2.0, 2.0])
    moves = SharedMoves.of(sample_in([0, 0, 7, 7], np.array([1.0, 3.0, 5.0, 7.0]), weight), np.array([1.0, 3.0, 5, 7]))
    # All errors alike, a period keeps the share that is not left out; rho = 7 / 9 leaves out 14 / 16 of two rows.
    assert moves.left_out == pytest.approx([0.875, 0.875])
    np.testing.assert_allclose(moves.apart(weight), 0.125 * weight)


def test_unrelated_rows_keep_their_errors() -> None:
    value = np.array([1.0, -1.0, 2.0, -3.0])
    errors = np.arange(4.0)
    assert (SharedMoves.of(sample_of(np.zeros((4, 1), np.float32), value), value).apart(errors) == errors).all()


def test_against_what_is_told_the_errors_of_a_constant_answer_are_those_apart() -> None:
    rng = np.random.default_rng(4)
    period = [0, 0, 0, 1, 1, 2, 2, 2]
    value = rng.standard_normal(8) + np.array([2.0, -1.0, 0.5])[period]
    weight = rng.uniform(0.5, 1.5, 8)
    sample = sample_in(period, value, weight)
    moves = SharedMoves.of(sample, value)
    assert moves.left_out.min() > 0.5, "there should be something to leave out"
    mean = np.average(value, weights=weight)
    np.testing.assert_allclose(weight * (mean - moves.told(value)), moves.apart(weight * (mean - value)))


def test_unrelated_rows_are_told_their_outcomes() -> None:
    value = np.array([1.0, -1.0, 2.0, -3.0])
    assert (SharedMoves.of(sample_of(np.zeros((4, 1), np.float32), value), value).told(value) == value).all()
