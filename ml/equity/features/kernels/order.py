"""Kernels that order a window's terms: extremes, where they stand, ranks and quantiles."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ml.equity.features.kernels.compiled import compiled
from ml.equity.features.kernels.lanes import LANES

Reals = npt.NDArray[np.float64]

EXTREME, SINCE, RANK, QUANTILE = range(4)

_BEST, _AT = 0, LANES


@compiled
def window_order(kind: int, x: Reals, window: int, parameter: float, age: int, out: Reals) -> None:
    """`kind` over the last `window` terms of each lane; NaN until a window is full.

    parameter: for EXTREME and SINCE 1.0 for the greatest and -1.0 for the least, for QUANTILE the share below it
    """
    out[: window - 1] = np.nan
    if kind == EXTREME:
        _extreme(x, window, age, parameter, out)
    elif kind == SINCE:
        _since(x, window, age, parameter, out)
    else:
        _one_by_one(kind, x, window, parameter, out)


@compiled
def _greater(one: float, other: float) -> float:
    """The greater of two, NaN when one is."""
    return one if (one >= other) | np.isnan(one) else other


@compiled
def _extreme(x: Reals, window: int, age: int, sign: float, out: Reals) -> None:
    """By blocks, as sums are."""
    lanes = x.shape[1]
    best = np.empty(LANES)
    for block in range(-age % window, len(x), window):
        best[:] = -np.inf
        for row in range(block - 1, max(block - window, -1), -1):
            for k in range(lanes):
                best[k] = _greater(best[k], sign * x[row, k])
            if row + window - 1 < len(x):
                for k in range(lanes):
                    out[row + window - 1, k] = best[k]
        best[:] = -np.inf
        for row in range(block, min(block + window, len(x))):
            for k in range(lanes):
                best[k] = _greater(best[k], sign * x[row, k])
            if row == block + window - 1:
                for k in range(lanes):
                    out[row, k] = sign * best[k]
            elif row >= window - 1:
                for k in range(lanes):
                    out[row, k] = sign * _greater(best[k], out[row, k])


@compiled
def _since(x: Reals, window: int, age: int, sign: float, out: Reals) -> None:
    """Bars since the extreme, 0 for this one; of equal ones the oldest counts. By blocks; a NaN is the best."""
    lanes = x.shape[1]
    state, tails = np.empty(2 * LANES), np.empty((window, 2 * LANES))
    for block in range(-age % window, len(x), window):
        state[:_AT], state[_AT:] = -np.inf, block
        tails[window - 1] = state
        for row in range(block - 1, max(block - window, -1), -1):
            _keep_oldest(x[row], sign, row, state)
            tail = tails[row + window - 1 - block]
            for k in range(len(tail)):
                tail[k] = state[k]
        state[:_AT], state[_AT:] = -np.inf, block
        for row in range(block, min(block + window, len(x))):
            _keep_first(x[row], sign, row, state)
            if row >= window - 1:
                tail = tails[row - block]
                for k in range(lanes):
                    new, old = state[_BEST + k], tail[_BEST + k]
                    since = row - (state[_AT + k] if new > old else tail[_AT + k])
                    out[row, k] = np.nan if np.isnan(new) | np.isnan(old) else since


@compiled
def _keep_oldest(x: Reals, sign: float, row: int, state: Reals) -> None:
    """Going back: `row` lies before those seen, and counts when it is their equal."""
    for k in range(len(x)):
        value, best = sign * x[k], state[_BEST + k]
        state[_AT + k] = row if value >= best else state[_AT + k]
        state[_BEST + k] = value if (value >= best) | np.isnan(value) else best


@compiled
def _keep_first(x: Reals, sign: float, row: int, state: Reals) -> None:
    """Going on: `row` lies behind those seen, and must be better."""
    for k in range(len(x)):
        value, best = sign * x[k], state[_BEST + k]
        state[_AT + k] = row if value > best else state[_AT + k]
        state[_BEST + k] = value if (value > best) | np.isnan(value) else best


@compiled
def _one_by_one(kind: int, x: Reals, window: int, share: float, out: Reals) -> None:
    """What goes its own way in each lane."""
    own, result = np.empty(len(x)), np.empty(len(x))
    for k in range(LANES):
        own[:] = x[:, k]
        if kind == RANK:
            _rank(own, window, result)
        else:
            _quantile(own, window, share, result)
        for row in range(window - 1, len(x)):
            out[row, k] = result[row]


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
