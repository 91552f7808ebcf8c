"""How much a label tells that others do not: average uniqueness (Lopez de Prado 2018, chapter 4).

Labels of one entity that are alive in the same period share what happened in it. A label over h
periods, one begun every period, is unique to about 1 / h. Different entities share nothing here:
what dates have in common is left to the tests, which count dates.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ml.errors import TrainingError
from ml.estimators.interface import Vector

Periods = npt.NDArray[np.int64]


def uniqueness(entity: Periods, start: Periods, end: Periods) -> Vector:
    """(n,) in (0, 1]: the mean over a label's life of 1 / the number of its entity's labels alive then.

    entity: (n,) codes. start, end: (n,) running numbers of the periods in which a label begins and is
    known; it lives in the periods start + 1 ... end, so labels that follow each other share nothing.
    Memory grows with entities x periods. TrainingError when a label ends before it has lived.
    """
    _check_lives(entity, start, end)
    if not entity.size:
        return np.empty(0)
    codes, row = np.unique(entity, return_inverse=True)
    first = start.min()
    width = int(end.max() - first) + 2
    begins, ends = row * width + (start - first) + 1, row * width + (end - first) + 1
    size = codes.size * width
    alive = np.cumsum(np.bincount(begins, minlength=size) - np.bincount(ends, minlength=size))
    share = np.divide(1.0, alive, out=np.zeros(size), where=alive > 0)
    # Summed up entity by entity, so that none rounds the worse for those before it.
    lived = np.cumsum(share.reshape(codes.size, width), axis=1).ravel()
    mean: Vector = (lived[ends - 1] - lived[begins - 1]) / (end - start)
    return mean


def mean_one(weights: Vector) -> Vector:
    """(n,) the same proportions with a mean of 1, so that a loss keeps its size.

    TrainingError when a weight is negative or NaN, or all are 0.
    """
    total = float(weights.sum())
    if weights.size and not (total > 0 and (weights >= 0).all()):
        raise TrainingError(
            f"{weights.size} weights that add up to {total}", "weights from 0 up, not all 0", "Weigh labelled rows"
        )
    return weights * (weights.size / total) if weights.size else weights


def _check_lives(entity: Periods, start: Periods, end: Periods) -> None:
    if not entity.shape == start.shape == end.shape:
        raise TrainingError(
            f"{entity.size} entities, {start.size} starts and {end.size} ends", "one of each per label", "Align them"
        )
    if not (end > start).all():
        raise TrainingError(
            f"{int((end <= start).sum())} of {end.size} labels that end where they begin or before",
            "lives of at least one period",
            "Number the periods of ts and matures_at on one axis",
        )
