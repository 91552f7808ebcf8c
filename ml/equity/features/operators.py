"""The operators of the feature language: what each takes, how far it looks back, how it is computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.equity.features.kernels import elements, order, pairs, recursions, sums
from ml.equity.features.nodes import Kind, Node

Reals = npt.NDArray[np.float64]

MAX_WINDOW = 1024
"""Bars; four years of sessions."""
MAX_SMOOTHING = recursions.BLOCK // 4
"""Bars of a recursive average: such a one has forgotten all but 0.04 % of what it does not see."""


Run = Callable[[int, Node, Sequence[Any], Reals], None]
"""(age, node, its arguments as arrays, where to write); a number is a float if the operator `broadcasts`.

Arrays are of shape (bars, LANES), and `age` is the index of their first bar in the symbols' histories: see `lanes`."""


@dataclass(frozen=True)
class Parameter:
    """A number that must stand in the text: a whole one unless `whole` is False."""

    name: str
    least: float = 1
    most: float = MAX_WINDOW
    whole: bool = True


def _nothing(_: Sequence[float]) -> int:
    return 0


@dataclass(frozen=True)
class Operator:
    """args: the kind of each series that it takes; numbers and flags may stand for a series.

    result: its own kind; None for that of its argument
    reach: bars it looks back beyond its arguments, from its parameters
    broadcasts: takes numbers as they are; otherwise they are spread over an array first
    across: sees the other symbols of the same date; by_sector: only those of its sector, and NaN where
        none is known or nobody else of it has a value
    """

    args: tuple[Kind, ...]
    run: Run
    params: tuple[Parameter, ...] = ()
    result: Kind | None = "series"
    reach: Callable[[Sequence[float]], int] = _nothing
    broadcasts: bool = False
    across: bool = False
    by_sector: bool = False


def _plain(function: Callable[..., object], *kinds: Kind, result: Kind = "series") -> Operator:
    """A NumPy function, term by term."""

    def run(_: int, __: Node, args: Sequence[Any], out: Reals) -> None:
        function(*args, out=out)

    return Operator(kinds or ("series", "series"), run, result=result, broadcasts=True)


def _power(_: int, node: Node, args: Sequence[Any], out: Reals) -> None:
    # By hand: NumPy's own power is many times slower.
    np.multiply(args[0], args[0], out=out)
    for _n in range(int(node.params[0]) - 2):
        np.multiply(out, args[0], out=out)


def _quotient(_: int, __: Node, args: Sequence[Any], out: Reals) -> None:
    if isinstance(args[1], float):
        np.divide(args[0], args[1], out=out)
    else:
        elements.quotient(_spread(args[0], out).ravel(), args[1].ravel(), out.ravel())


def _spread(value: Reals | float, like: Reals) -> Reals:
    return np.full_like(like, value) if isinstance(value, float) else value


def _logarithm(_: int, __: Node, args: Sequence[Any], out: Reals) -> None:
    elements.logarithm(args[0].ravel(), out.ravel())


def _compare(kind: int, swap: bool = False) -> Operator:
    def run(_: int, __: Node, args: Sequence[Any], out: Reals) -> None:
        elements.compare(kind, args[swap].ravel(), args[not swap].ravel(), out.ravel())

    return Operator(("series", "series"), run, result="flag")


def _invert(_: int, __: Node, args: Sequence[Any], out: Reals) -> None:
    np.subtract(1.0, args[0], out=out)


def _choose(age: int, node: Node, args: Sequence[Any], out: Reals) -> None:
    elements.choose(args[0].ravel(), args[1].ravel(), args[2].ravel(), out.ravel())
    # Where all three can be there, so that a value's first bar does not depend on the flag.
    out[: max(node.lookback - 1 - age, 0)] = np.nan


def _shift(_: int, node: Node, args: Sequence[Any], out: Reals) -> None:
    by = int(node.params[0])
    out[:by] = np.nan
    out[by:] = args[0][:-by]


def _windowed(params: Sequence[float]) -> int:
    return int(params[0]) - 1


def _sums(kind: int, least: int = 2) -> Operator:
    def run(age: int, node: Node, args: Sequence[Any], out: Reals) -> None:
        sums.window_sums(kind, args[0], int(node.params[0]), age, out)

    return Operator(("series",), run, (Parameter("window", least),), reach=_windowed)


def _pair(kind: int, least: int = 2) -> Operator:
    """Of y and x, in this order: the regression is of y on x."""

    def run(age: int, node: Node, args: Sequence[Any], out: Reals) -> None:
        pairs.pair_sums(kind, args[1], args[0], int(node.params[0]), age, out)

    return Operator(("series", "series"), run, (Parameter("window", least),), reach=_windowed)


def _ordered(kind: int, parameter: float = 0.0, extra: tuple[Parameter, ...] = ()) -> Operator:
    def run(age: int, node: Node, args: Sequence[Any], out: Reals) -> None:
        of_call = node.params[1] if extra else parameter
        order.window_order(kind, args[0], int(node.params[0]), of_call, age, out)

    return Operator(("series",), run, (Parameter("window", 1), *extra), reach=_windowed)


def _smooth(weight: Callable[[float], float]) -> Operator:
    def run(age: int, node: Node, args: Sequence[Any], out: Reals) -> None:
        count, first = node.params[0], node.args[0].lookback - 1
        recursions.smooth(args[0], int(count), weight(count), first, age, out)

    return Operator(("series",), run, (Parameter("window", 1, MAX_SMOOTHING),), reach=_windowed)


def _adapt(age: int, node: Node, args: Sequence[Any], out: Reals) -> None:
    recursions.adapt(args[0], args[1], node.lookback - 1, age, out)


def _streak(_: int, node: Node, args: Sequence[Any], out: Reals) -> None:
    recursions.streak(args[0], int(node.params[0]), out)


def _of_dates(_: int, node: Node, __: Sequence[Any], ___: Reals) -> None:
    raise NotImplementedError(f"{node.operator} is computed over dates, not over symbols")


OPERATORS: Mapping[str, Operator] = {
    "+": _plain(np.add),
    "-": _plain(np.subtract),
    "*": _plain(np.multiply),
    "/": Operator(("series", "series"), _quotient, broadcasts=True),
    "negative": _plain(np.negative, "series"),
    "power": Operator(("series",), _power, (Parameter("exponent", 2, 4),), broadcasts=True),
    "abs": _plain(np.abs, "series"),
    "sign": _plain(np.sign, "series"),
    "sqrt": _plain(np.sqrt, "series"),
    "exp": _plain(np.exp, "series"),
    "log": Operator(("series",), _logarithm),
    "max": _plain(np.maximum),
    "min": _plain(np.minimum),
    "<": _compare(elements.LESS),
    "<=": _compare(elements.NOT_GREATER),
    ">": _compare(elements.LESS, swap=True),
    ">=": _compare(elements.NOT_GREATER, swap=True),
    "==": _compare(elements.EQUAL),
    "and": _plain(np.minimum, "flag", "flag", result="flag"),
    "or": _plain(np.maximum, "flag", "flag", result="flag"),
    "not": Operator(("flag",), _invert, result="flag"),
    "where": Operator(("flag", "series", "series"), _choose),
    "ref": Operator(("series",), _shift, (Parameter("bars"),), None, reach=lambda params: int(params[0])),
    "sum": _sums(sums.SUM, 1),
    "mean": _sums(sums.MEAN, 1),
    "deviation": _sums(sums.DEVIATION),
    "std": _sums(sums.STD),
    "skew": _sums(sums.SKEW, 3),
    "kurt": _sums(sums.KURT, 4),
    "slope": _sums(sums.SLOPE),
    "rsquare": _sums(sums.RSQUARE, 3),
    "residual": _sums(sums.RESIDUAL, 3),
    "weighted": _sums(sums.WEIGHTED, 1),
    "corr": _pair(pairs.CORR),
    "cov": _pair(pairs.COV),
    "beta": _pair(pairs.BETA),
    "unexplained": _pair(pairs.UNEXPLAINED, 3),
    "highest": _ordered(order.EXTREME, 1.0),
    "lowest": _ordered(order.EXTREME, -1.0),
    "since_highest": _ordered(order.SINCE, 1.0),
    "since_lowest": _ordered(order.SINCE, -1.0),
    "rank": _ordered(order.RANK),
    "quantile": _ordered(order.QUANTILE, extra=(Parameter("share", 0, 1, whole=False),)),
    "ema": _smooth(lambda count: 2.0 / (count + 1.0)),
    "wilder": _smooth(lambda count: 1.0 / count),
    "adapt": Operator(("series", "series"), _adapt),
    "streak": Operator(("series",), _streak, (Parameter("window"),), reach=_windowed),
    "cs_mean": Operator(("series",), _of_dates, across=True),
    "cs_rank": Operator(("series",), _of_dates, across=True),
    "cs_z": Operator(("series",), _of_dates, across=True),
    "sector_mean": Operator(("series",), _of_dates, across=True, by_sector=True),
    "sector_rank": Operator(("series",), _of_dates, across=True, by_sector=True),
}
