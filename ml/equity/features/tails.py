"""Some sessions of a history, computed from no more of it than they depend on, with the bits of the whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.equity import sessions
from ml.equity.features.compute import keys_of
from ml.equity.features.feature import Feature, FeatureSet
from ml.equity.features.inputs import BARS, Inputs, unknown_sectors
from ml.equity.features.nodes import Node
from ml.equity.features.panel import Panel, edges_of
from ml.equity.features.plan import THREADS, Column, Plan

Indices = npt.NDArray[np.int64]

_SESSION_BITS = 20
"""Room for the running number of a session in a row's key, before it the number of its symbol."""

STEP = 75
"""Sessions that take as long as it takes to start a step of a plan."""


@dataclass(frozen=True)
class PlacedBars:
    """ADJUSTED bars on a calendar, and where each symbol's sessions lie in them.

    sector: of each row, missing where nobody knows it
    edges: symbol s has the rows edges[s] to edges[s + 1]; key: ascending, of s and the running number of the session
    skipped: by symbol, how many bars its history has before its first row here; without, none has any
    """

    adjusted: pd.DataFrame
    sector: pd.Categorical[str]
    calendar: str
    edges: Indices
    key: Indices
    skipped: Indices | None = None

    @classmethod
    def of(cls, adjusted: pd.DataFrame, calendar: str, sector: pd.Categorical[str] | None = None) -> PlacedBars:
        """Without `sector` nobody's is known. FrameError when an instant is not a close."""
        edges = edges_of(adjusted["symbol"].array)
        key = keyed(np.diff(edges), sessions.positions(calendar, adjusted["ts"]))
        sector = unknown_sectors(len(adjusted)) if sector is None else sector
        return cls(adjusted, sector, calendar, edges, key)

    def sessions_of(self, rows: Indices | slice) -> Indices:
        """The running number of the session of each of these rows."""
        return self.key[rows] & ((1 << _SESSION_BITS) - 1)

    def since(self, session: int) -> Indices:
        """By symbol, the first of its rows that is not before the session; its end when there is none."""
        return np.searchsorted(self.key, (np.arange(len(self.edges) - 1) << _SESSION_BITS) + session)

    def between(self, first: int, last: int) -> Indices:
        """The rows of the sessions from first to last, sorted by (ts, symbol)."""
        rows = ranges(self.since(first), self.since(last + 1))
        return rows[np.argsort(self.sessions_of(rows), kind="stable")]


def keyed(counts: Indices, place: Indices) -> Indices:
    """PlacedBars.key of symbols with so many rows each, from the running number of the session of each row."""
    return (np.repeat(np.arange(len(counts)), counts) << _SESSION_BITS) + place


def reaches_back(bars: PlacedBars, feature_set: FeatureSet, first: int, last: int) -> bool:
    """Whether the bars hold all that the sessions from first to last look back on, and those after the first of them.

    Only where bars were skipped can they lack anything.
    """
    if bars.skipped is None:
        return True
    furthest: dict[int, tuple[int, ...]] = {}
    for feature in feature_set.features:
        reach = _trimmed(feature.reach)
        furthest[len(reach)] = _further(furthest.get(len(reach), reach), reach)
    return all(_is_there(bars, bars.skipped > 0, reach, first, last) for reach in furthest.values())


def _is_there(bars: PlacedBars, skipped: npt.NDArray[np.bool_], reach: tuple[int, ...], first: int, last: int) -> bool:
    """As `_tails` looks back, step by step; skipped: by symbol, whether any bar was."""
    stop = bars.since(last + 1)
    for stage, count in enumerate(reach):
        begin = bars.since(first)
        # One row before the session proves that none of those skipped lies in it or after it.
        start = begin - max(count, int(stage > 0))
        if (skipped & (begin < stop) & (start < bars.edges[:-1])).any():
            return False
        start = np.maximum(begin - count, bars.edges[:-1])[begin < stop]
        first = int(bars.sessions_of(start).min(initial=first))
    return True


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
                _compute(nodes, bars, reach, first, last, [values[column] for column in columns], threads)
    features = pd.DataFrame(values.T, columns=list(feature_set.names), copy=False)
    return pd.concat([keys_of(bars.adjusted, rows), features], axis=1)


def _groups(
    features: Sequence[Feature], bars: PlacedBars, first: int, last: int
) -> Iterator[tuple[list[int], tuple[int, ...]]]:
    """Columns to compute together, with the reach of all of them.

    Two go together only when they look across symbols equally often.
    """
    before = first - int(bars.sessions_of(bars.edges[:-1]).min())
    alike: dict[int, list[int]] = {}
    for column, feature in enumerate(features):
        alike.setdefault(len(_trimmed(feature.reach)), []).append(column)
    for columns in alike.values():
        for group in _cheapest([features[column] for column in columns], last - first + 1, before):
            own = [columns[place] for place in group]
            yield own, reduce(_further, (_trimmed(features[column].reach) for column in own))


def _cheapest(features: Sequence[Feature], wanted: int, before: int) -> list[list[int]]:
    """The features in groups that look back about as far as each other, by their places.

    Together, what formulas share is computed once; apart, each is computed from no more than it needs. A group costs
    its distinct parts and its results, times its sessions: those `wanted`, those that it looks back on, of which there
    are `before`, and STEP for what each part costs anyway. Sorted by reach, the features are cut where the sum over all
    groups is least.
    """
    reaches = [_trimmed(feature.reach) for feature in features]
    order = sorted(range(len(features)), key=lambda place: sum(reaches[place]))
    parts = [{node.text for node in features[place].node.walk()} for place in order]
    best = [(0, 0)]  # of the first 0, 1, 2... of them: the cost, and where the last group begins
    for stop in range(1, len(order) + 1):
        ways, shared, reach = [], set[str](), reaches[order[stop - 1]]
        for start in reversed(range(stop)):
            shared |= parts[start]
            reach = _further(reach, reaches[order[start]])
            needed = STEP + wanted + min(sum(reach), before)
            ways.append((best[start][0] + (len(shared) + stop - start) * needed, start))
        best.append(min(ways))
    groups, stop = [], len(order)
    while stop:
        start = best[stop][1]
        groups.append(sorted(order[start:stop]))
        stop = start
    return groups


def _further(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    """The reach of both, which look across symbols equally often."""
    return tuple(map(max, one, other))


def _trimmed(reach: tuple[int, ...]) -> tuple[int, ...]:
    """Without what asks other symbols for the result's own dates alone: there they are anyway."""
    while len(reach) > 1 and not reach[0]:
        reach = reach[1:]
    return reach


def _compute(
    nodes: Sequence[Node],
    bars: PlacedBars,
    reach: tuple[int, ...],
    first: int,
    last: int,
    out: Sequence[Column],
    threads: Executor,
) -> None:
    """Fill out, one column for each node, in the order of (ts, symbol)."""
    plan = Plan.of(nodes)
    start, stop = _tails(bars, reach, first, last)
    there = start < stop
    rows = ranges(start, stop)
    edges = np.append(0, np.cumsum((stop - start)[there]))
    place = bars.sessions_of(rows)
    wanted = {name: bars.adjusted[name].to_numpy()[rows] for name in BARS if name in plan.inputs}
    adjusted = pd.DataFrame(wanted, copy=False)
    inputs = Inputs.of(adjusted, bars.sector[rows], bars.calendar, place, plan.inputs)
    ages = (start - bars.edges[:-1] + (0 if bars.skipped is None else bars.skipped))[there]
    if len(reach) == 1:
        plan.run(Panel.laid(edges, ages, place, first), inputs, out, threads)
        return
    # Values across symbols are looked back on, so that they must be there for the tails, too.
    with_tails = np.empty((len(nodes), len(rows)), dtype=np.float32)
    plan.run(Panel.laid(edges, ages, place), inputs, list(with_tails), threads)
    for column, values in zip(out, with_tails, strict=True):
        column[:] = values[-len(column) :]


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


def ranges(start: Indices, stop: Indices) -> Indices:
    """All numbers from start[0] to stop[0], from start[1] to stop[1]..., ends excluded."""
    counts = stop - start
    ends = np.cumsum(counts)
    return np.repeat(start - ends + counts, counts) + np.arange(ends[-1] if len(ends) else 0)
