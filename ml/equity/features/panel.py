"""How a panel's rows lie: side by side in lanes while computing, by date in the result."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.equity.features.kernels import dates, lanes
from ml.equity.features.kernels.lanes import LANES

Indices = npt.NDArray[np.int64]
Places = npt.NDArray[np.int32]

MOST_PADDING = 0.25
"""The share of a chunk's rows that may have no bar in a lane that is used."""


@dataclass(frozen=True)
class Chunk:
    """Up to LANES symbols side by side, as kernels want them.

    age: the index of row 0 in the history of every symbol
    rows, target: of each bar its row in the panel and its row in the result, NOWHERE where a lane has no bar; both of
        shape (bars, LANES)
    together: per row, whether its bars are neighbours in the result
    """

    age: int
    rows: Places
    target: Places
    together: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Panel:
    """Rows that are sorted by (symbol, ts).

    edges: symbol s has the rows edges[s] to edges[s + 1]
    ages: the index of each symbol's first row in its own history
    order: the panel's row of each row of the result, which is sorted by (ts, symbol)
    target: the result's row of each row of the panel, NOWHERE for those that are only looked back on
    dates: date d has the result's rows dates[d] to dates[d + 1]
    """

    edges: Indices
    ages: Indices
    order: Places
    target: Places
    dates: Indices

    @classmethod
    def of(cls, symbol: pd.Series, place: Indices, first_index: pd.Series | None = None) -> Panel:
        """From the symbol and the running number of the session of each row."""
        edges = edges_of(symbol.array)
        ages = np.zeros(len(edges) - 1) if first_index is None else first_index.loc[symbol.iloc[edges[:-1]]].to_numpy()
        return cls.laid(edges, ages.astype(np.int64), place)

    @classmethod
    def laid(cls, edges: Indices, ages: Indices, place: Indices, first: int = 0) -> Panel:
        """From where the symbols lie, none of them empty, and the running number of the session of each row.

        first: the first session of the result
        """
        # Symbols are in order already, so sorting by session alone gives the order by (ts, symbol).
        order = np.empty(np.count_nonzero(place >= first), dtype=np.int32)
        target = np.empty(len(place), dtype=np.int32)
        if len(place):
            dates.by_date(place, max(first, int(place.min())), order, target)
        return cls(edges, ages, order, target, edges_of(place[order]))

    def groups(self) -> Iterator[Indices]:
        """All symbols, up to LANES together whose histories begin and end at about the same index."""
        ends = self.ages + np.diff(self.edges)
        ready: list[int] = []
        first = last = bars = 0
        for symbol in np.lexsort((ends, self.ages)).tolist():
            age, end = int(self.ages[symbol]), int(ends[symbol])
            if ready:
                whole = (len(ready) + 1) * (max(last, end) - first)
                if len(ready) == LANES or whole - bars - (end - age) > MOST_PADDING * whole:
                    yield np.array(ready)
                    ready = []
            if not ready:
                first, last, bars = age, end, 0
            ready.append(symbol)
            last, bars = max(last, end), bars + end - age
        if ready:
            yield np.array(ready)

    def chunk(self, symbols: Indices) -> Chunk:
        """Some symbols side by side."""
        age, starts = int(self.ages[symbols].min()), self.edges[symbols]
        begin, lengths = self.ages[symbols] - age, self.edges[symbols + 1] - starts
        rows = np.empty((int((begin + lengths).max()), LANES), dtype=np.int32)
        lanes.places(begin, starts, lengths, rows)
        target = np.where(rows >= 0, self.target.take(rows, mode="clip"), np.int32(lanes.NOWHERE))
        together = np.empty(len(rows), dtype=np.bool_)
        lanes.in_line(target, together)
        return Chunk(age, rows, target, together)


def edges_of(values: Any) -> Indices:
    """Where runs of equal values begin, and the end; of an array of any kind."""
    starts = np.flatnonzero(np.asarray(values[1:] != values[:-1])) + 1
    return np.concatenate([[0], starts, [len(values)]]).astype(np.int64) if len(values) else np.zeros(1, dtype=np.int64)
