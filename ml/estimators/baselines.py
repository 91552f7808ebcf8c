"""What a model must beat to deserve the word skill."""

# ruff: noqa: ARG002, ARG004 -- a baseline ignores much of what the interface offers

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from optuna.trial import BaseTrial
from scipy.special import logit

from ml.errors import TrainingError
from ml.estimators.files import field, read_document, write_document
from ml.estimators.interface import Codes, Estimator, Matrix, Panel, Params, Sample, Tried, Vector
from ml.estimators.panel import rows_of

FORMAT = 1
DOCUMENT = "estimator.json"
FALLING, RISING, MISSING = 0, 1, 2
IMAGINARY = 2.0
"""Weight of the rows that shrink what was seen."""


class Baseline(Estimator):
    """Has nothing to search, to prepare or to stop early."""

    defaults: ClassVar[Params] = {}

    @staticmethod
    def space(trial: BaseTrial) -> Params:
        return {}

    @staticmethod
    def prepare(sample: Sample, threads: int) -> Sample:
        return sample

    @classmethod
    def tried(cls, data: Sample, test: Sample, params: Params, seed: int, threads: int) -> Tried:
        return Tried(cls().fit_prepared(data, params, seed, threads).predict(test.panel, test.at)[0], params)


class Climatology(Baseline):
    """Says the training rows' share of rises and their mean value, whatever the features are.

    The share is shrunk by one imaginary rise and one fall (Laplace's rule of succession), so that
    it is never exactly 0 or 1.
    """

    name: ClassVar[str] = "climatology"

    def __init__(self) -> None:
        self._p_up = np.nan
        self._mean = np.nan

    def fit_prepared(self, data: Sample, params: Params, seed: int, threads: int) -> Self:
        if len(data) == 0:
            raise TrainingError("no training rows", "at least one", "Give a longer history")
        self._p_up = (float(data.weight[data.up].sum()) + 1) / (float(data.weight.sum()) + 2)
        self._mean = float(np.average(data.value, weights=data.weight))
        return self

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


class Momentum(Baseline):
    """Says what followed in the training rows after the sign that one feature has: above zero, or not.

    `feature` is the feature's column, which only whoever builds the recipe can know. Each side's share of rises
    and mean value are shrunk by two imaginary rows of the climatology, so that a side that was hardly ever seen
    says little else; where the feature is missing, climatology answers.
    """

    name: ClassVar[str] = "momentum"

    def __init__(self) -> None:
        self._feature = 0
        self._p_up = np.full(3, np.nan)
        self._mean = np.full(3, np.nan)

    def fit_prepared(self, data: Sample, params: Params, seed: int, threads: int) -> Self:
        self._feature = _column(params, data.panel.X.shape[1])
        (share,), (mean,) = Climatology().fit_prepared(data, {}, seed, threads).predict(data.panel, data.at[:1])
        self._p_up[MISSING], self._mean[MISSING] = share, mean
        signs = self._signs(data.panel, data.at)
        for sign in (FALLING, RISING):
            rows = signs == sign
            weight = data.weight[rows]
            count = float(weight.sum()) + IMAGINARY
            self._p_up[sign] = (float(weight @ data.up[rows]) + IMAGINARY * share) / count
            self._mean[sign] = (float(weight @ data.value[rows]) + IMAGINARY * mean) / count
        return self

    def predict(self, panel: Panel, at: Codes) -> tuple[Vector, Vector]:
        signs = self._signs(panel, at)
        return self._p_up[signs], self._mean[signs]

    def contributions(self, panel: Panel, at: Codes) -> Matrix:
        """All of it the feature's, relative to climatology."""
        own = np.zeros((at.size, panel.X.shape[1]), dtype=np.float32)
        log_odds = logit(self._p_up)
        own[:, self._feature] = (log_odds - log_odds[MISSING])[self._signs(panel, at)]
        return own

    def save(self, directory: Path) -> None:
        content = {"feature": self._feature, "p_up": self._p_up.tolist(), "mean": self._mean.tolist()}
        write_document(directory / DOCUMENT, self.name, FORMAT, content)

    @classmethod
    def load(cls, directory: Path) -> Self:
        document = read_document(directory / DOCUMENT, cls.name, FORMAT)
        loaded = cls()
        loaded._feature = int(field(document, "feature"))
        loaded._p_up, loaded._mean = (np.asarray(field(document, name), dtype=np.float64) for name in ("p_up", "mean"))
        return loaded

    def _signs(self, panel: Panel, at: Codes) -> Codes:
        """(n,) FALLING, RISING or MISSING."""
        column = rows_of(panel.X[:, self._feature], at)
        return np.where(np.isnan(column), MISSING, np.where(column > 0, RISING, FALLING))


def _column(params: Params, width: int) -> int:
    """The column that `feature` names; TrainingError when it names none of `width`."""
    column = params.get("feature")
    if column is None or not 0 <= int(column) < width:
        raise TrainingError(
            f"a momentum feature in column {column}", f"a column from 0 to {width - 1}", "Name it in the recipe"
        )
    return int(column)
