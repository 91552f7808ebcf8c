"""Some sessions of a history, computed from no more of it than they depend on, with the bits of the whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.equity import sessions
from ml.equity.features.compute import keys_of
from ml.equity.features.feature import Feature, FeatureSet
from ml.equity.features.inputs import BARS, Inputs, unknown_sectors
from ml.equity.features.nodes import Node
from ml.equity.features.panel import Panel, edges_of
from ml.equity.features.plan import THREADS, Plan

Indices = npt.NDArray[np.int64]

_SESSION_BITS = 20
"""Room for the running number of a session in a row's key, before it the number of its symbol."""


@dataclass(frozen=True)
class PlacedBars:
    """ADJUSTED bars on a calendar, and where each symbol's sessions lie in them.

    sector: of each row, missing where nobody knows it
    edges: symbol s has the rows edges[s] to edges[s + 1]; key: ascending, of s and the running number of the session
    """

    adjusted: pd.DataFrame
    sector: pd.Categorical[str]
    calendar: str
    edges: Indices
    key: Indices

    @classmethod
    def of(cls, adjusted: pd.DataFrame, calendar: str, sector: pd.Categorical[str] | None = None) -> PlacedBars:
        """Without `sector` nobody's is known. FrameError when an instant is not a close."""
        codes = pd.factorize(adjusted["symbol"])[0].astype(np.int64)
        key = (codes << _SESSION_BITS) + sessions.positions(calendar, adjusted["ts"])
        sector = unknown_sectors(len(adjusted)) if sector is None else sector
        return cls(adjusted, sector, calendar, edges_of(codes), key)

    def sessions_of(self, rows: Indices | slice) -> Indices:
        """The running number of the session of each of these rows."""
        return self.key[rows] & ((1 << _SESSION_BITS) - 1)

    def since(self, session: int) -> Indices:
        """By symbol, the first of its rows that is not before the session; its end when there is none."""
        return np.searchsorted(self.key, (np.arange(len(self.edges) - 1) << _SESSION_BITS) + session)

    def between(self, first: int, last: int) -> Indices:
        """The rows of the sessions from first to last, sorted by (ts, symbol)."""
        rows = _ranges(self.since(first), self.since(last + 1))
        return rows[np.argsort(self.sessions_of(rows), kind="stable")]


def compute_sessions(bars: PlacedBars, feature_set: FeatureSet, first: int, last: int) -> pd.DataFrame:
    """Those rows of `compute`, to the bit, whose sessions have a running number from first to last.

    Features that look back about as far as each other are computed together, from as many bars as the
    furthest of them needs (Feature.reach): nearly all need a few dozen, a few recursions a thousand.
    """
    rows = bars.between(first, last)
    values = np.empty((len(feature_set.features), len(rows)), dtype=np.float32)
    if len(rows):
        with ThreadPoolExecutor(THREADS) as threads:
            for columns, reach in _groups(feature_set.features, bars, first, last):
                nodes = [feature_set.features[column].node for column in columns]
                values[columns] = _computed(nodes, bars, reach, first, last, threads)[:, -len(rows) :]
    features = pd.DataFrame(values.T, columns=list(feature_set.names), copy=False)
    return pd.concat([keys_of(bars.adjusted, rows), features], axis=1)


def _groups(
    features: Sequence[Feature], bars: PlacedBars, first: int, last: int
) -> Iterator[tuple[list[int], tuple[int, ...]]]:
    """Columns to compute together, with the reach of all of them.

    Two go together when they look across symbols equally often and the sessions that they need, those of
    the result included, have the same binary magnitude.
    """
    before = first - int(bars.sessions_of(bars.edges[:-1]).min())
    groups: dict[tuple[int, int], list[int]] = {}
    for column, feature in enumerate(features):
        reach = _trimmed(feature.reach)
        needed = last - first + 1 + min(sum(reach), before)
        groups.setdefault((len(reach), needed.bit_length()), []).append(column)
    for (stages, _), columns in groups.items():
        reaches = [_trimmed(features[column].reach) for column in columns]
        yield columns, tuple(max(reach[stage] for reach in reaches) for stage in range(stages))


def _trimmed(reach: tuple[int, ...]) -> tuple[int, ...]:
    """Without what asks other symbols for the result's own dates alone: there they are anyway."""
    while len(reach) > 1 and not reach[0]:
        reach = reach[1:]
    return reach


def _computed(
    nodes: Sequence[Node], bars: PlacedBars, reach: tuple[int, ...], first: int, last: int, threads: Executor
) -> npt.NDArray[np.float32]:
    """The nodes over a tail of every symbol, in the order of (ts, symbol): shape (nodes, rows of the tails)."""
    plan = Plan.of(nodes)
    start, stop = _tails(bars, reach, first, last)
    there = start < stop
    rows = _ranges(start, stop)
    edges = np.append(0, np.cumsum((stop - start)[there]))
    place = bars.sessions_of(rows)
    panel = Panel.laid(edges, (start - bars.edges[:-1])[there], place)
    wanted = {name: bars.adjusted[name].to_numpy()[rows] for name in BARS if name in plan.inputs}
    adjusted = pd.DataFrame(wanted, copy=False)
    inputs = Inputs.of(adjusted, bars.sector[rows], bars.calendar, place, plan.inputs)
    values = np.empty((len(nodes), len(rows)), dtype=np.float32)
    plan.run(panel, inputs, values, threads)
    return values


def _tails(bars: PlacedBars, reach: tuple[int, ...], first: int, last: int) -> tuple[Indices, Indices]:
    """By symbol, from which row to which it is needed.

    Values across symbols are needed on every date that a symbol of the result reaches back to; a symbol that rarely
    trades reaches back far. There all symbols of those dates are needed, with the bars before that these reach back to.
    """
    start, stop = bars.since(first), bars.since(last + 1)
    for stage, count in enumerate(reach):
        begin = bars.since(first)
        start = np.where(begin < stop, np.maximum(begin - count, bars.edges[:-1]), stop)
        if stage < len(reach) - 1:
            first = int(bars.sessions_of(start[start < stop]).min())
    return start, stop


def _ranges(start: Indices, stop: Indices) -> Indices:
    """All numbers from start[0] to stop[0], from start[1] to stop[1]..., ends excluded."""
    counts = stop - start
    ends = np.cumsum(counts)
    return np.repeat(start - ends + counts, counts) + np.arange(ends[-1] if len(ends) else 0)
