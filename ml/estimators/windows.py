"""Windows of a panel as nets see them: normalised by what training rows looked like, gaps as zeros."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from numba import njit

from ml.estimators.panel import NO_ROW, Codes, Matrix, Panel

Function = TypeVar("Function", bound=Callable[..., object])
Floats = npt.NDArray[np.float32]

CLIP = 5.0
"""How many spreads from its median a feature may be, as a net sees it."""
TAILS = (0.05, 0.95)
NORMAL_WIDTH = 3.2897
"""The distance of a normal distribution's TAILS, in standard deviations."""


class Windows(NamedTuple):
    """n windows, oldest period first.

    values: (n, length, f) normalised features, 0 where missing. present: (n, length) the share of features
    that are not missing; 0 in a gap.
    """

    values: Floats
    present: Floats


@dataclass(frozen=True)
class Normaliser:
    """Each feature less its median, in spreads, clipped at +-CLIP; a missing one becomes 0, the median.

    median, inverse_spread: (f,). The spread is the distance of the 5 % and 95 % quantiles, scaled to be a normal
    distribution's standard deviation; where they are equal (rare flags), the standard deviation. A constant
    feature has an inverse spread of 0: it says nothing, also where it is no longer constant.
    """

    median: Floats
    inverse_spread: Floats

    @classmethod
    def fitted(cls, X: Matrix) -> Normaliser:
        """Learned from rows (n, f), n > 0; missing values are left out."""
        columns = [_median_and_inverse_spread(X[:, j]) for j in range(X.shape[1])]
        median, inverse = np.array(columns, dtype=np.float32).reshape(-1, 2).T
        return cls(np.ascontiguousarray(median), np.ascontiguousarray(inverse))

    def windows(self, panel: Panel, at: Codes, length: int, batch: int) -> Windows:
        """The windows that end with each row of `at`, filled up with empty ones to a batch of one fixed size."""
        rows = np.full((batch, length), NO_ROW, dtype=np.int32)
        rows[: at.size] = panel.windows(at, length)
        values = np.empty((batch, length, panel.X.shape[1]), dtype=np.float32)
        present = np.empty((batch, length), dtype=np.float32)
        # Memory serves many copies at once; with arithmetic between two rows, each is waited for: twice the time.
        panel.X.take(rows, axis=0, out=values, mode="clip")
        _normalise(rows, self.median, self.inverse_spread, values, present)
        return Windows(values, present)


def _median_and_inverse_spread(column: Floats) -> tuple[float, float]:
    known = column[~np.isnan(column)].astype(np.float64)
    if known.size == 0:
        return 0.0, 0.0
    low, median, high = np.quantile(known, (TAILS[0], 0.5, TAILS[1]))
    spread = (high - low) / NORMAL_WIDTH or float(known.std())
    return float(median), 1 / spread if spread > 0 else 0.0


def _compiled(function: Function) -> Function:
    made: Function = njit(nogil=True, cache=True, error_model="numpy")(function)
    return made


@_compiled
def _normalise(
    rows: npt.NDArray[np.int32], median: Floats, inverse_spread: Floats, values: Floats, present: Floats
) -> None:
    """Normalise the rows' features in their place, and fill `present`: one pass, where numpy would take one per
    operation."""
    f = values.shape[2]
    most = np.float32(CLIP)
    for i in range(rows.shape[0]):
        for t in range(rows.shape[1]):
            if rows[i, t] == NO_ROW:
                values[i, t] = 0
                present[i, t] = 0
                continue
            known = 0
            for j in range(f):
                x = values[i, t, j]
                z = min(max((x - median[j]) * inverse_spread[j], -most), most)
                missing = np.isnan(x)
                values[i, t, j] = np.float32(0) if missing else z
                known += not missing
            present[i, t] = known / f
