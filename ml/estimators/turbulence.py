"""How much the rows of a turbulent period tell about the value, beside those of a calm one.

Where everything moves widely, what sets rows apart is mostly noise. Least squares that takes all rows for equally
precise listens to such periods most. The remedy is weighted least squares (Aitken 1936): each period's weight is
divided by the variance of the value within it, so that what sets the rows of a calm period apart is learned too.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ml.estimators.panel import Sample

TYPICAL_ROWS = 10
"""Rows of the variance of all that are added to a period's own: few rows tell little of their variance."""


def evened(sample: Sample) -> Sample:
    """The same rows with weights, of mean 1 again, divided by the variance of the value within their period.

    All values are moved by one amount, so that their weighted mean is what it was: calm periods tell more of what sets
    rows apart, but if they rise more, that is no reason to expect more of all. Itself where no variance within periods
    can be told: one row a period, or values that never differ within one.
    """
    _, period = np.unique(sample.panel.period[sample.at], return_inverse=True)
    rows, weight = np.bincount(period), np.bincount(period, weights=sample.weight)
    free = weight * (rows - 1) / rows
    mean = np.bincount(period, weights=sample.weight * sample.value) / weight
    squares = np.bincount(period, weights=sample.weight * (sample.value - mean[period]) ** 2)
    if not squares.sum() > 0:
        return sample
    of_all = squares.sum() / free.sum()
    variance = (squares + TYPICAL_ROWS * of_all) / (free + TYPICAL_ROWS)
    precise = sample.weight / variance[period]
    moved = np.average(sample.value, weights=precise) - np.average(sample.value, weights=sample.weight)
    return replace(sample, value=sample.value - moved, weight=precise / precise.mean())
