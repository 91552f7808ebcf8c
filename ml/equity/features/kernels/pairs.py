"""Kernels over a window of two series: covariance, correlation, and the regression of one on the other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ml.equity.features.kernels.compiled import compiled
from ml.equity.features.kernels.lanes import LANES
from ml.equity.features.kernels.sums import FLAT

Reals = npt.NDArray[np.float64]

CORR, COV, BETA, UNEXPLAINED = range(4)

_CENTRE_X, _CENTRE_Y, _FLOOR_X, _FLOOR_Y, _X, _Y, _XX, _YY, _XY = (i * LANES for i in range(9))


@compiled
def pair_sums(kind: int, x: Reals, y: Reals, window: int, age: int, out: Reals) -> None:
    """`kind` over the last `window` pairs of each lane; NaN until a window is full. By blocks, as in `sums`."""
    out[: window - 1] = np.nan
    state, tails = np.empty(9 * LANES), np.zeros((window, 5 * LANES))
    sums = np.empty(3 * LANES)
    for block in range(-age % window, len(x), window):
        _begin(x[block], y[block], window, state)
        for back in range(1, min(window, block + 1)):
            row, tail = block - back, tails[window - 1 - back]
            _add(x[row], y[row], state)
            for k in range(len(tail)):
                tail[k] = state[_X + k]
        state[_X:] = 0.0
        for row in range(block, min(block + window, len(x))):
            _add(x[row], y[row], state)
            if row >= window - 1:
                _about_the_means(state, tails[row - block], 1.0 / window, sums)
                _relate(kind, window, state, sums, out[row])


@compiled
def _begin(x: Reals, y: Reals, window: int, state: Reals) -> None:
    for k in range(len(x)):
        state[_CENTRE_X + k] = x[k]
        state[_CENTRE_Y + k] = y[k]
        state[_FLOOR_X + k] = window * (FLAT * max(1.0, abs(x[k]))) ** 2
        state[_FLOOR_Y + k] = window * (FLAT * max(1.0, abs(y[k]))) ** 2
    state[_X:] = 0.0


@compiled
def _add(x: Reals, y: Reals, state: Reals) -> None:
    for k in range(len(x)):
        dx, dy = x[k] - state[_CENTRE_X + k], y[k] - state[_CENTRE_Y + k]
        state[_X + k] += dx
        state[_Y + k] += dy
        state[_XX + k] += dx * dx
        state[_YY + k] += dy * dy
        state[_XY + k] += dx * dy


@compiled
def _about_the_means(state: Reals, tail: Reals, share: float, sums: Reals) -> None:
    """The sums of squares of x, of y, and of their products."""
    for k in range(len(sums) // 3):
        tx, ty = state[_X + k] + tail[k], state[_Y + k] + tail[LANES + k]
        sums[k] = state[_XX + k] + tail[2 * LANES + k] - tx * tx * share
        sums[LANES + k] = state[_YY + k] + tail[3 * LANES + k] - ty * ty * share
        sums[2 * LANES + k] = state[_XY + k] + tail[4 * LANES + k] - tx * ty * share


@compiled
def _relate(kind: int, window: int, state: Reals, sums: Reals, out: Reals) -> None:
    """NaN where a divisor is FLAT."""
    if kind == COV:
        for k in range(len(out)):
            out[k] = sums[2 * LANES + k] / (window - 1)
    elif kind == BETA:
        for k in range(len(out)):
            out[k] = np.nan if sums[k] < state[_FLOOR_X + k] else sums[2 * LANES + k] / sums[k]
    elif kind == UNEXPLAINED:
        for k in range(len(out)):
            left = sums[LANES + k] - sums[2 * LANES + k] * sums[2 * LANES + k] / sums[k]
            spread = 0.0 if left < state[_FLOOR_Y + k] else np.sqrt(left / (window - 2))
            out[k] = np.nan if sums[k] < state[_FLOOR_X + k] else spread
    else:
        for k in range(len(out)):
            flat = (sums[k] < state[_FLOOR_X + k]) | (sums[LANES + k] < state[_FLOOR_Y + k])
            share = sums[2 * LANES + k] / np.sqrt(sums[k] * sums[LANES + k])
            out[k] = np.nan if flat else min(max(share, -1.0), 1.0)
