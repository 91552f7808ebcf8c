"""What a model must beat to deserve the word skill."""

# ruff: noqa: ARG002, ARG004 -- a baseline ignores much of what the interface offers

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from optuna.trial import BaseTrial

from ml.errors import TrainingError
from ml.estimators.files import field, read_document, write_document
from ml.estimators.interface import Estimator, Flags, Matrix, Params, Vector

FORMAT = 1
DOCUMENT = "estimator.json"


@dataclass(frozen=True)
class Outcomes:
    """The outcomes of the training rows: all that a climatology looks at."""

    up: Flags
    value: Vector


class Climatology(Estimator):
    """Says the training rows' share of rises and their mean value, whatever the features are.

    The share is shrunk by one imaginary rise and one fall (Laplace's rule of succession), so that
    it is never exactly 0 or 1.
    """

    name: ClassVar[str] = "climatology"
    defaults: ClassVar[Params] = {}

    def __init__(self) -> None:
        self._p_up = np.nan
        self._mean = np.nan

    @staticmethod
    def space(trial: BaseTrial) -> Params:
        return {}

    @staticmethod
    def prepare(X: Matrix, up: Flags, value: Vector, threads: int) -> Outcomes:
        return Outcomes(up, value)

    def fit_prepared(self, data: Outcomes, params: Params, seed: int, threads: int) -> Self:
        if data.up.size == 0:
            raise TrainingError("no training rows", "at least one", "Give a longer history")
        self._p_up = (float(data.up.sum()) + 1) / (data.up.size + 2)
        self._mean = float(data.value.mean())
        return self

    @classmethod
    def direction(cls, data: Outcomes, X: Matrix, params: Params, seed: int, threads: int) -> Vector:
        return cls().fit_prepared(data, params, seed, threads).predict(X)[0]

    def predict(self, X: Matrix) -> tuple[Vector, Vector]:
        return np.full(len(X), self._p_up), np.full(len(X), self._mean)

    def save(self, directory: Path) -> None:
        write_document(directory / DOCUMENT, self.name, FORMAT, {"p_up": self._p_up, "mean": self._mean})

    @classmethod
    def load(cls, directory: Path) -> Self:
        document = read_document(directory / DOCUMENT, cls.name, FORMAT)
        loaded = cls()
        loaded._p_up, loaded._mean = float(field(document, "p_up")), float(field(document, "mean"))
        return loaded
