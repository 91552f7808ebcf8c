"""How unlike the training rows a row is: whether a model is asked about something it has never seen.

A feature is strange as far as its value lies outside the central 99 % of the training rows, in widths of that range and
at most 1; a missing value is strange (1) when fewer than 1 % of the training rows miss it. A row's dissimilarity is the
mean over its features: 0 inside of everything, 1 outside of everything. Ranges are quantiles, so neither fat tails nor
units matter, and a row's strange features can be named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ml.errors import FrameError, TrainingError
from ml.estimators.interface import Flags, Matrix, Vector
from ml.lifecycle.documents import Document

MOST_ROWS = 50_000
OUTSIDE = 0.005
OUTLIER = 0.999
CHUNK = 16_384


@dataclass(frozen=True)
class Dissimilarity(Document):
    """low, high: (f,) the training rows' 0.5 % and 99.5 % quantiles. rarely_missing: (f,). threshold: the 99.9 %
    quantile of the training rows' own scores."""

    kind: ClassVar[str] = "dissimilarity"
    low: tuple[float, ...]
    high: tuple[float, ...]
    rarely_missing: tuple[bool, ...]
    threshold: float

    def strangeness(self, X: Matrix) -> Vector:
        """(n, f) how strange each value is, from 0 to 1. X: (n, f) float32, NaN means missing."""
        if X.shape[1] != len(self.low):
            raise FrameError(f"{X.shape[1]} features", f"{len(self.low)}, as in training", "Give the model's features")
        low, high = np.array(self.low, np.float32), np.array(self.high, np.float32)
        # In double precision no difference of two floats of single precision overflows.
        width = high.astype(np.float64) - low
        beyond = np.maximum(low - X.astype(np.float64), X - high.astype(np.float64))
        # What never varied in training has no width: any other value is wholly strange.
        strange = np.clip(np.divide(beyond, width, out=np.sign(beyond), where=width > 0), 0, 1)
        return np.where(np.isnan(X), np.array(self.rarely_missing, np.float32), strange)

    def score(self, X: Matrix) -> Vector:
        """(n,) the dissimilarity of rows, from 0 to 1."""
        chunks = [self.strangeness(X[i : i + CHUNK]).mean(axis=1, dtype=np.float64) for i in range(0, len(X), CHUNK)]
        return np.concatenate(chunks) if chunks else np.empty(0)

    def is_outlier(self, score: Vector) -> Flags:
        """(n,) whether a row is less like the training rows than all but one in a thousand of them."""
        return score > self.threshold


def fit(X: Matrix, seed: int) -> Dissimilarity:
    """Learn from training rows X (n, f) float32, NaN meaning missing; from MOST_ROWS of them, drawn by `seed`, when
    there are more. TrainingError without rows. A feature that no row has is never strange, present or not."""
    if len(X) == 0:
        raise TrainingError("no training rows", "at least one", "Give a longer history")
    if len(X) > MOST_ROWS:
        X = X[np.sort(np.random.default_rng(seed).choice(len(X), MOST_ROWS, replace=False))]
    ordered = np.sort(X, axis=0)  # missing values last
    known = (~np.isnan(X)).sum(axis=0)
    bounds = [_quantile(ordered, known, level) for level in (OUTSIDE, 1 - OUTSIDE)]
    missing = 1 - known / len(X)
    unfit = Dissimilarity(
        low=tuple(np.where(known > 0, bounds[0], np.finfo(np.float32).min).tolist()),
        high=tuple(np.where(known > 0, bounds[1], np.finfo(np.float32).max).tolist()),
        rarely_missing=tuple((missing < 2 * OUTSIDE).tolist()),
        threshold=0.0,
    )
    threshold = float(np.quantile(unfit.score(X), OUTLIER))
    return Dissimilarity(unfit.low, unfit.high, unfit.rarely_missing, threshold)


def _quantile(ordered: Matrix, known: Vector, level: float) -> Matrix:
    """(f,) of each column's known values, which stand first and ascending."""
    at = np.round(level * np.maximum(known - 1, 0)).astype(np.int64)
    return ordered[at, np.arange(ordered.shape[1])]
