"""Corporate actions read back from a source that gives only raw and adjusted closes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pandas as pd

from ml.errors import FrameError
from ml.frames import ACTIONS

TICKS = (0.01, 0.001, 0.0001, 0.00001, 0.000001)
_NEAR = 0.025
_SMALLEST_SPLIT = 0.2
_FLOAT_NOISE = 1e-9
SIMPLE_RATIOS = tuple(
    float(ratio)
    for ratio in sorted(
        {Fraction(n, 1) for n in range(2, 31)}
        | {Fraction(1, n) for n in range(2, 51)}
        | {Fraction(5, 4), Fraction(4, 3), Fraction(3, 2), Fraction(5, 3), Fraction(5, 2)}
        | {Fraction(4, 5), Fraction(3, 4), Fraction(2, 3), Fraction(3, 5), Fraction(2, 5)}
    )
)
"""The split ratios (new shares per old) that companies choose, ascending."""


@dataclass(frozen=True)
class _Segment:
    """Bars from `start` on that share one adjustment factor, known to lie within [low, high]."""

    start: int
    low: float
    high: float

    @property
    def factor(self) -> float:
        return (self.low + self.high) / 2


def derive_actions(prices: pd.DataFrame) -> pd.DataFrame:
    """ACTIONS that explain the quotient of adjusted and raw closes.

    prices: columns symbol, date, close (raw) and adj_close, sorted by (symbol, date), no missing values

    adj_close is taken as rounded to a tick, the coarsest of TICKS that all the symbol's are multiples of;
    the raw close counts as exact. Between two actions adj_close / close is constant but for rounding, so
    bars join a segment as long as the intervals (adj_close -+ tick / 2) / close have a point in common.
    The bar that starts a new segment carries an action, m = factor before / factor after. A move of at
    least 20 % within 2.5 % of a simple ratio is a `split` (given as the simple ratio where rounding
    allows it, else as found), as is any fall of the share count (m > 1); else a `dividend` of
    (1/m - 1) x the close of its ex-date, with which `adjust` gives the source's returns again. (Where
    the source scales by 1 - cash / close before, that is the cash but for the day's own return.)
    An action smaller than the rounding goes unseen or is seen late. FrameError for prices that are
    not positive.
    """
    bad = ~((prices["close"] > 0) & (prices["adj_close"] > 0))
    if bad.any():
        first = prices[bad].iloc[0]
        raise FrameError(
            f"{int(bad.sum())} closes that are not positive, the first of {first['symbol']} on {first['date']}",
            "positive raw and adjusted closes",
            "Remove those rows before deriving actions",
        )
    rows = [
        (symbol, *action)
        for symbol, own in prices.groupby("symbol", sort=True)
        for action in _of_symbol(own["date"].to_numpy(), own["close"].to_numpy(), own["adj_close"].to_numpy())
    ]
    return ACTIONS.cast(pd.DataFrame(rows, columns=["symbol", "ex_date", "kind", "value"]))


def _tick(adj_close: np.ndarray) -> float:
    steps = ((tick, adj_close / tick) for tick in TICKS)
    return next((tick for tick, step in steps if np.allclose(step, np.round(step), rtol=0, atol=1e-4)), TICKS[-1])


def _of_symbol(
    date: np.ndarray, close: np.ndarray, adj_close: np.ndarray
) -> Iterator[tuple[np.datetime64, str, float]]:
    slack = _tick(adj_close) / 2 + _FLOAT_NOISE * adj_close
    segments = list(_segments((adj_close - slack) / close, (adj_close + slack) / close))
    for before, after in pairwise(segments):
        yield date[after.start], *_kind_and_value(before, after, float(close[after.start]))


def _segments(low: np.ndarray, high: np.ndarray) -> Iterator[_Segment]:
    """Greedy: a segment ends where the interval of the next bar misses all that its bars agree on."""
    start, floor, ceiling = 0, -np.inf, np.inf
    for i, (bar_low, bar_high) in enumerate(zip(low.tolist(), high.tolist(), strict=True)):
        new_floor, new_ceiling = max(floor, bar_low), min(ceiling, bar_high)
        if new_floor > new_ceiling:
            yield _Segment(start, floor, ceiling)
            start, new_floor, new_ceiling = i, bar_low, bar_high
        floor, ceiling = new_floor, new_ceiling
    yield _Segment(start, floor, ceiling)


def _kind_and_value(before: _Segment, after: _Segment, close: float) -> tuple[str, float]:
    m = before.factor / after.factor
    ratio = 1.0 / m
    simple = min(SIMPLE_RATIOS, key=lambda r: abs(r / ratio - 1))
    if abs(m - 1) >= _SMALLEST_SPLIT - _NEAR and abs(simple / ratio - 1) <= _NEAR:
        exact = before.low / after.high <= 1.0 / simple <= before.high / after.low
        return "split", simple if exact else ratio
    if m > 1:
        return "split", ratio
    return "dividend", (ratio - 1.0) * close
