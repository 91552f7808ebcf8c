"""Who would promote on a night: the gate, and what is done elsewhere. Each takes all nights of a year at once.

d: (nights, dates), candidate minus champion by date, a night's dates in order of time. Each returns (nights,) flags.
What others do is one-sided at 5 % on every night.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student_t

from ml.lifecycle.looks import SHARES, Budget, look
from ml.lifecycle.significance import critical_value, degrees_of_freedom, nominal_level
from tests.study.nights import Year
from tests.study.returns import Flags, Reals

LEVEL = 0.05
POINTS = 0.02


def gate(d: Reals, horizon: int, alpha: float) -> Flags:
    """`ml.lifecycle.comparison.decide` at the door `replace`, at the alpha of one look."""
    dof = degrees_of_freedom(d.shape[1], horizon)
    return np.asarray(cosine_statistics(d, dof) >= critical_value(nominal_level(alpha, horizon), dof))


def looks(followed: Reals, size: Year, horizon: int, budget: Budget) -> Flags:
    """(looks,) whether the gate promotes anybody at each look of a year: the night's candidate, or one that earlier
    looks have not decided (`ml.lifecycle.looks`), each on its window and what came since then."""
    found = np.zeros(size.looks, dtype=np.bool_)
    for now in range(size.looks):
        for number, _ in enumerate(SHARES, start=1):
            candidate = len(SHARES) + now - number
            seen = followed[candidate, : size.window + (number - 1) * size.apart]
            found[now] |= bool(gate(seen[None], horizon, look(budget, number).alpha)[0])
    return found


def cosine_statistics(d: Reals, dof: int) -> Reals:
    """The statistic of `ml.lifecycle.significance.ewc_test` for every row."""
    dates = d.shape[1]
    mean = d.mean(axis=1)
    phase = np.pi * (np.arange(dates) + 0.5) / dates
    cosines = np.cos(np.outer(phase, np.arange(1, dof + 1)))
    long_run = np.mean(2 / dates * ((d - mean[:, None]) @ cosines) ** 2, axis=1)
    return np.asarray(mean / np.sqrt(long_run / dates))


def higher_mean(d: Reals) -> Flags:
    """The point comparison: whoever scores higher."""
    return np.asarray(d.mean(axis=1) > 0)


def two_points(right: Reals) -> Flags:
    """Accuracy higher by two percentage points. right: as d, in shares of directions that were right."""
    return np.asarray(right.mean(axis=1) >= POINTS)


def mcnemar(right: Reals, apart: Reals, symbols: int) -> Flags:
    """McNemar (1947) over all rows as if independent. apart: (nights, dates) the share of rows of which one is right.

    z = (b - c) / sqrt(b + c), where b rows were right with the candidate alone, c with the champion alone.
    """
    more, either = right.sum(axis=1) * symbols, apart.sum(axis=1) * symbols
    return np.asarray(more > norm.isf(LEVEL) * np.sqrt(either))


def per_date_t(d: Reals) -> Flags:
    """Student's t-test of the mean by date, as if dates were independent."""
    dates = d.shape[1]
    error = d.std(axis=1, ddof=1) / math.sqrt(dates)
    return np.asarray(d.mean(axis=1) > student_t.isf(LEVEL, dates - 1) * error)


def lags(dates: int, horizon: int) -> int:
    """h - 1, or the rule of thumb 4 (T / 100)^(2/9) (Newey and West 1994) where that is more."""
    return max(horizon - 1, math.floor(4 * math.pow(dates / 100, 2 / 9)))


def diebold_mariano(d: Reals, horizon: int) -> Flags:
    """Diebold and Mariano (1995), the long-run variance by Newey and West (1987), against the normal distribution."""
    dates = d.shape[1]
    most = lags(dates, horizon)
    about = d - d.mean(axis=1, keepdims=True)
    variance = np.mean(about**2, axis=1)
    for lag in range(1, most + 1):
        variance += 2 * (1 - lag / (most + 1)) * np.sum(about[:, lag:] * about[:, :-lag], axis=1) / dates
    return np.asarray(d.mean(axis=1) > norm.isf(LEVEL) * np.sqrt(variance / dates))
