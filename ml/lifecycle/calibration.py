"""Calibrators: maps of a probability to a better one, learned from out-of-fold predictions.

All are monotone, so they never turn the order of two rows around, and none says 0 or 1.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression

from ml.errors import RegistryError, TrainingError
from ml.estimators.interface import Flags, Vector
from ml.estimators.panel import Codes
from ml.lifecycle.documents import Document
from ml.lifecycle.logistic import Prior, log_odds, logistic_regression
from ml.lifecycle.metrics import EPSILON, Dates, date_weights

PRECISION, LEVEL_DATES = 0.05, 5.0
"""The belief that a probability is right as it stands (`logistic.Prior`; Platt, beta)."""
OWN_SHARE = 0.01
"""What an isotonic map keeps of the probability itself, so that rows on one of its steps keep their order."""


class Calibrator(Document, ABC):
    """p -> p, never falling. p: (n,) probabilities; the answers lie in [EPSILON, 1 - EPSILON]."""

    @classmethod
    @abstractmethod
    def fit(cls, p: Vector, up: Flags, weight: Vector) -> Self:
        """Learn from predictions p (n,) of rows and what came, up (n,).

        weight: (n,) whose sum is the number of dates that the rows are worth (`date_weights`, say).
        """

    @abstractmethod
    def _map(self, p: Vector) -> Vector: ...

    def calibrate(self, p: Vector) -> Vector:
        """(n,) the calibrated probabilities."""
        return np.clip(self._map(p), EPSILON, 1 - EPSILON)


@dataclass(frozen=True)
class Uncalibrated(Calibrator):
    """Leaves probabilities as they are."""

    kind: ClassVar[str] = "none"

    @classmethod
    def fit(cls, p: Vector, up: Flags, weight: Vector) -> Self:  # noqa: ARG003
        return cls()

    def _map(self, p: Vector) -> Vector:
        return p


@dataclass(frozen=True)
class Platt(Calibrator):
    """logit q = intercept + slope logit p, slope >= 0 (Platt 1999, on log-odds)."""

    kind: ClassVar[str] = "platt"
    intercept: float
    slope: float

    @classmethod
    def fit(cls, p: Vector, up: Flags, weight: Vector) -> Self:
        prior = Prior(np.ones(1), PRECISION, LEVEL_DATES)
        return cls(*logistic_regression(log_odds(p)[:, None], up, weight, prior).tolist())

    def _map(self, p: Vector) -> Vector:
        mapped: Vector = expit(self.intercept + self.slope * log_odds(p))
        return mapped


@dataclass(frozen=True)
class Beta(Calibrator):
    """logit q = intercept + a ln p - b ln(1 - p), a and b >= 0 (Kull, Silva Filho and Flach 2017).

    Unlike Platt's it may bend rises and falls differently.
    """

    kind: ClassVar[str] = "beta"
    intercept: float
    a: float
    b: float

    @classmethod
    def fit(cls, p: Vector, up: Flags, weight: Vector) -> Self:
        prior = Prior(np.ones(2), PRECISION, LEVEL_DATES)
        return cls(*logistic_regression(cls._predictors(p), up, weight, prior).tolist())

    def _map(self, p: Vector) -> Vector:
        rises, falls = self._predictors(p).T
        mapped: Vector = expit(self.intercept + self.a * rises + self.b * falls)
        return mapped

    @staticmethod
    def _predictors(p: Vector) -> Vector:
        clipped = np.clip(p, EPSILON, 1 - EPSILON)
        return np.column_stack([np.log(clipped), -np.log1p(-clipped)])


@dataclass(frozen=True)
class Isotonic(Calibrator):
    """Any rising map, by isotonic regression (Zadrozny and Elkan 2002), straight lines between its knots.

    It is kept 1 / (dates + 2) away from 0 and 1, as far as Laplace's rule goes when every date said the same.
    """

    kind: ClassVar[str] = "isotonic"
    said: tuple[float, ...]
    came: tuple[float, ...]

    @classmethod
    def fit(cls, p: Vector, up: Flags, weight: Vector) -> Self:
        margin = 1 / (float(weight.sum()) + 2)
        regression = IsotonicRegression(y_min=margin, y_max=1 - margin, out_of_bounds="clip")
        regression.fit(p, up.astype(np.float64), sample_weight=weight)
        return cls(tuple(regression.X_thresholds_.tolist()), tuple(regression.y_thresholds_.tolist()))

    def _map(self, p: Vector) -> Vector:
        mapped: Vector = (1 - OWN_SHARE) * np.interp(p, self.said, self.came) + OWN_SHARE * p
        return mapped


CALIBRATORS: dict[str, type[Calibrator]] = {each.kind: each for each in (Uncalibrated, Platt, Beta, Isotonic)}
"""By name, the simplest first."""


def fit(kind: str, p: Vector, up: Flags, weight: Vector) -> Calibrator:
    """A calibrator of a kind, fitted. TrainingError: an unknown kind, or no rows."""
    if kind not in CALIBRATORS or p.size == 0:
        raise TrainingError(
            f"a calibrator {kind!r} for {p.size} rows", f"one of {list(CALIBRATORS)} and rows", "Correct the recipe"
        )
    return CALIBRATORS[kind].fit(p, up, weight)


def from_document(document: Any) -> Calibrator:
    """What a calibrator's `to_document` wrote; RegistryError when it is anything else."""
    kind = document.get("kind") if isinstance(document, dict) else None
    if kind not in CALIBRATORS:
        raise RegistryError(f"a calibrator of kind {kind!r}", f"one of {list(CALIBRATORS)}", "Retrain the model")
    return CALIBRATORS[kind].from_document(document)


@dataclass(frozen=True)
class Reliability(Document):
    """What came when so much was said: the calibration curve, in bins of about equal weight (dates count alike).

    until: (k - 1,) the largest p of each bin but the last. said, came: (k,) mean p and share of rises. rows,
    dates: (k,) how many are behind it.
    """

    kind: ClassVar[str] = "reliability"
    until: tuple[float, ...]
    said: tuple[float, ...]
    came: tuple[float, ...]
    rows: tuple[int, ...]
    dates: tuple[int, ...]

    def bin_of(self, p: Vector) -> Codes:
        """(n,) the bin of each probability."""
        return np.searchsorted(np.array(self.until), p, side="left").astype(np.int64)


def reliability(p: Vector, up: Flags, ts: Dates, bins: int = 10) -> Reliability:
    """The curve of out-of-fold predictions p (n,). Equal p share a bin, so there may be fewer than `bins`.

    TrainingError without rows.
    """
    if p.size == 0:
        raise TrainingError("no predictions", "at least one", "Give a longer history")
    weight = date_weights(ts)
    order = np.argsort(p, kind="stable")
    reached = np.cumsum(weight[order]) / weight.sum()
    ends = np.searchsorted(reached, np.arange(1, bins) / bins)
    until = np.unique(p[order][np.minimum(ends, p.size - 1)])
    until = until[until < p.max()]
    bin_of = np.searchsorted(until, p, side="left")
    total = np.bincount(bin_of, weights=weight)
    dated = np.unique(np.column_stack([bin_of, np.unique(np.asarray(ts), return_inverse=True)[1]]), axis=0)
    return Reliability(
        until=tuple(until.tolist()),
        said=tuple((np.bincount(bin_of, weights=weight * p) / total).tolist()),
        came=tuple((np.bincount(bin_of, weights=weight * up) / total).tolist()),
        rows=tuple(np.bincount(bin_of).tolist()),
        dates=tuple(np.bincount(dated[:, 0]).tolist()),
    )
