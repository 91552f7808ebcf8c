import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit

from ml.errors import RegistryError
from ml.estimators.linear import Linear, Scaling
from ml.estimators.panel import Sample, Vector, only_rows
from ml.estimators.shared_moves import correlation_within
from ml.estimators.turbulence import evened
from tests.estimators.planted import PLANTED, panel_of, planted, with_value


@pytest.fixture(scope="module")
def sample() -> Sample:
    weighted = planted()
    return Sample(weighted.panel, weighted.at, weighted.value, np.linspace(0.5, 1.5, len(weighted)))


def fitted(sample: Sample, penalty: float = 1.0) -> Linear:
    return Linear().fit(sample, {"penalty": penalty}, seed=1, threads=1)


def test_features_are_scaled_by_median_and_quartiles_clipped_and_filled() -> None:
    X = np.array([[0.0], [1.0], [2.0], [3.0], [4.0], [np.nan]], np.float32)
    scaling = Scaling.of(X)
    # Median 2, quartiles 1 and 3.
    assert scaling.median.tolist() == [2]
    assert scaling.spread.tolist() == pytest.approx([2 / 1.349])
    asked = np.array([[2.0], [3.0], [-1e30], [1e30], [np.nan]], np.float32)
    np.testing.assert_allclose(scaling.scaled(asked)[:, 0], [0, 1.349 / 2, -5, 5, 0], rtol=1e-6)
    assert (scaling.scaled(asked)[:, 1] == 1).all()


def test_features_without_quartiles_have_a_scale_all_the_same() -> None:
    rare = np.zeros(100, np.float32)
    rare[:10] = 1
    X = np.column_stack([rare, np.full(100, 7, np.float32), np.full(100, np.nan, np.float32)])
    scaling = Scaling.of(X)
    # A tenth of ones deviates by sqrt(0.1 x 0.9); what never changes or is never there says nothing.
    assert scaling.spread.tolist() == pytest.approx([0.3, 1, 1])
    Z = scaling.scaled(X)
    assert Z[0, 0] == pytest.approx(1 / 0.3)
    assert not Z[:, 1:3].any()


def test_many_rows_have_the_scales_of_all() -> None:
    X = np.random.default_rng(1).standard_normal((90_000, 2)).astype(np.float32) * np.array([1, 50], np.float32)
    scaling = Scaling.of(X)
    np.testing.assert_allclose(scaling.spread, [1, 50], rtol=0.03)


@pytest.mark.parametrize("penalty", [0.01, 1.0, 100.0])
def test_the_penalised_equations_are_solved(sample: Sample, penalty: float) -> None:
    """Written out again in double precision, with the periods' shared part taken out by hand."""
    moved = with_value(sample, sample.value + np.repeat(0.02 * np.random.default_rng(7).standard_normal(100), 30))
    model, data = fitted(moved, penalty), Linear.prepare(moved, 1)
    Z, period = data.Z.astype(np.float64), np.arange(len(moved)) // 30
    shrunk = penalty * np.r_[np.ones(Z.shape[1] - 1), 0]

    def equations(errors: Vector, outcome: Vector, of_rows: Vector) -> Vector:
        weight = of_rows / len(moved)
        rho = correlation_within(period, outcome)
        assert rho > 0.1
        left_out = 30 * rho / (1 - rho + 30 * rho)
        mean = np.array([np.average(errors[period == t], weights=weight[period == t]) for t in range(100)])
        return np.asarray(Z.T @ (weight * (errors - left_out * mean[period])))

    up = moved.up.astype(np.float64)
    of_event = (
        equations(expit(Z @ model._event) - up, up, moved.weight)
        + moved.rate * (1 - moved.rate) * shrunk * model._event
    )
    assert np.abs(of_event).max() < 1e-6
    std, even = np.std(moved.value), evened(moved)
    value, coefficients = np.clip(even.value / std, -5, 5), model._value / std
    assert np.abs(equations(Z @ coefficients - value, value, even.weight) + shrunk * coefficients).max() < 1e-6


def test_a_weak_penalty_finds_what_was_planted(sample: Sample) -> None:
    X = np.zeros((2, 6), np.float32)
    X[:, PLANTED] = [-1, 1]
    _, expected = fitted(sample, 0.001).predict(*only_rows(X))
    # E[value | a] = 0.02 a.
    assert expected[1] - expected[0] == pytest.approx(0.04, abs=0.003)


def test_a_heavy_penalty_leaves_the_base_rate_and_the_mean(sample: Sample) -> None:
    p_up, expected = fitted(sample, 1e7).predict(sample.panel, sample.at)
    np.testing.assert_allclose(p_up, sample.rate, atol=1e-4)
    np.testing.assert_allclose(expected, np.average(sample.value, weights=sample.weight), atol=1e-5)


def test_more_of_the_same_rows_give_the_same_model(sample: Sample) -> None:
    X = np.tile(sample.panel.X, (3, 1))
    thrice = Sample(panel_of(X), np.arange(len(X)), np.tile(sample.value, 3), np.tile(sample.weight, 3))
    np.testing.assert_allclose(fitted(thrice)._event, fitted(sample)._event, atol=2e-3)
    np.testing.assert_allclose(fitted(thrice)._value, fitted(sample)._value, atol=1e-4)


def test_the_units_of_a_feature_do_not_matter(sample: Sample) -> None:
    units = np.array([1000, 0.001, 1, 1, 1, 1], np.float32)
    other = Sample(panel_of(sample.panel.X * units), sample.at, sample.value, sample.weight)
    mine, theirs = (fitted(each).predict(each.panel, each.at) for each in (sample, other))
    np.testing.assert_allclose(mine[0], theirs[0], atol=1e-4)
    np.testing.assert_allclose(mine[1], theirs[1], atol=1e-5)


def test_twins_among_the_features_do_no_harm(sample: Sample) -> None:
    X = np.column_stack([sample.panel.X, sample.panel.X[:, PLANTED]])
    twins = Sample(panel_of(X), sample.at, sample.value, sample.weight)
    model = fitted(twins, 0.01)
    assert model._event[PLANTED] == pytest.approx(model._event[-2], rel=1e-2)


def test_coefficients_that_do_not_fit_together_are_refused(sample: Sample, tmp_path: Path) -> None:
    fitted(sample).save(tmp_path)
    document = json.loads((tmp_path / "estimator.json").read_text())
    document["event"].pop()
    (tmp_path / "estimator.json").write_text(json.dumps(document))
    with pytest.raises(RegistryError, match="6 medians, 6 spreads, 6 and 7 coefficients"):
        Linear.load(tmp_path)
