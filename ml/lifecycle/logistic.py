"""Linear models on members' answers, small and exact: slopes that are never negative, and a stated prior.

The prior is normal around given coefficients and worth `prior_dates` dates: as sharp as the likelihood of that many
dates, taken at even odds and with predictors of the common (pooled) variance. So the same number means the same
shrinkage whatever the unit and the spread of the predictors.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import lsq_linear
from scipy.special import expit, log_expit

from ml.estimators.interface import Flags, Vector
from ml.lifecycle.metrics import EPSILON

EVEN_ODDS_VARIANCE = 0.25
MAX_STEPS = 50
CONVERGED = 1e-10
LEAST_VARIANCE = 1e-18


def log_odds(p: Vector) -> Vector:
    """ln(p / (1 - p)) of probabilities, kept EPSILON away from 0 and 1."""
    clipped = np.clip(p, EPSILON, 1 - EPSILON)
    odds: Vector = np.log(clipped / (1 - clipped))
    return odds


def logistic_regression(Z: Vector, up: Flags, weight: Vector, slopes: Vector, prior_dates: float) -> Vector:
    """(k + 1,) intercept and slopes >= 0 of logit p(up) = a + Z b, the most probable under the prior.

    Z: (n, k) predictors. weight: (n,) whose sum is the number of dates that the rows are worth. slopes: (k,) what
    the prior is centred on, beside an intercept of 0. Newton's method; each step solves its bounded quadratic exactly.
    """
    A, lower = _design(Z), _lower(Z)
    centre: Vector = np.r_[0.0, slopes]
    precision = EVEN_ODDS_VARIANCE * prior_dates * _spread(Z, weight)

    def loss(coefficients: Vector) -> float:
        fit = weight @ log_expit(np.where(up, 1.0, -1.0) * (A @ coefficients))
        return float(0.5 * precision @ (coefficients - centre) ** 2 - fit)

    found = centre
    for _ in range(MAX_STEPS):
        p = expit(A @ found)
        gradient = A.T @ (weight * (p - up)) + precision * (found - centre)
        curvature = (A * (weight * p * (1 - p))[:, None]).T @ A + np.diag(precision)
        step = _least_quadratic(curvature, curvature @ found - gradient, lower) - found
        # Newton may overshoot far from the optimum; towards the bounded minimum the loss always falls at first.
        size, before = 1.0, loss(found)
        while size > CONVERGED and loss(found + size * step) > before:
            size /= 2
        if np.abs(size * step).max() <= CONVERGED * max(1.0, np.abs(found).max()):
            break
        found = found + size * step
    return found


def linear_regression(Z: Vector, value: Vector, weight: Vector, slopes: Vector, prior_dates: float) -> Vector:
    """(k + 1,) intercept and slopes >= 0 of E[value] = a + Z b by least squares, shrunk as in `logistic_regression`."""
    A, centre = _design(Z), np.r_[0.0, slopes]
    precision = prior_dates * _spread(Z, weight)
    curvature = (A * weight[:, None]).T @ A + np.diag(precision)
    return _least_quadratic(curvature, A.T @ (weight * value) + precision * centre, _lower(Z))


def _design(Z: Vector) -> Vector:
    design: Vector = np.column_stack([np.ones(len(Z)), Z])
    return design


def _lower(Z: Vector) -> Vector:
    lower: Vector = np.r_[-np.inf, np.zeros(Z.shape[1])]
    return lower


def _spread(Z: Vector, weight: Vector) -> Vector:
    """(k + 1,) the variance that the prior takes for the intercept's column (1) and for the predictors (pooled)."""
    centred = Z - np.average(Z, axis=0, weights=weight)
    pooled = float(np.average((centred**2).mean(axis=1), weights=weight))
    spread: Vector = np.r_[1.0, np.full(Z.shape[1], max(pooled, LEAST_VARIANCE))]
    return spread


def _least_quadratic(curvature: Vector, linear: Vector, lower: Vector) -> Vector:
    """The x >= lower that minimises x' curvature x / 2 - linear' x, as bounded least squares by an active set."""
    root = cholesky(curvature)
    right = solve_triangular(root, linear, trans="T")
    found: Vector = lsq_linear(root, right, bounds=(lower, np.inf), method="bvls", tol=1e-14).x
    return found
