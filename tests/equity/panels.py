"""Bars for the tests: random walks on real sessions, and small panels to check by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd

from ml.equity import sessions
from ml.equity.features.invented import random_walks
from ml.frames import ACTIONS, ADJUSTED, BARS

CALENDAR = "XNYS"
START = date(2011, 1, 3)


def closes(count: int, start: date = START) -> pd.DatetimeIndex:
    """The first `count` closes from `start` on."""
    return pd.DatetimeIndex(sessions.closes(CALENDAR, start, date(2020, 12, 31)).array[:count])


def random_bars(symbols: list[str], count: int, seed: int = 0, digits: int = 2) -> pd.DataFrame:
    """BARS of random walks on the first `count` closes."""
    return random_walks(symbols, closes(count), seed, digits)


def unadjusted(bars: pd.DataFrame) -> pd.DataFrame:
    """BARS as ADJUSTED bars without any action."""
    return ADJUSTED.cast(bars.assign(raw_close=bars["close"]))


def sectors_of(bars: pd.DataFrame, seed: int | None = None) -> pd.Categorical[str]:
    """A sector for each row, every other symbol in the same one.

    With a seed each symbol moves to the other one some day, and before another day nobody knows its own.
    """
    number = pd.factorize(bars["symbol"])[0]
    if seed is None:
        return pd.Categorical.from_codes(number % 2, pd.Index(["even", "odd"]))
    days = pd.factorize(bars["ts"], sort=True)[0]
    move, learned = np.random.default_rng(seed).integers(0, days.max() + 1, (2, number.max() + 1))
    codes = np.where(days < learned[number] // 4, -1, (number + (days > move[number])) % 2)
    return pd.Categorical.from_codes(codes, pd.Index(["even", "odd"]))


def bars_of(**close: Sequence[float | None]) -> pd.DataFrame:
    """BARS on consecutive sessions with open = high = low = close and volume 1000; None is a missing bar."""
    rows = [
        {"symbol": symbol, "ts": ts, "open": c, "high": c, "low": c, "close": c, "volume": 1000.0}
        for symbol, own in sorted(close.items())
        for ts, c in zip(closes(len(own)), own, strict=True)
        if c is not None
    ]
    return BARS.cast(pd.DataFrame(rows))


def actions_of(*rows: tuple[str, str, str, float]) -> pd.DataFrame:
    """ACTIONS from (symbol, ex_date, kind, value)."""
    columns = ["symbol", "ex_date", "kind", "value"]
    return ACTIONS.cast(pd.DataFrame(sorted(rows), columns=columns))
