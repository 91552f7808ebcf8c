"""Trailing windows over one array: shape (n,) in, shape (n,) out, NaN until a window is full.

A window is summed term by term, always in the same order, so that a value depends on the terms of
its own window and on nothing else, bit for bit: no running sum carries rounding from the past, none
mixes in what comes later. A NaN makes the windows that hold it NaN.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ml.equity.features.bars import Reals

FLAT = 1e-12
"""A spread of dimensionless numbers (log returns, logs) below this is rounding, not movement."""


def terms(x: Reals, window: int) -> Iterator[Reals]:
    """The window's terms, newest first: the k-th array holds x[t - k] for every t with a full window."""
    size = len(x) - window + 1
    for k in range(window):
        yield x[window - 1 - k : window - 1 - k + size]


def rolling_sum(x: Reals, window: int) -> Reals:
    """The sum of the last `window` terms."""
    return _padded(_sum(x, window), len(x))


def rolling_mean(x: Reals, window: int) -> Reals:
    """The mean of the last `window` terms."""
    return rolling_sum(x, window) / window


def rolling_moment(x: Reals, window: int, power: int) -> Reals:
    """The central moment, mean of (x - mean)^power, of the last `window` terms, by two passes."""
    if len(x) < window:
        return np.full(len(x), np.nan)
    mean = _sum(x, window) / window
    total = np.zeros_like(mean)
    for term in terms(x, window):
        deviation = term - mean
        product = deviation.copy()
        for _ in range(power - 1):  # far faster than numpy's power
            product *= deviation
        total += product
    return _padded(total / window, len(x))


def rolling_std(x: Reals, window: int) -> Reals:
    """The sample standard deviation (n - 1) of the last `window` terms."""
    return np.sqrt(rolling_moment(x, window, 2) * (window / (window - 1)))


def rolling_correlation(x: Reals, y: Reals, window: int) -> Reals:
    """Pearson's correlation of the last `window` pairs; NaN where either side is flat."""
    if len(x) < window:
        return np.full(len(x), np.nan)
    mean_x, mean_y = _sum(x, window) / window, _sum(y, window) / window
    xy, xx, yy = np.zeros_like(mean_x), np.zeros_like(mean_x), np.zeros_like(mean_x)
    for term_x, term_y in zip(terms(x, window), terms(y, window), strict=True):
        dx, dy = term_x - mean_x, term_y - mean_y
        xy += dx * dy
        xx += dx * dx
        yy += dy * dy
    flat = (xx < window * FLAT**2) | (yy < window * FLAT**2)
    return _padded(ratio(xy, np.where(flat, 0.0, np.sqrt(xx * yy))), len(x))


def shifted(x: Reals, by: int) -> Reals:
    """x[t - by], NaN for the first `by`."""
    result = np.full(len(x), np.nan)
    result[by:] = x[: max(len(x) - by, 0)]
    return result


def ratio(numerator: Reals, denominator: Reals) -> Reals:
    """numerator / denominator, NaN where the denominator is zero."""
    result = np.full(len(numerator), np.nan)
    np.divide(numerator, denominator, out=result, where=denominator != 0)
    return result


def _sum(x: Reals, window: int) -> Reals:
    total = np.zeros(max(len(x) - window + 1, 0))
    if len(total):
        for term in terms(x, window):
            total += term
    return total


def _padded(values: Reals, size: int) -> Reals:
    result = np.full(size, np.nan)
    result[size - len(values) :] = values
    return result
