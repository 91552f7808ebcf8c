"""Kernels over a window of two series: covariance, correlation, and the regression of one on the other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ml.equity.features.kernels.compiled import compiled

Reals = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

CORR, COV, BETA, UNEXPLAINED = range(4)

FLAT = 1e-12
"""A spread below this, or below this share of the level if the level exceeds 1, is rounding, not movement."""


@compiled
def pair_sums(kind: int, x: Reals, y: Reals, window: int, edges: Indices, ages: Indices, out: Reals) -> None:
    """`kind` over the last `window` pairs of each symbol; NaN until a window is full."""
    for s in range(len(ages)):
        lo, hi = edges[s], edges[s + 1]
        out[lo : min(lo + window - 1, hi)] = np.nan
        _pair(kind, x[lo:hi], y[lo:hi], window, ages[s], out[lo:hi])


@compiled
def _pair(kind: int, x: Reals, y: Reals, window: int, age: int, out: Reals) -> None:
    tails = np.zeros((window, 5))
    share = 1.0 / window
    for block in range(-age % window, len(x), window):
        cx, cy = x[block], y[block]
        floors = (window * (FLAT * max(1.0, abs(cx))) ** 2, window * (FLAT * max(1.0, abs(cy))) ** 2)
        sx = sy = sxx = syy = sxy = 0.0
        for back in range(1, min(window, block + 1)):
            dx, dy = x[block - back] - cx, y[block - back] - cy
            sx, sy = sx + dx, sy + dy
            sxx, syy, sxy = sxx + dx * dx, syy + dy * dy, sxy + dx * dy
            place = window - 1 - back
            tails[place, 0], tails[place, 1] = sx, sy
            tails[place, 2], tails[place, 3], tails[place, 4] = sxx, syy, sxy
        sx = sy = sxx = syy = sxy = 0.0
        for row in range(block, min(block + window, len(x))):
            dx, dy = x[row] - cx, y[row] - cy
            sx, sy = sx + dx, sy + dy
            sxx, syy, sxy = sxx + dx * dx, syy + dy * dy, sxy + dx * dy
            if row >= window - 1:
                tail = tails[row - block]
                tx, ty = sx + tail[0], sy + tail[1]
                xx, yy = sxx + tail[2] - tx * tx * share, syy + tail[3] - ty * ty * share
                out[row] = _related(kind, window, xx, yy, sxy + tail[4] - tx * ty * share, floors)


@compiled
def _related(kind: int, window: int, xx: float, yy: float, xy: float, floors: tuple[float, float]) -> float:
    """One result from the sums of squares and of products about the means; NaN where a divisor is FLAT."""
    if kind == COV:
        return xy / (window - 1)
    if xx < floors[0]:
        return np.nan
    if kind == BETA:
        return xy / xx
    if kind == UNEXPLAINED:
        left = yy - xy * xy / xx
        return 0.0 if left < floors[1] else float(np.sqrt(left / (window - 2)))
    return np.nan if yy < floors[1] else float(min(max(xy / np.sqrt(xx * yy), -1.0), 1.0))
