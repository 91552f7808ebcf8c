"""All formulas of a feature set as one plan: each distinct part is computed once per chunk of symbols."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.equity.features.inputs import INPUTS, Inputs
from ml.equity.features.kernels import dates, lanes
from ml.equity.features.nodes import NUMBER, Node, distinct
from ml.equity.features.operators import OPERATORS
from ml.equity.features.panel import Chunk, Indices, Panel, Places

Reals = npt.NDArray[np.float64]
Column = npt.NDArray[np.float32]

THREADS = 2
FEW_BARS = 500
"""Histories of fewer bars are one thread's work: most of a step is then Python's, in which threads wait for each other.

Starting a step takes 7 microseconds and each bar of its 32 symbols 0.09; two threads gained nothing from 500 bars, and
gained a third from 1,000."""


@dataclass(frozen=True)
class Step:
    """One node of a stage. Places are positions in the stage's list of values.

    args: the places of its arguments; columns: where its values go in the result
    done: the places that nothing uses after this step
    """

    node: Node
    args: tuple[int, ...]
    columns: tuple[int, ...]
    done: tuple[int, ...]


@dataclass(frozen=True)
class Stage:
    """What can be computed once the stages before are done: first over symbols, then over dates.

    steps: in order, arguments before what uses them; the place of a step is its number
    across: columns that the steps fill, with the cross-sectional operator to apply to each
    """

    steps: tuple[Step, ...]
    across: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class Sectors:
    """Of each row of the result the number of its sector, below `count`; -1 where nobody knows it."""

    number: Places
    count: int

    @classmethod
    def of(cls, panel: Panel, inputs: Inputs) -> Sectors:
        """In the order of the result."""
        return cls(inputs.sector.codes.astype(np.int32)[panel.order], len(inputs.sector.categories))


@dataclass(frozen=True)
class Plan:
    """The stages, and the columns beyond the features that one leaves to another.

    columns: where each cross-sectional node's values lie; width: number of columns, features first
    copies: pairs of columns (from, to) that hold the same cross-sectional values
    """

    stages: tuple[Stage, ...]
    columns: Mapping[Node, int]
    width: int
    copies: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, roots: Sequence[Node]) -> Plan:
        """The plan that computes `roots` into columns 0, 1, 2..."""
        nodes = list(distinct(roots))
        across = [node for node in nodes if node.operator in OPERATORS and OPERATORS[node.operator].across]
        columns = {node: roots.index(node) for node in across if node in roots}
        columns |= {node: len(roots) + i for i, node in enumerate(n for n in across if n not in columns)}
        last = max((node.stage for node in nodes), default=0)
        copies = [(columns[root], i) for i, root in enumerate(roots) if columns.get(root, i) != i]
        width = max([len(roots), *(column + 1 for column in columns.values())])
        stages = tuple(_stage(number, roots, across, columns) for number in range(last + 1))
        return cls(stages, columns, width, tuple(copies))

    @property
    def inputs(self) -> set[str]:
        """The inputs that the formulas start from."""
        return {step.node.operator for stage in self.stages for step in stage.steps} & set(INPUTS)

    def run(self, panel: Panel, inputs: Inputs, out: Sequence[Column], threads: Executor) -> None:
        """Fill out, one column for each root, rows in the order of the result.

        Values across symbols are those of the result's dates, NaN before: formulas that look back on them need a
        result that begins as early.
        """
        table = [*out, *np.empty((self.width - len(out), len(panel.order)), dtype=np.float32)]
        groups, sectors = list(panel.groups()), Sectors.of(panel, inputs)
        jobs = [groups] if _is_short(panel) else [[group] for group in groups]
        for stage in self.stages:
            _wait([threads.submit(self._over_symbols, stage, panel, job, inputs, table) for job in jobs])
            _wait([threads.submit(_over_dates, name, table[column], panel, sectors) for column, name in stage.across])
        for source, target in self.copies:
            out[target][:] = out[source]

    def _over_symbols(
        self, stage: Stage, panel: Panel, groups: Sequence[Indices], inputs: Inputs, table: Sequence[Column]
    ) -> None:
        for symbols in groups:
            self._over_chunk(stage, panel.chunk(symbols), inputs, table)

    def _over_chunk(self, stage: Stage, chunk: Chunk, inputs: Inputs, table: Sequence[Column]) -> None:
        """All steps for some symbols; the arrays of values that are done are used again."""
        values: list[Any] = []
        free: list[Reals] = []
        with np.errstate(all="ignore"):
            for step in stage.steps:
                if step.args:
                    values.append(_value(step, values, chunk, free))
                else:
                    values.append(self._leaf(step.node, chunk, inputs, table))
                for column in step.columns:
                    lanes.scatter(_spread(values[-1], chunk), chunk.target, chunk.together, table[column])
                for place in step.done:
                    value, values[place] = values[place], 0.0
                    if isinstance(value, np.ndarray):
                        free.append(value)

    def _leaf(self, node: Node, chunk: Chunk, inputs: Inputs, table: Sequence[Column]) -> Reals | float:
        """An input, a number, or what an earlier stage left in a column."""
        if node.operator == NUMBER:
            return node.value
        if node not in self.columns:
            return inputs.at(node.operator, chunk.rows)
        out = np.empty(chunk.rows.shape)
        lanes.gather(table[self.columns[node]], chunk.target, out)
        return out


def _is_short(panel: Panel) -> bool:
    return bool(panel.edges[-1] < FEW_BARS * (len(panel.edges) - 1))


def _wait(jobs: Sequence[Future[None]]) -> None:
    """Until all are done; the first error of one is raised."""
    for job in jobs:
        job.result()


def _value(step: Step, values: Sequence[Any], chunk: Chunk, free: list[Reals]) -> Reals:
    operator = OPERATORS[step.node.operator]
    args = [values[place] for place in step.args]
    if not operator.broadcasts:
        args = [_spread(arg, chunk) for arg in args]
    out = free.pop() if free else np.empty(chunk.rows.shape)
    operator.run(chunk.age, step.node, args, out)
    return out


def _spread(value: Reals | float, chunk: Chunk) -> Reals:
    return np.full(chunk.rows.shape, value) if isinstance(value, float) else value


def _over_dates(operator: str, column: Column, panel: Panel, sectors: Sectors) -> None:
    """Apply what crosses symbols to a column in the order of the result, in place."""
    if operator == "sector_mean":
        dates.mean_of_sectors(column, panel.dates, sectors.number, sectors.count)
    elif operator == "sector_rank":
        dates.ranks_in_sectors(_sorted_keys(column, panel), panel.dates, sectors.number, sectors.count, column)
    elif operator == "cs_rank":
        dates.ranks_of_keys(_sorted_keys(column, panel), panel.dates, column)
    else:
        dates.centre(column, panel.dates, operator == "cs_mean")


def _sorted_keys(column: Column, panel: Panel) -> npt.NDArray[np.int64]:
    keys = np.empty(len(column), dtype=np.int64)
    dates.to_keys(column, panel.dates, keys)
    for start, stop in pairwise(panel.dates.tolist()):
        keys[start:stop].sort()
    return keys


def _stage(number: int, roots: Sequence[Node], across: Sequence[Node], columns: Mapping[Node, int]) -> Stage:
    keep: dict[Node, tuple[int, ...]] = {}
    for column, root in enumerate(roots):
        if root.stage == number and root not in columns:
            keep[root] = (*keep.get(root, ()), column)
    filled = []
    for node in across:
        if node.stage == number + 1:
            keep[node.args[0]] = (*keep.get(node.args[0], ()), columns[node])
            filled.append((columns[node], node.operator))
    return Stage(_steps(_needed(keep, columns), keep, columns), tuple(filled))


def _needed(keep: Mapping[Node, tuple[int, ...]], columns: Mapping[Node, int]) -> list[Node]:
    """The nodes of a stage, depth first, so that what belongs together is computed together."""
    found: dict[Node, None] = {}

    def visit(node: Node) -> None:
        if node not in found:
            for arg in () if node in columns else node.args:
                visit(arg)
            found[node] = None

    for node in keep:
        visit(node)
    return list(found)


def _steps(
    nodes: Sequence[Node], keep: Mapping[Node, tuple[int, ...]], columns: Mapping[Node, int]
) -> tuple[Step, ...]:
    place = {node: i for i, node in enumerate(nodes)}
    args = [() if node in columns else tuple(place[arg] for arg in node.args) for node in nodes]
    last = {i: i for i in place.values()} | {arg: i for i, own in enumerate(args) for arg in own}
    done: dict[int, list[int]] = {}
    for arg, i in last.items():
        done.setdefault(i, []).append(arg)
    return tuple(Step(node, args[i], keep.get(node, ()), tuple(done.get(i, ()))) for node, i in place.items())
