"""How weights of members may follow the regime: a softmax of a linear function of standardised features."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_expit

from ml.estimators.interface import Flags, Vector
from ml.lifecycle.logistic import EVEN_ODDS_VARIANCE

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


def learned_preferences(regime: Vector, odds: Vector, up: Flags, evidence: Vector, prior_dates: float) -> Vector:
    """(1 + r, m) coefficients that minimise the log-loss of the members' log-odds (n, m), pooled by the weights.

    evidence: (n,) whose sum is the number of independent dates. The normal prior around 0 is as sharp as the
    likelihood of `prior_dates` dates is, on average, about one member's preference where all count alike.
    By L-BFGS, from 0. Rows lie along the last axis here: sums over few members are many times faster that way.
    """
    X = np.vstack([np.ones(len(regime)), regime.T])
    Z = np.ascontiguousarray(odds.T)
    shape = (len(X), len(Z))
    precision = prior_dates * EVEN_ODDS_VARIANCE * float(np.average(Z.var(axis=0), weights=evidence)) / len(Z)
    if precision == 0:
        return np.zeros(shape)
    sign = np.where(up, 1.0, -1.0)

    def objective(flat: Vector) -> tuple[float, Vector]:
        coefficients = flat.reshape(shape)
        shares = coefficients.T @ X
        shares -= shares.max(axis=0)
        np.exp(shares, out=shares)
        shares /= shares.sum(axis=0)
        pooled = (shares * Z).sum(axis=0)
        loss = 0.5 * precision * float(flat @ flat) - float(evidence @ log_expit(sign * pooled))
        pull = evidence * (expit(pooled) - up)
        gradient = X @ (shares * (Z - pooled) * pull).T + precision * coefficients
        # In units of the prior's own sharpness, so that the optimiser's tolerances mean the same everywhere.
        return loss / precision, gradient.ravel() / precision

    settings = {"maxiter": 300, "ftol": 1e-9, "gtol": 1e-4}
    found = minimize(objective, np.zeros(shape[0] * shape[1]), jac=True, method="L-BFGS-B", options=settings)
    return np.asarray(found.x, dtype=np.float64).reshape(shape)
