"""Linear models on members' answers, small and exact: slopes that are never negative, and a stated prior.

The prior is normal around given slopes, and around what they say of the average row (the level). Where a date counts as
one observation, strong signals soon overrule it, and weak ones on few dates do not.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import lsq_linear
from scipy.special import expit, log_expit

from ml.estimators.interface import Flags, Vector
from ml.lifecycle.metrics import EPSILON

MAX_STEPS = 50
CONVERGED = 1e-10
TINY, SINGULAR = np.finfo(np.float64).tiny, 1e-12


class Prior(NamedTuple):
    """What is believed beforehand. slopes: (k,). precision: 1 / variance of each slope. level_dates: how many dates
    the belief about the average row's answer is worth."""

    slopes: Vector
    precision: float
    level_dates: float


def log_odds(p: Vector) -> Vector:
    """ln(p / (1 - p)) of probabilities, kept EPSILON away from 0 and 1."""
    clipped = np.clip(p, EPSILON, 1 - EPSILON)
    odds: Vector = np.log(clipped / (1 - clipped))
    return odds


def logistic_regression(Z: Vector, up: Flags, weight: Vector, prior: Prior) -> Vector:
    """(k + 1,) intercept and slopes >= 0 of logit p(up) = a + Z b, the most probable under the prior.

    Z: (n, k) predictors. weight: (n,) whose sum is the number of dates that the rows are worth. Newton's method; each
    step solves its bounded quadratic exactly.
    """
    A, mean = _design(Z, weight)
    centre: Vector = np.r_[mean @ prior.slopes, prior.slopes]
    # At even odds a date knows 1/4 about the level.
    precision: Vector = np.r_[prior.level_dates / 4, np.full(prior.slopes.size, prior.precision)]

    def loss(coefficients: Vector) -> float:
        fit = weight @ log_expit(np.where(up, 1.0, -1.0) * (A @ coefficients))
        return float(0.5 * precision @ (coefficients - centre) ** 2 - fit)

    found = centre
    for _ in range(MAX_STEPS):
        p = expit(A @ found)
        gradient = A.T @ (weight * (p - up)) + precision * (found - centre)
        curvature = (A * (weight * p * (1 - p))[:, None]).T @ A + np.diag(precision)
        step = _least_quadratic(curvature, curvature @ found - gradient) - found
        # Newton may overshoot far from the optimum; towards the bounded minimum the loss always falls at first.
        size, before = 1.0, loss(found)
        while size > CONVERGED and loss(found + size * step) > before:
            size /= 2
        if np.abs(size * step).max() <= CONVERGED * max(1.0, np.abs(found).max()):
            break
        found = found + size * step
    return _uncentred(found, mean)


def linear_regression(Z: Vector, value: Vector, weight: Vector, prior: Prior) -> Vector:
    """(k + 1,) intercept and slopes >= 0 of E[value] = a + Z b by least squares in units of value's variance, shrunk as
    in `logistic_regression`."""
    A, mean = _design(Z, weight)
    centre: Vector = np.r_[mean @ prior.slopes, prior.slopes]
    variance = float(np.average((value - np.average(value, weights=weight)) ** 2, weights=weight))
    seen = (A * weight[:, None]).T @ A
    # Of values that never differ the prior would know nothing, and of twins among the predictors no fit would be one.
    least = max(TINY, SINGULAR * float(seen.diagonal()[1:].max()))
    precision: Vector = np.r_[prior.level_dates, np.full(prior.slopes.size, max(prior.precision * variance, least))]
    curvature = seen + np.diag(precision)
    return _uncentred(_least_quadratic(curvature, A.T @ (weight * value) + precision * centre), mean)


def _design(Z: Vector, weight: Vector) -> tuple[Vector, Vector]:
    """Ones beside centred predictors (n, k + 1), and the predictors' means (k,)."""
    mean = np.average(Z, axis=0, weights=weight)
    return np.column_stack([np.ones(len(Z)), Z - mean]), mean


def _uncentred(found: Vector, mean: Vector) -> Vector:
    slopes = np.maximum(found[1:], 0.0)  # a step to zero may be rounded to just below it
    coefficients: Vector = np.r_[found[0] - mean @ slopes, slopes]
    return coefficients


def _least_quadratic(curvature: Vector, linear: Vector) -> Vector:
    """The x, >= 0 but for the intercept, that minimises x' curvature x / 2 - linear' x: bounded least squares."""
    root = cholesky(curvature)
    right = solve_triangular(root, linear, trans="T")
    lower: Vector = np.r_[-np.inf, np.zeros(linear.size - 1)]
    found: Vector = lsq_linear(root, right, bounds=(lower, np.inf), method="bvls", tol=1e-14).x
    return found
