"""Whether a mean of dependent differences is above zero: the equal-weighted cosine (EWC) test.

The long-run variance is estimated by equal-weighted cosines, whose statistic follows Student's t in
small samples, where the usual estimators reject far too often.
Lazarus, Lewis, Stock and Watson (2018), HAR Inference: Recommendations for Practice, JBES 36(4).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student_t

from ml.errors import TrainingError
from ml.estimators.interface import Vector

LONG_HORIZON, LONG_HORIZON_FACTOR = 20, 0.8
MIN_DATES, MIN_HORIZONS = 60, 6
ROUNDING = 1e-12
"""Relative to d, or to 1 where d is smaller: scores are of that order, and their differences no better known."""


@dataclass(frozen=True)
class TestResult:
    """mean and std_error in the unit of d; p_value one-sided for mean > 0.

    Without evidence to weigh (too few dates, no variation) statistic is 0, p_value 1 and `note` says why.
    """

    __test__ = False  # not a test class, whatever pytest thinks of its name

    mean: float
    std_error: float
    statistic: float
    dof: int
    p_value: float
    n_dates: int
    note: str = ""


def degrees_of_freedom(n_dates: int, horizon: int) -> int:
    """nu = floor(0.4 T^(2/3)), at least 1; for overlapping labels at most max(4, floor(T / (4 h)))."""
    # The cube root of T^2 is rounded first: T = 1000 must give 40, not 39.999...
    nu = max(1, math.floor(round(0.4 * math.pow(n_dates, 2 / 3), 9)))
    return min(nu, max(4, n_dates // (4 * horizon))) if horizon > 1 else nu


def ewc_test(d: Vector, horizon: int) -> TestResult:
    """One-sided test of mean(d) > 0 with the equal-weighted cosine long-run variance.

    d: (T,) differences by date, in order of time. horizon: periods over which labels overlap.
    TrainingError when d holds NaN or infinities. Fewer than max(60, 6 x horizon) dates, or a series
    without variation, give p = 1: they cannot speak for or against.
    """
    d = np.asarray(d, dtype=np.float64)
    if not np.isfinite(d).all():
        raise TrainingError(
            f"{int((~np.isfinite(d)).sum())} of {d.size} differences not finite",
            "a finite score on every date",
            "Score both models on identical rows without missing values",
        )
    nu = degrees_of_freedom(d.size, horizon)
    needed = max(MIN_DATES, MIN_HORIZONS * horizon)
    if d.size < needed:
        mean = float(d.mean()) if d.size else 0.0
        return TestResult(mean, 0.0, 0.0, nu, 1.0, d.size, f"{d.size} dates are too few, {needed} are needed")
    mean = float(d.mean())
    if np.ptp(d) <= ROUNDING * max(1.0, np.abs(d).max()):
        return TestResult(mean, 0.0, 0.0, nu, 1.0, d.size, "the difference is the same on every date")
    std_error = standard_error(d, horizon)
    statistic = mean / std_error
    return TestResult(mean, std_error, statistic, nu, float(student_t.sf(statistic, nu)), d.size)


def standard_error(d: Vector, horizon: int) -> float:
    """Of the mean of d (T,), in order of time, whose neighbours depend on each other over `horizon` periods."""
    return math.sqrt(_long_run_variance(d, degrees_of_freedom(d.size, horizon)) / d.size)


def _long_run_variance(d: Vector, nu: int) -> float:
    """Omega = mean over j = 1..nu of Lambda_j^2, Lambda_j = sqrt(2/T) sum_t d_t cos(pi j (t - 1/2) / T)."""
    phase = np.pi * (np.arange(d.size) + 0.5) / d.size
    cosines = np.cos(np.outer(np.arange(1, nu + 1), phase))
    # Cosines sum to zero, so removing the mean changes nothing but rounding.
    weights = math.sqrt(2 / d.size) * (cosines @ (d - d.mean()))
    return float(np.mean(weights**2))


def nominal_level(alpha: float, horizon: int) -> float:
    """The level to test at: 80 % of alpha from 20 periods on, where the test rejects a little too often."""
    return alpha * LONG_HORIZON_FACTOR if horizon >= LONG_HORIZON else alpha


def critical_value(level: float, dof: int) -> float:
    """The statistic above which `p_value` falls below `level`."""
    return float(student_t.isf(level, dof))
