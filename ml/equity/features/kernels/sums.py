"""Kernels that add up a window of one series: sums, moments, the straight line through it.

Arrays have the shape (bars, LANES), see `lanes`; age is the index of the first row in the symbols' histories. Sums are
put together from blocks of a window's length, as van Herk (1992) and Gil and Werman (1993) did for extremes: what lies
behind the block's beginning, summed backwards, and what lies before it. So a value depends on its window alone. Terms
count as distances from the block's first, because what is left when large numbers cancel is noise.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ml.equity.features.kernels.compiled import compiled
from ml.equity.features.kernels.lanes import LANES

Reals = npt.NDArray[np.float64]

SUM, MEAN, DEVIATION, STD, SKEW, KURT, SLOPE, RSQUARE, RESIDUAL, WEIGHTED = range(10)

FLAT = 1e-12
"""A spread below this, or below this share of the level if the level exceeds 1, is rounding, not movement."""

_CENTRE, _FLOOR, _ONE, _TWO, _THREE, _FOUR = (i * LANES for i in range(6))
_MOMENT = _THREE


@compiled
def window_sums(kind: int, x: Reals, window: int, age: int, out: Reals) -> None:
    """`kind` over the last `window` terms of each lane; NaN until a window is full."""
    out[: window - 1] = np.nan
    if kind <= DEVIATION:
        _sum(x, window, age, kind != SUM, out)
        if kind == DEVIATION:
            _deviation(x, window, out)
    elif kind == STD:
        _std(x, window, age, out)
    elif kind <= KURT:
        _shape(x, window, age, kind == SKEW, out)
    else:
        _line(x, window, age, kind, out)


@compiled
def _sum(x: Reals, window: int, age: int, mean: bool, out: Reals) -> None:
    """The sum, or the mean as the block's first value plus the mean distance from it."""
    share = 1.0 / window if mean else 1.0
    lanes = x.shape[1]
    centre, total = np.zeros(LANES), np.empty(LANES)
    for block in range(-age % window, len(x), window):
        if mean:
            centre[:] = x[block]
        total[:] = 0.0
        for row in range(block - 1, max(block - window, -1), -1):
            for k in range(lanes):
                total[k] += x[row, k] - centre[k]
            if row + window - 1 < len(x):
                for k in range(lanes):
                    out[row + window - 1, k] = total[k]
        total[:] = 0.0
        for row in range(block, min(block + window, len(x))):
            for k in range(lanes):
                total[k] += x[row, k] - centre[k]
            if row == block + window - 1:
                for k in range(lanes):
                    out[row, k] = centre[k] + total[k] * share
            elif row >= window - 1:
                for k in range(lanes):
                    out[row, k] = centre[k] + (total[k] + out[row, k]) * share


@compiled
def _deviation(x: Reals, window: int, out: Reals) -> None:
    """The mean absolute distance from the window's mean, which `out` holds on entry."""
    lanes = x.shape[1]
    total = np.empty(LANES)
    for row in range(window - 1, len(x)):
        total[:] = 0.0
        for past in range(row - window + 1, row + 1):
            for k in range(lanes):
                total[k] += abs(x[past, k] - out[row, k])
        for k in range(lanes):
            out[row, k] = total[k] / window


@compiled
def _begin(x: Reals, state: Reals) -> None:
    """A block that begins with the terms x, one a lane: its sums are about those, and hold nothing yet."""
    for k in range(len(x)):
        state[_CENTRE + k] = x[k]
        state[_FLOOR + k] = (FLAT * max(1.0, abs(x[k]))) ** 2
    state[_ONE:] = 0.0


@compiled
def _std(x: Reals, window: int, age: int, out: Reals) -> None:
    """The sample standard deviation (n - 1); 0 where it is FLAT."""
    share, rest = 1.0 / window, 1.0 / (window - 1)
    lanes = x.shape[1]
    state, tails = np.empty(4 * LANES), np.zeros((window, 2 * LANES))
    for block in range(-age % window, len(x), window):
        _begin(x[block], state)
        for back in range(1, min(window, block + 1)):
            row, tail = block - back, tails[window - 1 - back]
            for k in range(lanes):
                d = x[row, k] - state[_CENTRE + k]
                state[_ONE + k] += d
                state[_TWO + k] += d * d
                tail[k] = state[_ONE + k]
                tail[LANES + k] = state[_TWO + k]
        state[_ONE:] = 0.0
        for row in range(block, min(block + window, len(x))):
            tail = tails[row - block]
            for k in range(lanes):
                d = x[row, k] - state[_CENTRE + k]
                state[_ONE + k] += d
                state[_TWO + k] += d * d
            if row >= window - 1:
                for k in range(lanes):
                    total = state[_ONE + k] + tail[k]
                    variance = (state[_TWO + k] + tail[LANES + k] - total * total * share) * rest
                    out[row, k] = 0.0 if variance < state[_FLOOR + k] else np.sqrt(variance)


@compiled
def _shape(x: Reals, window: int, age: int, skew: bool, out: Reals) -> None:
    """Skewness m3 / m2^1.5, or excess kurtosis m4 / m2^2 - 3, of central moments m; NaN where FLAT."""
    state, tails = np.empty(6 * LANES), np.zeros((window, 4 * LANES))
    for block in range(-age % window, len(x), window):
        _begin(x[block], state)
        for back in range(1, min(window, block + 1)):
            row, tail = block - back, tails[window - 1 - back]
            _add_powers(x[row], state)
            for k in range(len(tail)):
                tail[k] = state[_ONE + k]
        state[_ONE:] = 0.0
        for row in range(block, min(block + window, len(x))):
            _add_powers(x[row], state)
            if row >= window - 1:
                if skew:
                    _skews(state, tails[row - block], 1.0 / window, out[row])
                else:
                    _kurtoses(state, tails[row - block], 1.0 / window, out[row])


@compiled
def _add_powers(x: Reals, state: Reals) -> None:
    for k in range(len(x)):
        d = x[k] - state[_CENTRE + k]
        state[_ONE + k] += d
        state[_TWO + k] += d * d
        state[_THREE + k] += d * d * d
        state[_FOUR + k] += d * d * d * d


@compiled
def _skews(state: Reals, tail: Reals, share: float, out: Reals) -> None:
    """From the mean powers about any centre."""
    for k in range(len(out)):
        m, m2 = (state[_ONE + k] + tail[k]) * share, (state[_TWO + k] + tail[LANES + k]) * share
        m3 = (state[_THREE + k] + tail[2 * LANES + k]) * share
        variance = m2 - m * m
        skewness = (m3 - 3.0 * m * m2 + 2.0 * m * m * m) / (variance * np.sqrt(variance))
        out[k] = np.nan if variance < state[_FLOOR + k] else skewness


@compiled
def _kurtoses(state: Reals, tail: Reals, share: float, out: Reals) -> None:
    """From the mean powers about any centre; of the excess kind."""
    for k in range(len(out)):
        m, m2 = (state[_ONE + k] + tail[k]) * share, (state[_TWO + k] + tail[LANES + k]) * share
        m3 = (state[_THREE + k] + tail[2 * LANES + k]) * share
        m4 = (state[_FOUR + k] + tail[3 * LANES + k]) * share
        variance = m2 - m * m
        fourth = m4 - 4.0 * m * m3 + 6.0 * m * m * m2 - 3.0 * m * m * m * m
        out[k] = np.nan if variance < state[_FLOOR + k] else fourth / (variance * variance) - 3.0


@compiled
def _line(x: Reals, window: int, age: int, kind: int, out: Reals) -> None:
    """Least squares of the window's terms on their place in it, or their mean weighted 1, 2 ... window."""
    lanes = x.shape[1]
    state, tails = np.empty(5 * LANES), np.zeros((window, 3 * LANES))
    sums = np.empty(3 * LANES)
    for block in range(-age % window, len(x), window):
        _begin(x[block], state)
        for back in range(1, min(window, block + 1)):
            row, tail = block - back, tails[window - 1 - back]
            for k in range(lanes):
                d = x[row, k] - state[_CENTRE + k]
                state[_ONE + k] += d
                state[_TWO + k] += d * d
                state[_MOMENT + k] -= back * d
            for k in range(len(tail)):
                tail[k] = state[_ONE + k]
        state[_ONE:] = 0.0
        for row in range(block, min(block + window, len(x))):
            place, tail = row - block, tails[row - block]
            for k in range(lanes):
                d = x[row, k] - state[_CENTRE + k]
                state[_ONE + k] += d
                state[_TWO + k] += d * d
                state[_MOMENT + k] += place * d
            if row >= window - 1:
                middle = place - (window - 1) / 2
                for k in range(lanes):
                    total = state[_ONE + k] + tail[k]
                    sums[k] = total
                    sums[LANES + k] = state[_TWO + k] + tail[LANES + k]
                    sums[2 * LANES + k] = state[_MOMENT + k] + tail[2 * LANES + k] - middle * total
                _fit(kind, window, x[row], state, sums, out[row])


@compiled
def _fit(kind: int, window: int, last: Reals, state: Reals, sums: Reals, out: Reals) -> None:
    """Results of the line from sums about the centre: of values, squares, values times distance from the middle."""
    places = window * (window * window - 1.0) / 12.0
    if kind == SLOPE:
        for k in range(len(out)):
            out[k] = sums[2 * LANES + k] / places
    elif kind == RESIDUAL:
        for k in range(len(out)):
            rise = sums[2 * LANES + k] / places * (window - 1) / 2
            out[k] = last[k] - state[_CENTRE + k] - sums[k] / window - rise
    elif kind == WEIGHTED:
        for k in range(len(out)):
            out[k] = state[_CENTRE + k] + sums[k] / window + sums[2 * LANES + k] / (window * (window + 1) / 2)
    else:
        for k in range(len(out)):
            slope, variation = sums[2 * LANES + k] / places, sums[LANES + k] - sums[k] * (sums[k] / window)
            share = min(slope * slope * places / variation, 1.0)
            out[k] = np.nan if variation < window * state[_FLOOR + k] else share
