"""What estimators look at: the rows of a panel, each with its entity's past behind it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]
Vector = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int64]

NO_ROW = -1


@dataclass(frozen=True)
class Panel:
    """Feature rows of many entities at common instants, at most one per entity and instant.

    X: (N, f) float32 where NaN means missing, never infinite. entity, period: (N,) codes from 0;
    periods count the instants of the panel, so a period without an entity's row is a gap of that entity.
    """

    X: Matrix
    entity: Codes
    period: Codes

    def __len__(self) -> int:
        return len(self.X)

    @cached_property
    def _row_of(self) -> npt.NDArray[np.int32]:
        """(entities, periods) the row of each entity in each period, NO_ROW in a gap."""
        shape = (int(self.entity.max()) + 1, int(self.period.max()) + 1) if len(self) else (0, 0)
        rows = np.full(shape, NO_ROW, dtype=np.int32)
        rows[self.entity, self.period] = np.arange(len(self), dtype=np.int32)
        return rows

    def windows(self, at: Codes, length: int) -> npt.NDArray[np.int32]:
        """(n, length) the rows of the `length` periods that end with each row of `at`, oldest first.

        NO_ROW where the entity has no row in a period, or the panel begins later.
        """
        periods = self.period[at][:, None] + np.arange(1 - length, 1)
        rows = self._row_of[self.entity[at][:, None], np.maximum(periods, 0)]
        return np.where(periods >= 0, rows, np.int32(NO_ROW))


@dataclass(frozen=True)
class Sample:
    """Rows of a panel with what came of them.

    at: (n,) positions in the panel, ascending. value: (n,) finite float64; the event is value > 0.
    weight: (n,) positive, of mean 1: how much a row counts in a fit.
    """

    panel: Panel
    at: Codes
    value: Vector
    weight: Vector

    def __len__(self) -> int:
        return self.at.size

    @cached_property
    def up(self) -> Flags:
        """(n,) whether the event happened."""
        return self.value > 0

    @cached_property
    def rate(self) -> float:
        """The weighted share of rows whose event happened."""
        return float(np.average(self.up, weights=self.weight))

    def thinned(self, rows: int, seed: int) -> Sample:
        """A seeded draw of so many of these rows, their weights of mean 1 again; itself where there are no more."""
        if rows >= len(self):
            return self
        kept = np.sort(np.random.default_rng(seed).choice(len(self), rows, replace=False))
        weight = self.weight[kept]
        return Sample(self.panel, self.at[kept], self.value[kept], weight / weight.mean())

    @property
    def X(self) -> Matrix:
        """(n, f) the rows' own features: a view where the rows follow each other, else a copy."""
        return rows_of(self.panel.X, self.at)


def rows_of(array: npt.NDArray[Any], at: Codes) -> npt.NDArray[Any]:
    """Rows of an array by ascending position, without a copy where they follow each other."""
    if at.size and at[-1] - at[0] + 1 == at.size:
        return array[at[0] : at[-1] + 1]
    return array[at]


def only_rows(X: Matrix) -> tuple[Panel, Codes]:
    """A panel of unrelated rows, and the positions of all: what an estimator without memory is asked about."""
    codes = np.arange(len(X))
    return Panel(X, codes, np.zeros(len(X), dtype=np.int64)), codes


def sample_of(X: Matrix, value: Vector) -> Sample:
    """Unrelated rows with their outcomes, all of the same weight."""
    panel, at = only_rows(X)
    return Sample(panel, at, value, np.ones(len(X)))
