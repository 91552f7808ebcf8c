"""What every estimator promises: fit, predict, save and load, and a declared space to search.

An estimator learns two things from the same rows: the probability of the event (value > 0) and the
expected value. It knows nothing of dates, entities or domains.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from optuna.trial import BaseTrial

Params = Mapping[str, float | int]
Matrix = npt.NDArray[np.float32]
Vector = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


class Estimator(ABC):
    """Learns p(value > 0) and E[value] from rows of features.

    Shapes: X (n, f) float32 where NaN means missing and infinities are not allowed; up (n,) bool;
    value (n,) finite float64. The same data, params, seed and thread count give the same model.
    """

    name: ClassVar[str]
    defaults: ClassVar[Params]
    """Conservative parameters: the first trial of every search."""

    @staticmethod
    @abstractmethod
    def space(trial: BaseTrial) -> Params:
        """One point of the declared search space."""

    @staticmethod
    @abstractmethod
    def prepare(X: Matrix, up: Flags, value: Vector, threads: int) -> Any:
        """Training rows in the estimator's own form; made once, shared by many fits."""

    @abstractmethod
    def fit_prepared(self, data: Any, params: Params, seed: int, threads: int) -> Self:
        """Fit on what `prepare` returned. TrainingError when the rows hold one class only."""

    @classmethod
    @abstractmethod
    def direction(cls, data: Any, X: Matrix, params: Params, seed: int, threads: int) -> Vector:
        """p_up (n,) for X after fitting on `data`, identical to fit_prepared and predict but without the value part."""

    @abstractmethod
    def predict(self, X: Matrix) -> tuple[Vector, Vector]:
        """p_up (n,) in (0, 1) and expected value (n,), both finite."""

    @abstractmethod
    def save(self, directory: Path) -> None:
        """Write the fitted estimator into an existing directory; StoreError when that fails."""

    @classmethod
    @abstractmethod
    def load(cls, directory: Path) -> Self:
        """Read what `save` wrote, without pickle. StoreError: missing file; RegistryError: unknown format."""

    def fit(self, X: Matrix, up: Flags, value: Vector, params: Params, *, seed: int, threads: int) -> Self:
        """Prepare and fit."""
        return self.fit_prepared(self.prepare(X, up, value, threads), params, seed, threads)
