"""Kernels over the symbols of one date, and the order of dates.

A cross-sectional operator works on a float32 column in the order of the output, (ts, entity), where
the rows of a date stand together: edges[d] to edges[d + 1]. A symbol without a value takes no part.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ml.equity.features.kernels.compiled import compiled
from ml.equity.features.kernels.lanes import NOWHERE

Reals = npt.NDArray[np.float64]
Column = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
Places = npt.NDArray[np.int32]

_INDEX_BITS = 32
_LAST = 0x7FFFFFFF
FLAT = 1e-6
"""A spread below this share of the level is float32 rounding, not difference."""
LEAST = 2
"""So many symbols of a sector must have a value on a date: one alone has nobody to be compared with."""


@compiled
def by_date(place: Indices, first: int, order: Places, target: Places) -> None:
    """order: the rows whose place is `first` or later, sorted by it, equal ones as they come.

    target: the inverse, NOWHERE for the other rows. Counts; needs no comparisons.
    """
    begin = np.zeros(max(place.max() - first + 2, 1), dtype=np.int64)
    for row in range(len(place)):
        if place[row] >= first:
            begin[place[row] - first + 1] += 1
    begin = np.cumsum(begin)
    for row in range(len(place)):
        k = place[row] - first
        if k < 0:
            target[row] = NOWHERE
        else:
            target[row] = begin[k]
            order[begin[k]] = row
            begin[k] += 1


@compiled
def centre(column: Column, edges: Indices, mean_only: bool) -> None:
    """In place, the mean of each date, or each value's distance from it in sample standard deviations."""
    for d in range(len(edges) - 1):
        own = column[edges[d] : edges[d + 1]]
        count, total = 0, 0.0
        for value in own:
            if not np.isnan(value):
                count += 1
                total += value
        mean = total / count if count else 0.0
        squares = 0.0
        for value in own:
            if not np.isnan(value):
                squares += (value - mean) ** 2
        spread = np.sqrt(squares / (count - 1)) if count > 1 else 0.0
        flat = spread <= FLAT * abs(mean)
        for k in range(len(own)):
            if not np.isnan(own[k]):
                own[k] = mean if mean_only else (np.nan if flat else (own[k] - mean) / spread)


@compiled
def to_keys(column: Column, edges: Indices, keys: Indices) -> None:
    """Integers that order as (value, place in the date), NaN last: the bits of a float with its sign unfolded."""
    bits = column.view(np.int32)
    for d in range(len(edges) - 1):
        for k in range(edges[d], edges[d + 1]):
            value = np.int64(bits[k])
            if column[k] == 0.0:  # -0.0 is 0.0
                value = np.int64(0)
            elif np.isnan(column[k]):
                value = np.int64(_LAST)
            elif value < 0:
                value = np.int64(-0x80000000) - value - 1
            keys[k] = (value << _INDEX_BITS) | (k - edges[d])


@compiled
def ranks_of_keys(keys: Indices, edges: Indices, column: Column) -> None:
    """The rank of each value among those of its date as a share of their number; equal ones share the mean rank."""
    for d in range(len(edges) - 1):
        lo, hi = edges[d], edges[d + 1]
        count = hi - lo
        while count and (keys[lo + count - 1] >> _INDEX_BITS) == _LAST:
            count -= 1
        first = lo
        while first < lo + count:
            last = first
            while last < lo + count and (keys[last] >> _INDEX_BITS) == (keys[first] >> _INDEX_BITS):
                last += 1
            rank = np.float32(((first + last + 1) / 2 - lo) / count)
            for k in range(first, last):
                column[lo + (keys[k] & 0xFFFFFFFF)] = rank
            first = last


@compiled
def mean_of_sectors(column: Column, edges: Indices, sector: Places, sectors: int) -> None:
    """In place, the mean of each date and sector; NaN where less than LEAST of it have a value.

    sector: of each row, below `sectors`; below 0 where nobody knows it, and there the value becomes NaN
    """
    count, total = np.zeros(sectors, dtype=np.int64), np.zeros(sectors)
    for d in range(len(edges) - 1):
        count[:] = 0
        total[:] = 0.0
        for k in range(edges[d], edges[d + 1]):
            if sector[k] >= 0 and not np.isnan(column[k]):
                count[sector[k]] += 1
                total[sector[k]] += column[k]
        for k in range(edges[d], edges[d + 1]):
            if not np.isnan(column[k]):
                own = sector[k]
                column[k] = total[own] / count[own] if own >= 0 and count[own] >= LEAST else np.nan


@compiled
def ranks_in_sectors(keys: Indices, edges: Indices, sector: Places, sectors: int, column: Column) -> None:
    """As `ranks_of_keys`, among those of the same date and sector; NaN as in `mean_of_sectors`."""
    there, below = np.zeros(sectors, dtype=np.int64), np.zeros(sectors, dtype=np.int64)
    equal = np.zeros(sectors, dtype=np.int64)
    for d in range(len(edges) - 1):
        lo, end = edges[d], edges[d + 1]
        while end > lo and (keys[end - 1] >> _INDEX_BITS) == _LAST:
            end -= 1
        there[:] = 0
        below[:] = 0
        for k in range(lo, end):
            own = sector[lo + (keys[k] & 0xFFFFFFFF)]
            if own >= 0:
                there[own] += 1
        first = lo
        while first < end:
            last = first
            while last < end and (keys[last] >> _INDEX_BITS) == (keys[first] >> _INDEX_BITS):
                own = sector[lo + (keys[last] & 0xFFFFFFFF)]
                if own >= 0:
                    equal[own] += 1
                last += 1
            for k in range(first, last):
                row = lo + (keys[k] & 0xFFFFFFFF)
                own = sector[row]
                known = own >= 0 and there[own] >= LEAST
                column[row] = np.float32((below[own] + (equal[own] + 1) / 2) / there[own]) if known else np.nan
            for k in range(first, last):
                own = sector[lo + (keys[k] & 0xFFFFFFFF)]
                if own >= 0:
                    below[own] += equal[own]
                    equal[own] = 0
            first = last
