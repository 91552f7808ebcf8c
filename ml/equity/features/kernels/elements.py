"""Kernels that work term by term, where NumPy would warn, give infinity or take NaN for false."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

Reals = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

LESS, NOT_GREATER, EQUAL = range(3)


@njit(nogil=True, cache=True, error_model="numpy")
def quotient(x: Reals, y: Reals, out: Reals) -> None:
    """x / y, NaN where y is zero."""
    for row in range(len(out)):
        out[row] = x[row] / y[row] if y[row] != 0.0 else np.nan


@njit(nogil=True, cache=True, error_model="numpy")
def logarithm(x: Reals, out: Reals) -> None:
    """The natural logarithm, NaN where x is not positive."""
    for row in range(len(out)):
        out[row] = np.log(x[row]) if x[row] > 0.0 else np.nan


@njit(nogil=True, cache=True, error_model="numpy")
def compare(kind: int, x: Reals, y: Reals, out: Reals) -> None:
    """1.0 where the relation holds, 0.0 where it does not, NaN where a side is NaN."""
    for row in range(len(out)):
        one, other = x[row], y[row]
        if kind == LESS:
            holds = one < other
        elif kind == NOT_GREATER:
            holds = one <= other
        else:
            holds = one == other
        out[row] = np.nan if one != one or other != other else (1.0 if holds else 0.0)


@njit(nogil=True, cache=True, error_model="numpy")
def choose(flag: Reals, x: Reals, y: Reals, first: int, edges: Indices, ages: Indices, out: Reals) -> None:
    """x where the flag is set, y where it is 0.0, NaN where it is NaN and before the index `first`.

    first: where all three can be there, so that a value's first bar does not depend on the flag
    """
    for s in range(len(ages)):
        for row in range(edges[s], edges[s + 1]):
            value = x[row] if flag[row] != 0.0 else y[row]
            missing = flag[row] != flag[row] or ages[s] + row - edges[s] < first
            out[row] = np.nan if missing else value


@njit(nogil=True, cache=True, error_model="numpy")
def shift(x: Reals, by: int, edges: Indices, out: Reals) -> None:
    """The term `by` bars before, NaN where the symbol has none."""
    for s in range(len(edges) - 1):
        lo, hi = edges[s], edges[s + 1]
        begin = min(lo + by, hi)
        out[lo:begin] = np.nan
        out[begin:hi] = x[lo : lo + hi - begin]
