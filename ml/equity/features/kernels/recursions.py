"""Kernels that carry a state from bar to bar, and forget it at stated bars.

Time is cut into blocks of BLOCK bars, counted from the start of the symbol's history. In each block a
value comes from a recursion that began with the block before (in the first two: with the history, or
with the first term there can be). So it sees the last BLOCK to 2 x BLOCK - 1 bars and nothing older,
and the same bits come out of the whole history and out of a tail of it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ml.equity.features.kernels.compiled import compiled
from ml.equity.features.kernels.lanes import LANES

Reals = npt.NDArray[np.float64]

BLOCK = 256
"""Bars of a block. An average over n bars keeps (1 - 2 / (n + 1))^256 of what lies before: 3e-5 for n = 50."""

_RUN, _LAST, _CLEAN = (i * LANES for i in range(3))


@compiled
def smooth(x: Reals, count: int, weight: float, first: int, age: int, out: Reals) -> None:
    """state += weight x (term - state), begun with the mean of the first `count` terms; NaN before those.

    first: the index in a symbol's history of the first term that there can be
    """
    out[:] = np.nan
    for block in range(age // BLOCK, (age + len(x) - 1) // BLOCK + 1):
        start = max((block - 1) * BLOCK, first, 0) - age
        if start >= 0:
            _smooth(x, count, weight, start, block * BLOCK - age, out)


@compiled
def _smooth(x: Reals, count: int, weight: float, start: int, begin: int, out: Reals) -> None:
    """One recursion from row `start` on, kept for the block that begins at row `begin`."""
    end, seeded = min(begin + BLOCK, len(x)), start + count
    if seeded > end:
        return
    # Distances, so that what stands still stays exactly where it is.
    lanes, state = x.shape[1], np.zeros(LANES)
    for row in range(start, seeded):
        for k in range(lanes):
            state[k] += x[row, k] - x[start, k]
    for k in range(lanes):
        state[k] = x[start, k] + state[k] / count
    if seeded > begin:
        out[seeded - 1] = state
    for row in range(seeded, min(begin, end)):
        for k in range(lanes):
            state[k] += weight * (x[row, k] - state[k])
    for row in range(max(seeded, begin), end):
        for k in range(lanes):
            state[k] += weight * (x[row, k] - state[k])
            out[row, k] = state[k]


@compiled
def adapt(x: Reals, weight: Reals, first: int, age: int, out: Reals) -> None:
    """state += weight[t] x (x[t] - state), begun with the value x of the first term; NaN before it."""
    out[:] = np.nan
    lanes, state = x.shape[1], np.empty(LANES)
    for block in range(age // BLOCK, (age + len(x) - 1) // BLOCK + 1):
        start, begin = max((block - 1) * BLOCK, first, 0) - age, block * BLOCK - age
        if start < 0 or start >= len(x):
            continue
        state[:] = x[start]
        for row in range(start, min(begin + BLOCK, len(x))):
            for k in range(lanes):
                state[k] += weight[row, k] * (x[row, k] - state[k])
            if row >= begin:
                for k in range(lanes):
                    out[row, k] = state[k]


@compiled
def streak(x: Reals, window: int, out: Reals) -> None:
    """How many of the last terms, at most `window`, have the sign of the last one, times that sign."""
    lanes, state = x.shape[1], np.zeros(3 * LANES)
    for row in range(len(x)):
        for k in range(lanes):
            sign = np.sign(x[row, k])
            run = min(state[_RUN + k] + 1.0, float(window)) if sign == state[_LAST + k] else 1.0
            clean = 0.0 if np.isnan(sign) else state[_CLEAN + k] + 1.0
            state[_RUN + k], state[_LAST + k], state[_CLEAN + k] = run, sign, clean
            out[row, k] = sign * run if clean >= window else np.nan
