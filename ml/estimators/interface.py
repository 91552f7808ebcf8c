"""What every estimator promises: fit, predict, save and load, and a declared space to search.

An estimator learns two things from the same rows: the probability of the event (value > 0) and the
expected value. It knows nothing of dates or domains; of entities it knows which rows of a panel are the
past of which.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

from optuna.trial import BaseTrial

from ml.errors import TrainingError
from ml.estimators.panel import Codes, Flags, Matrix, Panel, Sample, Vector

__all__ = ["Codes", "Estimator", "Flags", "Matrix", "Panel", "Params", "Sample", "Tried", "Vector"]

Params = Mapping[str, float | int]


class Tried(NamedTuple):
    """What a trial of parameters gave on rows that it was not fitted on.

    p_up: (n,). params: those that were tried, with the number of rounds or steps after which the
    test rows' loss was lowest (`rounds`, `steps`), where the estimator has such a number.
    """

    p_up: Vector
    params: Params


class Estimator(ABC):
    """Learns p(value > 0) and E[value] from the rows of a panel, each with its past.

    The same data, params, seed and thread count give the same model.
    """

    name: ClassVar[str]
    defaults: ClassVar[Params]
    """Conservative parameters: the first trial of every search."""
    packages: ClassVar[tuple[str, ...]] = ()
    """What must be installed where a fitted one is loaded, beside numpy."""
    trial_share: ClassVar[float] = 1.0
    """How many trials it gets for each trial of a boosted model, because its own cost more (or less)."""
    row_share: ClassVar[float] = 1.0
    """How many rows its fits draw for each row of a boosted model's, for the same reason."""
    unpruned: ClassVar[int] = 5
    """Complete trials from which on a trial that does worse than their median at the same fold is given up."""

    @classmethod
    def own_trials(cls, trials: int) -> int:
        """How many trials its cost allows where a boosted model gets `trials`, at least one."""
        return max(1, round(trials * cls.trial_share))

    @classmethod
    def own_rows(cls, rows: int | None) -> int | None:
        """How many rows a fit of it may draw where one of a boosted model may draw `rows`; None for all."""
        return None if rows is None else round(rows * cls.row_share)

    @staticmethod
    @abstractmethod
    def space(trial: BaseTrial) -> Params:
        """One point of the declared search space."""

    @staticmethod
    @abstractmethod
    def prepare(sample: Sample, threads: int) -> Any:
        """Training rows in the estimator's own form; made once, shared by many fits."""

    @abstractmethod
    def fit_prepared(self, data: Any, params: Params, seed: int, threads: int) -> Self:
        """Fit on what `prepare` returned. TrainingError when the rows hold one class only."""

    @classmethod
    @abstractmethod
    def tried(cls, data: Any, test: Sample, params: Params, seed: int, threads: int) -> Tried:
        """Fit on what `prepare` returned, stopping when the test rows' log-loss no longer falls; the event only.

        The stop is chosen on the test rows, so their loss flatters the parameters a little: it ranks
        trials and is evidence of nothing.
        """

    @property
    def lookback(self) -> int:
        """How many periods before its own a row's answer needs; 0 for estimators without memory."""
        return 0

    @abstractmethod
    def predict(self, panel: Panel, at: Codes) -> tuple[Vector, Vector]:
        """p_up (n,) in (0, 1) and expected value (n,) of the rows `at`, both finite."""

    @abstractmethod
    def contributions(self, panel: Panel, at: Codes) -> Matrix:
        """(n, f) how much each feature moves a row's log-odds; what they are relative to is the estimator's own."""

    @abstractmethod
    def save(self, directory: Path) -> None:
        """Write the fitted estimator into an existing directory; StoreError when that fails."""

    @classmethod
    @abstractmethod
    def load(cls, directory: Path) -> Self:
        """Read what `save` wrote, without pickle. StoreError: missing file; RegistryError: unknown format."""

    def fit(self, sample: Sample, params: Params, *, seed: int, threads: int) -> Self:
        """Prepare and fit."""
        return self.fit_prepared(self.prepare(sample, threads), params, seed, threads)


def require_both_classes(sample: Sample) -> None:
    """TrainingError when no row, or no row of one class, is there to learn from."""
    if not 0 < sample.up.sum() < len(sample):
        raise TrainingError(
            f"{len(sample)} training rows, {int(sample.up.sum())} of them rises",
            "both rises and falls (not one class only)",
            "Give a longer history or more entities",
        )
