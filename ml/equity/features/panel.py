"""How a panel's rows lie: by symbol in memory while computing, by date in the result."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.equity.features.kernels import dates
from ml.equity.features.operators import Segments

Indices = npt.NDArray[np.int64]

CHUNK_ROWS = 65_536
"""Rows that are computed at a time. Measured: fewer cost more in calls than they save in the cache."""


@dataclass(frozen=True)
class Chunk:
    """Some whole symbols: the rows `rows` of the panel; target: where each goes in the result."""

    rows: slice
    segments: Segments
    target: Indices


@dataclass(frozen=True)
class Panel:
    """Rows that are sorted by (symbol, ts).

    edges: symbol s has the rows edges[s] to edges[s + 1]
    ages: the index of each symbol's first row in its own history
    order: the panel's row of each row of the result, which is sorted by (ts, symbol); int32, for half the traffic
    target: the result's row of each row of the panel
    dates: date d has the result's rows dates[d] to dates[d + 1]
    """

    edges: Indices
    ages: Indices
    order: npt.NDArray[np.int32]
    target: Indices
    dates: Indices

    @classmethod
    def of(cls, symbol: pd.Series, place: Indices, first_index: pd.Series | None = None) -> Panel:
        """From the symbol and the running number of the session of each row."""
        codes, symbols = pd.factorize(symbol)
        ages = np.zeros(len(symbols)) if first_index is None else first_index.loc[symbols].to_numpy()
        return cls.laid(edges_of(codes), ages.astype(np.int64), place)

    @classmethod
    def laid(cls, edges: Indices, ages: Indices, place: Indices) -> Panel:
        """From where the symbols lie, none of them empty, and the running number of the session of each row."""
        # Symbols are in order already, so sorting by session alone gives the order by (ts, symbol).
        order, target = np.empty(len(place), dtype=np.int32), np.empty_like(place)
        if len(place):
            dates.by_date(place, order, target)
        return cls(edges, ages, order, target, edges_of(place[order]))

    def chunks(self) -> list[Chunk]:
        """All rows, whole symbols together, about CHUNK_ROWS at a time."""
        ends = np.arange(CHUNK_ROWS, self.edges[-1] + CHUNK_ROWS, CHUNK_ROWS)
        cuts = np.unique(np.append(np.searchsorted(self.edges, ends, side="right") - 1, [0, len(self.ages)]))
        return [self._chunk(first, last) for first, last in pairwise(cuts.tolist())]

    def _chunk(self, first: int, last: int) -> Chunk:
        edges = self.edges[first : last + 1]
        rows = slice(int(edges[0]), int(edges[-1]))
        return Chunk(rows, Segments(edges - edges[0], self.ages[first:last]), self.target[rows])


def edges_of(codes: npt.NDArray[np.int64]) -> Indices:
    """Where runs of equal codes begin, and the end."""
    starts = np.flatnonzero(np.diff(codes)) + 1
    return np.concatenate([[0], starts, [len(codes)]]).astype(np.int64) if len(codes) else np.zeros(1, dtype=np.int64)
