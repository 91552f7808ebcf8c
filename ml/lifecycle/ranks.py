"""Ranks within dates: what pandas' grouped ranks give, and sooner.

Of 504 dates x 500 rows: 23 ms instead of 56, and instead of 95 where both ends of ties are asked for. A look at the
gate ranks a dozen times.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.estimators.interface import Vector


class Ranks(NamedTuple):
    """(n,) each. lowest, highest: the first and last place, from 1 on, that a row shares with those that tie with it.
    of: how many rows its date has. Missing values come last and have none (NaN)."""

    lowest: Vector
    highest: Vector
    of: npt.NDArray[np.int64]

    @property
    def average(self) -> Vector:
        """(n,) the mean of both: what Spearman's correlation asks for."""
        return (self.lowest + self.highest) / 2


def ranks(values: Vector, ts: Any) -> Ranks:
    """The ranks of values (n,) among those of the same ts (n,), ascending; dates may lie in any order."""
    codes = pd.factorize(pd.Index(ts))[0]
    together = np.argsort(codes, kind="stable")
    length = np.bincount(codes)
    starts = np.r_[0, np.cumsum(length)]
    grouped = values[together]
    within = [np.argsort(grouped[a:b]) for a, b in pairwise(starts)]
    order = together[np.concatenate([a + own for a, own in zip(starts, within, strict=False)])] if within else together
    ranked, date = values[order], codes[order]
    new = np.r_[True, (ranked[1:] != ranked[:-1]) | (date[1:] != date[:-1])][: ranked.size]
    tie = np.cumsum(new) - 1
    first = np.flatnonzero(new)
    last = np.r_[first[1:], ranked.size] - 1
    lowest, highest = np.empty(values.size), np.empty(values.size)
    lowest[order] = first[tie] - starts[date] + 1
    highest[order] = last[tie] - starts[date] + 1
    missing = np.isnan(values)
    lowest[missing] = highest[missing] = np.nan
    return Ranks(lowest, highest, length[codes])
