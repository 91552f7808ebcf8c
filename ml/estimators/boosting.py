"""What the libraries of boosted trees share: the losses, rounds that leave out whole periods, and the common space.

The derivatives of a loss are computed here and handed to the library round by round, which costs next to
nothing. So its matrix of binned rows holds neither labels nor weights and serves every fit, and a round can
leave out the rows of whole periods. Neither library does that by itself: XGBoost draws single rows; LightGBM
4.7's `bagging_by_query` never tells the rows of the queries left out what the tree says about them, so its
trees answer for errors that are gone, and what they say comes out too strong (seen with the log-loss: a slope of
1.30 instead of 0.95, at a share of 0.7).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from optuna.trial import BaseTrial
from scipy.special import expit, logit

from ml.estimators.interface import Params, Sample, require_both_classes
from ml.estimators.shared_moves import SharedMoves
from ml.estimators.turbulence import evened

MAX_BIN = 63
"""Bins of a feature, besides the one of missing values."""
CLIP = 5.0
MOST_ROUNDS = 300
PATIENCE = 30
"""Rounds without a lower test loss after which a trial stops."""

Floats = npt.NDArray[np.float32]
Derivatives = Callable[[Floats], tuple[Floats, Floats]]
"""From margins (n,) to the loss's first and second derivatives by them, both (n,)."""

SHARED_DEFAULTS: Params = {
    "rounds": 100,
    "eta": 0.04,
    "min_child_share": 0.005,
    "subsample": 0.7,
    "colsample": 0.6,
    "lambda": 10.0,
    "alpha": 0.1,
}


def shared_space(trial: BaseTrial) -> Params:
    """What is searched whatever the shape of the trees.

    `min_child_share` is the smallest share of training rows that a leaf may hold, so that one setting means
    the same on an early fold and on the whole history; `subsample` the share of periods that a round looks at.
    `rounds` is not searched: a trial stops early and says where.
    """
    return {
        "eta": trial.suggest_float("eta", 0.03, 0.12, log=True),
        "min_child_share": trial.suggest_float("min_child_share", 0.0005, 0.02, log=True),
        "subsample": trial.suggest_float("subsample", 0.5, 1.0),
        "colsample": trial.suggest_float("colsample", 0.3, 1.0),
        "lambda": trial.suggest_float("lambda", 1.0, 100.0, log=True),
        "alpha": trial.suggest_float("alpha", 0.001, 10.0, log=True),
    }


@dataclass(frozen=True)
class Loss:
    """A loss of training rows by their margin, the sum of what the trees say.

    Of the first derivatives each period's shared part is left out as far as it is no evidence (`shared_moves`).

    start: the margin from which the first tree goes on. curvature: the mean second derivative there, in
    which a library measures how many rows a leaf holds.
    """

    start: float
    curvature: float
    derivatives: Derivatives


def event_loss(sample: Sample) -> Loss:
    """Log-loss of the event; the margin is its log-odds. TrainingError when the rows hold one class only."""
    require_both_classes(sample)
    up, weight = sample.up.astype(np.float32), sample.weight.astype(np.float32)
    moves = SharedMoves.of(sample, sample.up.astype(np.float64))

    def derivatives(margin: Floats) -> tuple[Floats, Floats]:
        p = expit(margin)
        return moves.apart(weight * (p - up)).astype(np.float32), weight * p * (1 - p)

    return Loss(float(logit(sample.rate)), sample.rate * (1 - sample.rate), derivatives)


def value_loss(sample: Sample, unit: float) -> Loss:
    """Half the squared error of the value, measured in `unit` and clipped at +-5 of them.

    Unclipped, a handful of extreme rows decides the splits. Turbulent periods count for less (`turbulence`).
    """
    sample = evened(sample)
    value = np.clip(sample.value / unit, -CLIP, CLIP).astype(np.float32)
    weight = sample.weight.astype(np.float32)
    moves = SharedMoves.of(sample, value.astype(np.float64))

    def derivatives(margin: Floats) -> tuple[Floats, Floats]:
        return moves.apart(weight * (margin - value)).astype(np.float32), weight

    return Loss(float(np.average(value, weights=sample.weight)), 1.0, derivatives)


def by_round(loss: Loss, sample: Sample, share: float, seed: int) -> Derivatives:
    """The loss's derivatives, zero on the rows of all but a share of the periods, drawn anew at each call.

    A row of zeros counts for nothing in a split, a leaf or a leaf's least weight: it is left out. Rows of one
    period share what moved all of them, so leaving out single rows would make a round hardly different.
    """
    periods, period = np.unique(sample.panel.period[sample.at], return_inverse=True)
    kept = max(1, round(share * periods.size))
    draw = np.random.default_rng(seed)

    def derivatives(margin: Floats) -> tuple[Floats, Floats]:
        looked_at = np.zeros(periods.size, dtype=np.float32)
        looked_at[draw.permutation(periods.size)[:kept]] = 1
        of_row = looked_at[period]
        gradient, curvature = loss.derivatives(margin)
        return gradient * of_row, curvature * of_row

    return derivatives


class Quantised:
    """Training rows in the bins of a library's own matrix: made once, shared by the fits of all trials."""

    def __init__(self, sample: Sample, matrix: Any, watchable: Callable[[Sample], Any]) -> None:
        self.sample, self.matrix, self._watchable = sample, matrix, watchable
        self._test: Sample | None = None
        self._watched: Any = None

    def watched(self, test: Sample) -> Any:
        """Test rows as the library watches them; kept, because the next trial asks for the same rows."""
        if self._test is not test:
            self._test, self._watched = test, self._watchable(test)
        return self._watched
