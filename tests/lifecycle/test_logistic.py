import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.linear_model import LinearRegression, LogisticRegression

from ml.estimators.interface import Flags, Vector
from ml.lifecycle.logistic import Prior, linear_regression, log_odds, logistic_regression


def believed(slopes: list[float], precision: float = 1e-9, level_dates: float = 1e-9) -> Prior:
    """Next to nothing, when not told otherwise."""
    return Prior(np.array(slopes), precision, level_dates)


def rows(slopes: list[float], n: int = 3000, seed: int = 0) -> tuple[Vector, Flags, Vector]:
    """Predictors, events and weights that differ."""
    rng = np.random.default_rng(seed)
    Z = rng.standard_normal((n, len(slopes))) @ np.diag(np.linspace(0.1, 1, len(slopes)))
    return Z, rng.random(n) < expit(0.3 + Z @ slopes), rng.uniform(0.1, 1, n)


def test_log_odds_by_hand() -> None:
    assert log_odds(np.array([0.5, 0.8, 0.2])) == pytest.approx([0, np.log(4), -np.log(4)])
    assert np.isfinite(log_odds(np.array([0.0, 1.0]))).all()


def test_without_prior_and_with_rising_slopes_it_is_scikit_learns_regression() -> None:
    Z, up, weight = rows([2.0, 0.5, 1.0])
    found = logistic_regression(Z, up, weight, believed([0, 0, 0]))
    reference = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(Z, up, sample_weight=weight)
    np.testing.assert_allclose(found, np.r_[reference.intercept_, reference.coef_[0]], rtol=1e-5)


def test_a_slope_that_would_fall_is_held_at_zero_and_the_others_are_those_of_a_fit_without_it() -> None:
    Z, up, weight = rows([2.0, -0.5, 1.0])
    found = logistic_regression(Z, up, weight, believed([0, 0, 0]))
    without = logistic_regression(Z[:, [0, 2]], up, weight, believed([0, 0]))
    assert found[2] == 0
    np.testing.assert_allclose(found[[0, 1, 3]], without, rtol=1e-6)


def test_the_prior_is_the_penalty_that_it_is_said_to_be() -> None:
    """The same optimum by a general optimiser, from the penalty written out."""
    Z, up, weight = rows([2.0, 0.5, 1.0])
    Z += np.array([3.0, 0.0, -1.0])
    centre = np.array([1.0, 1.0, 1.0])
    mean = np.average(Z, axis=0, weights=weight)

    def loss(c: Vector) -> float:
        p = expit(c[0] + Z @ c[1:])
        likelihood = weight @ np.log(np.where(up, p, 1 - p))
        average_row = c[0] + mean @ c[1:] - mean @ centre
        return float(-likelihood + 0.5 * 200 / 4 * average_row**2 + 0.5 * 30 * ((c[1:] - centre) ** 2).sum())

    reference = minimize(loss, np.zeros(4), method="BFGS", options={"gtol": 1e-7}).x
    found = logistic_regression(Z, up, weight, believed([1, 1, 1], 30.0, 200.0))
    np.testing.assert_allclose(found, reference, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("up", [np.ones(50, bool), np.arange(50) >= 25], ids=["one class", "separable"])
def test_where_the_likelihood_has_no_maximum_the_prior_gives_one(up: Flags) -> None:
    Z = np.linspace(-1, 1, 50)[:, None]
    assert np.abs(logistic_regression(Z, up, np.ones(50), believed([1], 1.0, 1.0))).max() < 50


@pytest.mark.parametrize("column", [0.0, 0.3], ids=["zero", "constant"])
def test_a_predictor_that_never_varies_is_no_trouble(column: float) -> None:
    Z, up, weight = rows([2.0])
    Z = np.column_stack([Z, np.full(len(Z), column)])
    for found in (
        logistic_regression(Z, up, weight, believed([0.5, 0.5], 0.5, 60.0)),
        linear_regression(Z, up.astype(float), weight, believed([0.5, 0.5], 0.5, 60.0)),
        logistic_regression(Z[:, 1:], up, weight, believed([1], 0.5, 60.0)),
    ):
        assert np.isfinite(found).all()


def test_linear_regression_is_scikit_learns_with_slopes_that_do_not_fall() -> None:
    Z, up, weight = rows([2.0, -0.5, 1.0])
    value = 0.01 * (0.3 + Z @ [2.0, -0.5, 1.0]) + 0.02 * (up - 0.5)
    found = linear_regression(Z, value, weight, believed([0, 0, 0]))
    reference = LinearRegression().fit(Z[:, [0, 2]], value, sample_weight=weight)
    assert found[2] == 0
    np.testing.assert_allclose(found[[0, 1, 3]], np.r_[reference.intercept_, reference.coef_], rtol=1e-6)


@pytest.mark.parametrize("unit", [1.0, 1e-4])
def test_shrinkage_of_values_does_not_depend_on_their_unit(unit: float) -> None:
    Z, up, weight = rows([1.0, 1.0])
    value = Z @ [1.0, 1.0] + (up - 0.5)
    found, plain = (
        linear_regression(Z * by, value * by, weight, believed([0.5, 0.5], 300.0, 50.0)) for by in (unit, 1.0)
    )
    np.testing.assert_allclose(found[1:], plain[1:], rtol=1e-6)
    assert 0.5 < plain[1] < linear_regression(Z, value, weight, believed([0.5, 0.5]))[1]


def test_twins_among_predictors_of_a_value_that_never_differs_are_no_trouble() -> None:
    Z = np.array([[0.0, 0.0], [1.0, 1.0]])
    found = linear_regression(Z, np.zeros(2), np.full(2, 0.5), Prior(np.array([0.5, 0.5]), 60.0, 60.0))
    assert np.isfinite(found).all()
    assert (found[1:] >= 0).all()
