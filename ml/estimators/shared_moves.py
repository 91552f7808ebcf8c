"""How much the rows of one period tell together, when something moved all of them.

Where outcomes of a period's rows are correlated by rho, n of its rows are not n pieces of evidence: their mean is known
to a variance of rho + (1 - rho) / n only, while what sets them apart from each other is known as well as ever. Losses
that take rows for independent therefore learn by heart which way everything moved on the training dates, through
whatever feature tells these dates apart, and what was learned so stands between the symbols of a later date as noise.
Seen with planted signals (docs/planted-truth.md): boosted trees found an eighth of an IC of 0.03, and most of it when a
period's mean counted for what it is worth.

The remedy is generalised least squares with an exchangeable correlation within periods (random effects, Balestra and
Nerlove 1966), and for the event its counterpart among estimating equations (Liang and Zeger 1986): of every period's
mean error the share n rho / (1 - rho + n rho) is left out. With rho = 0 nothing is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from ml.estimators.panel import Codes, Sample, Vector

FEWEST_PERIODS = 2


@dataclass(frozen=True)
class SharedMoves:
    """period: (n,) codes from 0 of the rows. weight: (n,) how much they count. left_out: (t,) the share of each
    period's mean error that counts for nothing."""

    period: Codes
    weight: Vector
    left_out: Vector

    @classmethod
    def of(cls, sample: Sample, outcome: Vector) -> Self:
        """With the correlation of `outcome` (n,) within the periods of the sample's rows."""
        _, period = np.unique(sample.panel.period[sample.at], return_inverse=True)
        rows = np.bincount(period).astype(np.float64)
        together = rows * correlation_within(period, outcome)
        return cls(period.astype(np.int64), sample.weight, together / (1 - together / rows + together))

    def apart(self, errors: Vector) -> Vector:
        """(n,) weighted errors, each period's shared part left out in proportion to the rows' weights."""
        shared = self.left_out * self.sums(errors) / self.sums(self.weight)
        return errors - self.weight * shared[self.period]

    def told(self, outcome: Vector) -> Vector:
        """(n,) outcomes, each period's mean brought nearer to that of all by the share that is no evidence.

        For learners that see a few rows at a time, and so no period's mean error: as long as what is answered differs
        little between periods, errors against these are errors `apart`. A move of all rows together is hardly learned.
        """
        mean = self.sums(self.weight * outcome) / self.sums(self.weight)
        away = self.left_out * (mean - np.average(outcome, weights=self.weight))
        told: Vector = outcome - away[self.period]
        return told

    def sums(self, values: Vector) -> Vector:
        """(t,) by period, of (n,) values."""
        return np.bincount(self.period, weights=values, minlength=self.left_out.size).astype(np.float64, copy=False)


def correlation_within(period: Codes, outcome: Vector) -> float:
    """The correlation of two rows of one period, 0 or more, by analysis of variance (Fisher 1925).

    0 as well where it cannot be told: a single period, or no period with two rows.
    """
    rows = np.bincount(period)
    if rows.size < FEWEST_PERIODS or rows.max() == 1:
        return 0.0
    mean = np.bincount(period, weights=outcome) / rows
    within = np.sum((outcome - mean[period]) ** 2) / (outcome.size - rows.size)
    between = np.sum(rows * (mean - outcome.mean()) ** 2) / (rows.size - 1)
    typical = (outcome.size - np.sum(rows**2) / outcome.size) / (rows.size - 1)
    total = between + (typical - 1) * within
    # Correlated to the last bit, a period would be worth nothing beside its mean: a hair is left.
    return float(np.clip((between - within) / total, 0.0, 0.999)) if total > 0 else 0.0
