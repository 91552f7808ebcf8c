"""Penalised linear models: logistic for the event, ridge for the value."""

# ruff: noqa: ARG002, ARG003, ARG004 -- nothing here is drawn by chance, and the threads are those of the linear algebra

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from optuna.trial import BaseTrial
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_matrix
from scipy.special import expit, logit

from ml.errors import RegistryError
from ml.estimators.files import field, read_document, write_document
from ml.estimators.interface import (
    Codes,
    Estimator,
    Matrix,
    Panel,
    Params,
    Sample,
    Tried,
    Vector,
    require_both_classes,
)
from ml.estimators.panel import rows_of
from ml.estimators.shared_moves import SharedMoves
from ml.estimators.turbulence import evened

CLIP = 5.0
ROWS_FOR_SCALES = 20_000
"""Evenly spaced training rows that medians and quartiles are taken of."""
NORMAL_QUARTILES = 1.349
"""Distance of the quartiles of a normal distribution, in standard deviations."""
CHUNK = 8192
STEEPEST = 0.25
"""The largest curvature of the log-loss, at even odds."""
MOST_STEPS, CONVERGED = 200, 1e-6
FORMAT = 1
DOCUMENT = "estimator.json"


@dataclass(frozen=True)
class Scaling:
    """Where each feature lies and how widely it spreads among training rows; (f,) each."""

    median: Matrix
    spread: Matrix

    @classmethod
    def of(cls, X: Matrix) -> Self:
        """Median and normal-equivalent quartile distance; the deviation where the quartiles coincide."""
        columns = np.sort(X[:: max(1, len(X) // ROWS_FOR_SCALES)].T, axis=1)  # NaN come last
        present = np.isfinite(columns).sum(axis=1)
        low, median, high = (_at_rank(columns, present, share) for share in (0.25, 0.5, 0.75))
        spread = (high - low) / np.float32(NORMAL_QUARTILES)
        for feature in np.flatnonzero(spread == 0):
            spread[feature] = np.std(columns[feature, : present[feature]]) if present[feature] else 1
        return cls(median, np.where(spread > 0, spread, np.float32(1)))

    def scaled(self, X: Matrix) -> Matrix:
        """(n, f + 1) features in spreads from their medians, clipped at +-5, 0 where missing; then ones."""
        Z = np.empty((len(X), X.shape[1] + 1), dtype=np.float32)
        own = Z[:, :-1]
        np.subtract(X, self.median, out=own)
        own /= self.spread
        np.clip(own, -CLIP, CLIP, out=own)
        np.nan_to_num(own, copy=False)
        Z[:, -1] = 1
        return Z


def _at_rank(columns: Matrix, present: Codes, share: float) -> Matrix:
    """(f,) the value at a share of each ascending row of `columns`, among those present; 0 where none is."""
    rank = np.round(share * np.maximum(present - 1, 0)).astype(np.int64)
    found = columns[np.arange(len(columns)), rank]
    return np.where(present > 0, found, np.float32(0))


@dataclass(frozen=True)
class Design:
    """Scaled training rows. Z: (n, f + 1), the last column ones."""

    sample: Sample
    scaling: Scaling
    Z: Matrix

    @cached_property
    def _outer(self) -> Vector:
        """(f + 1, f + 1) weighted sum of the rows' outer products."""
        size = self.Z.shape[1]
        total, weight = np.zeros((size, size)), self.sample.weight.astype(np.float32)
        # Sums of a chunk in single precision are exact enough and fast, those of the chunks are in double.
        for begin in range(0, len(self.Z), CHUNK):
            rows = self.Z[begin : begin + CHUNK]
            total += (rows * weight[begin : begin + CHUNK, None]).T @ rows
        return total

    def gram(self, moves: SharedMoves) -> Vector:
        """(f + 1, f + 1) weighted mean of the rows' outer products, without what periods share as far as that is no
        evidence."""
        by_period = csr_matrix((moves.weight, (moves.period, np.arange(len(self.Z))))) @ self.Z
        shared = by_period * (moves.left_out / moves.sums(moves.weight))[:, None]
        found: Vector = (self._outer - shared.T @ by_period) / len(self.Z)
        return found

    def penalty(self, strength: float) -> Vector:
        """(f + 1, f + 1) what is added to `gram`; the intercept goes free."""
        diagonal = np.full(self.Z.shape[1], strength)
        diagonal[-1] = 0
        return np.diag(diagonal)


class Linear(Estimator):
    """Logistic and ridge regression on features scaled by medians and quartiles of the training rows.

    `penalty` is the squared length of the coefficients against the mean loss of a row, so one setting means
    the same on few rows and on many; it is measured in the loss's own curvature, so it shrinks both models
    alike. The ridge learns value / std(training values), clipped at +-5, from turbulent periods less (`turbulence`).
    """

    name: ClassVar[str] = "linear"
    defaults: ClassVar[Params] = {"penalty": 10.0}

    def __init__(self) -> None:
        self._scaling = Scaling(np.empty(0, np.float32), np.empty(0, np.float32))
        self._event: Vector = np.empty(0)
        self._value: Vector = np.empty(0)

    @staticmethod
    def space(trial: BaseTrial) -> Params:
        return {"penalty": trial.suggest_float("penalty", 0.01, 1000.0, log=True)}

    @staticmethod
    def prepare(sample: Sample, threads: int) -> Design:
        X = sample.X
        scaling = Scaling.of(X)
        return Design(sample, scaling, scaling.scaled(X))

    def fit_prepared(self, data: Design, params: Params, seed: int, threads: int) -> Self:
        self._scaling = data.scaling
        self._event = _logistic(data, float(params["penalty"]))
        self._value = _ridge(data, float(params["penalty"]))
        return self

    @classmethod
    def tried(cls, data: Design, test: Sample, params: Params, seed: int, threads: int) -> Tried:
        coefficients = _logistic(data, float(params["penalty"]))
        return Tried(expit(_said(data.scaling.scaled(test.X), coefficients)), params)

    def predict(self, panel: Panel, at: Codes) -> tuple[Vector, Vector]:
        Z = self._scaling.scaled(rows_of(panel.X, at))
        return expit(_said(Z, self._event)), _said(Z, self._value)

    def contributions(self, panel: Panel, at: Codes) -> Matrix:
        """Coefficient x scaled feature: relative to a row of medians."""
        Z = self._scaling.scaled(rows_of(panel.X, at))
        own: Matrix = Z[:, :-1] * self._event[:-1].astype(np.float32)
        return own

    def save(self, directory: Path) -> None:
        content = {
            "median": self._scaling.median.tolist(),
            "spread": self._scaling.spread.tolist(),
            "event": self._event.tolist(),
            "value": self._value.tolist(),
        }
        write_document(directory / DOCUMENT, self.name, FORMAT, content)

    @classmethod
    def load(cls, directory: Path) -> Self:
        document = read_document(directory / DOCUMENT, cls.name, FORMAT)
        loaded = cls()
        median, spread, event, value = (
            np.asarray(field(document, name), dtype=np.float64) for name in ("median", "spread", "event", "value")
        )
        if not median.size == spread.size == event.size - 1 == value.size - 1:
            raise RegistryError(
                f"a linear model of {median.size} medians, {spread.size} spreads, {event.size} and {value.size} "
                "coefficients",
                "one of each per feature, and an intercept",
                "Fetch the model again or retrain it",
            )
        loaded._scaling = Scaling(median.astype(np.float32), spread.astype(np.float32))
        loaded._event, loaded._value = event, value
        return loaded


def _logistic(data: Design, strength: float) -> Vector:
    """(f + 1,) coefficients of the penalised logistic regression, the intercept last.

    Estimating equations, whose solution is no minimum of a loss, but of the log-loss where rows share nothing. Each
    step takes the steepest curvature that the log-loss has anywhere, so it falls short of the solution and never
    beyond: near even odds, where outcomes are hard to foretell, a few steps are enough.
    """
    require_both_classes(data.sample)
    rate, up = data.sample.rate, data.sample.up.astype(np.float64)
    weight = data.sample.weight / len(data.sample)
    moves = SharedMoves.of(data.sample, up)
    penalty = rate * (1 - rate) * data.penalty(strength)
    curvature = cho_factor(STEEPEST * data.gram(moves) + penalty)
    b: Vector = np.zeros(data.Z.shape[1])
    b[-1] = logit(rate)
    for _ in range(MOST_STEPS):
        error = moves.apart(weight * (expit((data.Z @ b.astype(np.float32)).astype(np.float64)) - up))
        step = cho_solve(curvature, (error.astype(np.float32) @ data.Z).astype(np.float64) + penalty @ b)
        b = b - step
        if np.abs(step).max() < CONVERGED:
            break
    return b


def _ridge(data: Design, strength: float) -> Vector:
    """(f + 1,) coefficients of the ridge regression in units of the value, the intercept last."""
    std = float(np.std(data.sample.value))
    data = replace(data, sample=evened(data.sample))
    value = np.clip(data.sample.value / std, -CLIP, CLIP)
    moves = SharedMoves.of(data.sample, value)
    told = moves.apart(value * data.sample.weight / len(data.sample)).astype(np.float32)
    moments = (told @ data.Z).astype(np.float64)
    coefficients: Vector = cho_solve(cho_factor(data.gram(moves) + data.penalty(strength)), moments) * std
    return coefficients


def _said(Z: Matrix, coefficients: Vector) -> Vector:
    said: Vector = Z.astype(np.float64) @ coefficients
    return said
