"""Kernels that order a window's terms: extremes, where they stand, ranks and quantiles."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ml.equity.features.kernels.compiled import compiled

Reals = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

EXTREME, SINCE, RANK, QUANTILE = range(4)


@compiled
def window_order(kind: int, x: Reals, window: int, parameter: float, edges: Indices, ages: Indices, out: Reals) -> None:
    """`kind` over the last `window` terms of each symbol's x; NaN until a window is full.

    parameter: for EXTREME and SINCE 1.0 for the greatest and -1.0 for the least, for QUANTILE the share below it
    """
    for s in range(len(ages)):
        own, result = x[edges[s] : edges[s + 1]], out[edges[s] : edges[s + 1]]
        result[: window - 1] = np.nan
        if kind == EXTREME:
            _extreme(own, window, ages[s], parameter, result)
        elif kind == SINCE:
            _since(own, window, parameter, result)
        elif kind == RANK:
            _rank(own, window, result)
        else:
            _quantile(own, window, parameter, result)


@compiled
def _greater(one: float, other: float) -> float:
    """The greater of two, NaN when one is."""
    return one if one >= other or np.isnan(one) else other


@compiled
def _extreme(x: Reals, window: int, age: int, sign: float, out: Reals) -> None:
    for block in range(-age % window, len(x), window):
        best = -np.inf
        for row in range(block - 1, max(block - window, -1), -1):
            best = _greater(best, sign * x[row])
            if row + window - 1 < len(x):
                out[row + window - 1] = best
        best = -np.inf
        for row in range(block, min(block + window, len(x))):
            best = _greater(best, sign * x[row])
            if row >= window - 1:
                out[row] = sign * (_greater(best, out[row]) if row < block + window - 1 else best)


@compiled
def _since(x: Reals, window: int, sign: float, out: Reals) -> None:
    """Bars since the extreme, 0 for this one; of equal ones the oldest counts."""
    at, best, missing = -1, 0.0, -1
    for row in range(len(x)):
        value = sign * x[row]
        if np.isnan(value):
            missing = row
        if at <= row - window:  # it has left the window
            at = row - window + 1
            best = sign * x[at]
            for k in range(at + 1, row + 1):
                if sign * x[k] > best:
                    at, best = k, sign * x[k]
        elif value > best:
            at, best = row, value
        if row >= window - 1:
            out[row] = row - at if row - missing >= window else np.nan


@compiled
def _rank(x: Reals, window: int, out: Reals) -> None:
    """The rank of the last term, 1 for the least, equal ones sharing the mean of theirs, as a share of the window."""
    missing = -1
    for row in range(len(x)):
        if np.isnan(x[row]):
            missing = row
        if row >= window - 1:
            own = x[row - window + 1 : row + 1]
            below, equal = _count(own, x[row])
            out[row] = (below + (equal + 1) / 2) / window if row - missing >= window else np.nan


@compiled
def _count(x: Reals, value: float) -> tuple[int, int]:
    """How many of x are below `value`, and how many equal to it. Written so that the compiler uses vectors."""
    below, equal = 0, 0
    for k in range(len(x)):
        below += 1 if x[k] < value else 0
        equal += 1 if x[k] == value else 0
    return below, equal


@compiled
def _quantile(x: Reals, window: int, share: float, out: Reals) -> None:
    """The value below which `share` of the window lies, straight between the two nearest terms."""
    ordered = np.empty(window)
    count = 0
    floor = int(share * (window - 1))
    weight = share * (window - 1) - floor
    for row in range(len(x)):
        if np.isnan(x[row]):  # the window starts anew behind it
            count = 0
        elif count < window:
            ordered[count] = x[row]
            count += 1
            _settle(ordered, count - 1, count)
        else:
            place, _ = _count(ordered, x[row - window])
            ordered[place] = x[row]
            _settle(ordered, place, window)
        if row >= window - 1:
            above = ordered[min(floor + 1, window - 1)]
            out[row] = ordered[floor] + weight * (above - ordered[floor]) if count == window else np.nan


@compiled
def _settle(ordered: Reals, place: int, count: int) -> None:
    """Move the one term that is out of order, at `place`, to where it belongs among the first `count`."""
    value = ordered[place]
    while place + 1 < count and ordered[place + 1] < value:
        ordered[place] = ordered[place + 1]
        place += 1
    while place > 0 and ordered[place - 1] > value:
        ordered[place] = ordered[place - 1]
        place -= 1
    ordered[place] = value
