"""How weights of members may follow the regime: a softmax of a linear function of standardised features."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_expit

from ml.estimators.interface import Flags, Vector

LIMIT = 3.0
"""Deviations beyond which a feature moves weights no further: nothing was learned out there."""


def moments(regime: Vector, weight: Vector) -> tuple[Vector, Vector]:
    """Mean and deviation (r,) of the features (n, r) over the rows that have them; 1 where nothing deviates.

    Rows weigh `weight` (n,). A feature that no row has gives 0 and 1.
    """
    known = np.isfinite(regime)
    weights = weight[:, None] * known
    total = np.maximum(weights.sum(axis=0), np.finfo(float).tiny)
    centre = (weights * np.where(known, regime, 0)).sum(axis=0) / total
    spread = np.sqrt((weights * np.where(known, regime - centre, 0) ** 2).sum(axis=0) / total)
    return centre, np.where(spread > 1e-9 * np.abs(centre), spread, 1.0)


def standardised(regime: Vector, centre: Vector, spread: Vector) -> Vector:
    """(n, r) deviations from the mean, cut at +-LIMIT; 0 where a feature is missing or infinite."""
    known = np.isfinite(regime)
    return np.clip((np.where(known, regime, centre) - centre) / spread, -LIMIT, LIMIT)


def preferences(regime: Vector, coefficients: Vector) -> Vector:
    """(n, m) of standardised features (n, r) and coefficients (1 + r, m); their softmax are the weights.

    Not a matrix product, whose last bits depend on how many rows stand beside a row.
    """
    found = np.tile(coefficients[0], (len(regime), 1))
    for column, slopes in zip(regime.T, coefficients[1:], strict=True):
        found += column[:, None] * slopes
    return found


def learned_preferences(
    regime: Vector, odds: Vector, up: Flags, evidence: Vector, *, precision: float, sharpness_precision: float
) -> tuple[Vector, float]:
    """Coefficients (1 + r, m) and a sharpness that minimise the log-loss of logit p = sharpness x pooled log-odds.

    odds: (n, m) of the members; evidence: (n,) whose sum is the number of independent dates. The precisions are those
    of normal beliefs: coefficients around 0, the sharpness, never negative, around 1. By L-BFGS, from there. Without a
    sharpness of its own, a member that is right but too bold would be diluted by those that are not.
    """
    X = np.vstack([np.ones(len(regime)), regime.T])
    # Rows lie along the last axis: sums over few members are many times faster that way.
    Z = np.ascontiguousarray(odds.T)
    shape, sign = (len(X), len(Z)), np.where(up, 1.0, -1.0)

    def objective(flat: Vector) -> tuple[float, Vector]:
        coefficients, sharpness = flat[1:].reshape(shape), flat[0]
        shares = coefficients.T @ X
        shares -= shares.max(axis=0)
        np.exp(shares, out=shares)
        shares /= shares.sum(axis=0)
        pooled = (shares * Z).sum(axis=0)
        penalty = precision * (coefficients**2).sum() + sharpness_precision * (sharpness - 1) ** 2
        loss = 0.5 * penalty - evidence @ log_expit(sign * sharpness * pooled)
        pull = evidence * (expit(sharpness * pooled) - up)
        by_coefficient = sharpness * (X @ (shares * (Z - pooled) * pull).T) + precision * coefficients
        by_sharpness = pull @ pooled + sharpness_precision * (sharpness - 1)
        return float(loss), np.r_[by_sharpness, by_coefficient.ravel()]

    start = np.r_[1.0, np.zeros(shape[0] * shape[1])]
    bounds = [(0, None), *[(None, None)] * (start.size - 1)]
    settings = {"maxiter": 300, "ftol": 1e-10, "gtol": 1e-4}
    found = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options=settings).x
    return found[1:].reshape(shape).astype(np.float64), float(found[0])
