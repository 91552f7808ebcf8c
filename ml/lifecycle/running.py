"""How the evidence of a comparison grew: the running mean of d_t over the dates, with its band.

The band is what the gate's own test says at each date: the running mean, give or take the equal-weighted cosine
standard error of all dates so far times Student's t. Its last point is the test's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student_t

from ml.estimators.interface import Vector
from ml.lifecycle.significance import MIN_DATES, MIN_HORIZONS, degrees_of_freedom, standard_error

COVERAGE = 0.95
MOST_PLACES = 300
"""At which the band is computed: each place weighs all dates before it, and no more can be told apart in a plot."""


@dataclass(frozen=True)
class Band:
    """Where the running mean surely lies. places: (P,) positions in d, ascending; lower, upper: (P,) in its unit."""

    places: Vector
    lower: Vector
    upper: Vector


def running_mean(d: Vector) -> Vector:
    """The mean of d (T,) up to and with each date."""
    return np.cumsum(d) / np.arange(1, d.size + 1)


def running_band(d: Vector, horizon: int, coverage: float = COVERAGE) -> Band:
    """The two-sided band of the running mean, from the first date on at which the gate's test can be made.

    d: (T,) finite differences by date, in order of time. No places when there are too few.
    """
    first = max(MIN_DATES, MIN_HORIZONS * horizon)
    if d.size < first:
        nothing = np.empty(0)
        return Band(np.empty(0, dtype=int), nothing, nothing)
    counts = np.unique(np.linspace(first, d.size, MOST_PLACES).round().astype(int))
    means = running_mean(d)[counts - 1]
    widths = np.array([_half_width(d[:count], horizon, coverage) for count in counts])
    return Band(counts - 1, means - widths, means + widths)


def _half_width(d: Vector, horizon: int, coverage: float) -> float:
    quantile = student_t.ppf((1 + coverage) / 2, degrees_of_freedom(d.size, horizon))
    return float(quantile) * standard_error(d, horizon)
