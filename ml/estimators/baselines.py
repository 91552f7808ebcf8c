"""What a model must beat to deserve the word skill."""

# ruff: noqa: ARG002, ARG004 -- a baseline ignores much of what the interface offers

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from optuna.trial import BaseTrial

from ml.errors import TrainingError
from ml.estimators.files import field, read_document, write_document
from ml.estimators.interface import Codes, Estimator, Matrix, Panel, Params, Sample, Tried, Vector

FORMAT = 1
DOCUMENT = "estimator.json"


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
    def prepare(sample: Sample, threads: int) -> Sample:
        return sample

    def fit_prepared(self, data: Sample, params: Params, seed: int, threads: int) -> Self:
        if len(data) == 0:
            raise TrainingError("no training rows", "at least one", "Give a longer history")
        self._p_up = (float(data.weight[data.up].sum()) + 1) / (float(data.weight.sum()) + 2)
        self._mean = float(np.average(data.value, weights=data.weight))
        return self

    @classmethod
    def tried(cls, data: Sample, test: Sample, params: Params, seed: int, threads: int) -> Tried:
        return Tried(cls().fit_prepared(data, params, seed, threads).predict(test.panel, test.at)[0], params)

    def predict(self, panel: Panel, at: Codes) -> tuple[Vector, Vector]:
        return np.full(at.size, self._p_up), np.full(at.size, self._mean)

    def contributions(self, panel: Panel, at: Codes) -> Matrix:
        return np.zeros((at.size, panel.X.shape[1]), dtype=np.float32)

    def save(self, directory: Path) -> None:
        write_document(directory / DOCUMENT, self.name, FORMAT, {"p_up": self._p_up, "mean": self._mean})

    @classmethod
    def load(cls, directory: Path) -> Self:
        document = read_document(directory / DOCUMENT, cls.name, FORMAT)
        loaded = cls()
        loaded._p_up, loaded._mean = float(field(document, "p_up")), float(field(document, "mean"))
        return loaded
