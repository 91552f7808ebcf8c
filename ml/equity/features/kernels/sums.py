"""Kernels that add up a window of one series: sums, moments, the straight line through it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ml.equity.features.kernels.compiled import compiled

Reals = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

SUM, MEAN, DEVIATION, STD, SKEW, KURT, SLOPE, RSQUARE, RESIDUAL, WEIGHTED = range(10)

FLAT = 1e-12
"""A spread below this, or below this share of the level if the level exceeds 1, is rounding, not movement."""


@compiled
def window_sums(kind: int, x: Reals, window: int, edges: Indices, ages: Indices, out: Reals) -> None:
    """`kind` over the last `window` terms of each symbol's x; NaN until a window is full."""
    for s in range(len(ages)):
        own, result = x[edges[s] : edges[s + 1]], out[edges[s] : edges[s + 1]]
        result[: window - 1] = np.nan
        if kind <= DEVIATION:
            _sum(own, window, ages[s], kind != SUM, result)
            if kind == DEVIATION:
                _deviation(own, window, result)
        elif kind == STD:
            _std(own, window, ages[s], result)
        elif kind <= KURT:
            _shape(own, window, ages[s], kind == SKEW, result)
        else:
            _line(own, window, ages[s], kind, result)


@compiled
def _sum(x: Reals, window: int, age: int, mean: bool, out: Reals) -> None:
    """The sum, or the mean as the block's first value plus the mean distance from it."""
    share = 1.0 / window if mean else 1.0
    for block in range(-age % window, len(x), window):
        centre = x[block] if mean else 0.0
        tail = 0.0
        for row in range(block - 1, max(block - window, -1), -1):
            tail += x[row] - centre
            if row + window - 1 < len(x):
                out[row + window - 1] = tail
        head = 0.0
        end = min(block + window, len(x))
        for row in range(block, min(end, window - 1)):
            head += x[row] - centre
        for row in range(max(block, window - 1), end):
            head += x[row] - centre
            total = head + out[row] if row < block + window - 1 else head
            out[row] = centre + total * share


@compiled
def _deviation(x: Reals, window: int, out: Reals) -> None:
    """The mean absolute distance from the window's mean, which `out` holds on entry."""
    for row in range(window - 1, len(x)):
        total = 0.0
        for k in range(row - window + 1, row + 1):
            total += abs(x[k] - out[row])
        out[row] = total / window


@compiled
def _std(x: Reals, window: int, age: int, out: Reals) -> None:
    """The sample standard deviation (n - 1); 0 where it is FLAT."""
    tails = np.zeros((window, 2))
    share, rest = 1.0 / window, 1.0 / (window - 1)
    for block in range(-age % window, len(x), window):
        centre = x[block]
        floor = (FLAT * max(1.0, abs(centre))) ** 2
        one = two = 0.0
        for back in range(1, min(window, block + 1)):
            d = x[block - back] - centre
            one += d
            two += d * d
            tails[window - 1 - back, 0] = one
            tails[window - 1 - back, 1] = two
        one = two = 0.0
        for row in range(block, min(block + window, len(x))):
            d = x[row] - centre
            one += d
            two += d * d
            if row >= window - 1:
                total = one + tails[row - block, 0]
                variance = (two + tails[row - block, 1] - total * total * share) * rest
                out[row] = 0.0 if variance < floor else np.sqrt(variance)


@compiled
def _shape(x: Reals, window: int, age: int, skew: bool, out: Reals) -> None:
    """Skewness m3 / m2^1.5, or excess kurtosis m4 / m2^2 - 3, of central moments m; NaN where FLAT."""
    tails = np.zeros((window, 4))
    share = 1.0 / window
    for block in range(-age % window, len(x), window):
        centre = x[block]
        floor = (FLAT * max(1.0, abs(centre))) ** 2
        one = two = three = four = 0.0
        for back in range(1, min(window, block + 1)):
            d = x[block - back] - centre
            one, two, three, four = one + d, two + d * d, three + d * d * d, four + d * d * d * d
            place = window - 1 - back
            tails[place, 0], tails[place, 1], tails[place, 2], tails[place, 3] = one, two, three, four
        one = two = three = four = 0.0
        for row in range(block, min(block + window, len(x))):
            d = x[row] - centre
            one, two, three, four = one + d, two + d * d, three + d * d * d, four + d * d * d * d
            if row >= window - 1:
                tail = tails[row - block]
                m, m2, m3, m4 = one + tail[0], two + tail[1], three + tail[2], four + tail[3]
                out[row] = _standardised(m * share, m2 * share, m3 * share, m4 * share, skew, floor)


@compiled
def _standardised(m: float, two: float, three: float, four: float, skew: bool, floor: float) -> float:
    """Skewness or excess kurtosis from the mean powers about any centre."""
    variance = two - m * m
    if variance < floor:
        return np.nan
    if skew:
        return float((three - 3.0 * m * two + 2.0 * m * m * m) / (variance * np.sqrt(variance)))
    return float((four - 4.0 * m * three + 6.0 * m * m * two - 3.0 * m * m * m * m) / (variance * variance) - 3.0)


@compiled
def _line(x: Reals, window: int, age: int, kind: int, out: Reals) -> None:
    """Least squares of the window's terms on their place in it, or their mean weighted 1, 2 ... window."""
    tails = np.zeros((window, 3))
    for block in range(-age % window, len(x), window):
        centre = x[block]
        floor = (FLAT * max(1.0, abs(centre))) ** 2
        one = two = moment = 0.0
        for back in range(1, min(window, block + 1)):
            d = x[block - back] - centre
            one += d
            two += d * d
            moment -= back * d
            tails[window - 1 - back, 0] = one
            tails[window - 1 - back, 1] = two
            tails[window - 1 - back, 2] = moment
        one = two = moment = 0.0
        for row in range(block, min(block + window, len(x))):
            place = row - block
            d = x[row] - centre
            one += d
            two += d * d
            moment += place * d
            if row >= window - 1:
                total, squares = one + tails[place, 0], two + tails[place, 1]
                cross = moment + tails[place, 2] - (place - (window - 1) / 2) * total
                out[row] = _fitted(kind, window, centre, d, total, squares, cross, floor)


@compiled
def _fitted(
    kind: int, window: int, centre: float, last: float, total: float, squares: float, cross: float, floor: float
) -> float:
    """One result of the line, from sums about `centre`; cross: of value times distance from the middle place."""
    mean = total / window
    places = window * (window * window - 1.0) / 12.0
    slope = cross / places
    if kind == SLOPE:
        return slope
    if kind == RESIDUAL:
        return last - mean - slope * (window - 1) / 2
    if kind == WEIGHTED:
        return centre + mean + cross / (window * (window + 1) / 2)
    variation = squares - total * mean
    return np.nan if variation < window * floor else min(slope * slope * places / variation, 1.0)
