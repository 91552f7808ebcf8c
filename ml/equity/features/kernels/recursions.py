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

Reals = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

BLOCK = 256
"""Bars of a block. An average over n bars keeps (1 - 2 / (n + 1))^256 of what lies before: 3e-5 for n = 50."""


@compiled
def smooth(x: Reals, count: int, weight: float, first: int, edges: Indices, ages: Indices, out: Reals) -> None:
    """state += weight x (term - state), begun with the mean of the first `count` terms; NaN before those.

    first: the index in a symbol's history of the first term that there can be
    """
    out[:] = np.nan
    for s in range(len(ages)):
        own, result, age = x[edges[s] : edges[s + 1]], out[edges[s] : edges[s + 1]], ages[s]
        for block in range(age // BLOCK, (age + len(own) - 1) // BLOCK + 1):
            start = max((block - 1) * BLOCK, first, 0) - age
            if start >= 0:
                _smooth(own, count, weight, start, block * BLOCK - age, result)


@compiled
def _smooth(x: Reals, count: int, weight: float, start: int, begin: int, out: Reals) -> None:
    """One recursion from row `start` on, kept for the block that begins at row `begin`."""
    end, seeded = min(begin + BLOCK, len(x)), start + count
    if seeded > end:
        return
    # Distances, so that what stands still stays exactly where it is.
    total = 0.0
    for row in range(start, seeded):
        total += x[row] - x[start]
    state = x[start] + total / count
    if seeded > begin:
        out[seeded - 1] = state
    for row in range(seeded, min(begin, end)):
        state += weight * (x[row] - state)
    for row in range(max(seeded, begin), end):
        state += weight * (x[row] - state)
        out[row] = state


@compiled
def adapt(x: Reals, weight: Reals, first: int, edges: Indices, ages: Indices, out: Reals) -> None:
    """state += weight[t] x (x[t] - state), begun with the value x of the first term; NaN before it."""
    out[:] = np.nan
    for s in range(len(ages)):
        lo, hi, age = edges[s], edges[s + 1], ages[s]
        for block in range(age // BLOCK, (age + hi - lo - 1) // BLOCK + 1):
            start = max((block - 1) * BLOCK, first, 0) - age
            begin = block * BLOCK - age
            if start < 0 or start >= hi - lo:
                continue
            state = x[lo + start]
            for row in range(lo + start, min(lo + begin + BLOCK, hi)):
                state += weight[row] * (x[row] - state)
                if row >= lo + begin:
                    out[row] = state


@compiled
def streak(x: Reals, window: int, edges: Indices, ages: Indices, out: Reals) -> None:
    """How many of the last terms, at most `window`, have the sign of the last one, times that sign."""
    for s in range(len(ages)):
        run, last, clean = 0, 0.0, 0
        for row in range(edges[s], edges[s + 1]):
            sign = np.sign(x[row])
            run = min(run + 1, window) if sign == last else 1
            clean = 0 if np.isnan(sign) else clean + 1
            last = sign
            out[row] = sign * run if clean >= window else np.nan
