"""The invented market that is measured on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from ml.equity import checks, sessions
from ml.frames import RECEIVED
from tests.steps.market import invented

CALENDAR = "XNYS"
LAST = date(2014, 12, 31)


@dataclass(frozen=True)
class Market:
    """What was received, and the same as accepted bars."""

    received: pd.DataFrame
    bars: pd.DataFrame
    as_of: pd.Timestamp


def invent(symbols: int, years: int) -> Market:
    """A market of so many symbols over the years up to LAST."""
    received = invented(names(symbols), date(LAST.year + 1 - years, 1, 1), LAST)
    return Market(received, checks.to_bars(received, CALENDAR), sessions.close_of(CALENDAR, received["date"].max()))


def names(symbols: int) -> list[str]:
    """So many tickers, sorted."""
    return [f"S{number:04d}" for number in range(symbols)]


def year_by_year(symbols: int, years: int, seed: int = 7) -> Iterator[pd.DataFrame]:
    """RECEIVED frames of one year each, made in one stroke: for markets that would not fit in memory at once."""
    random = np.random.default_rng(seed)
    close = random.uniform(10, 200, symbols)
    for year in range(LAST.year + 1 - years, LAST.year + 1):
        days = pd.DatetimeIndex(sessions.closes(CALENDAR, date(year, 1, 1), date(year, 12, 31)).index)
        walks = close[:, None] * np.exp(np.cumsum(random.normal(0, 0.015, (symbols, len(days))), axis=1))
        yield _year(days, walks, random)
        close = walks[:, -1]


def _year(days: pd.DatetimeIndex, walks: np.ndarray, random: np.random.Generator) -> pd.DataFrame:
    symbols = len(walks)
    close = walks.ravel()
    opened = close * np.exp(random.normal(0, 0.005, close.size))
    frame = {
        "symbol": np.repeat(np.array(names(symbols), dtype=object), len(days)),
        "date": np.tile(days.to_numpy(), symbols),
        "open": opened,
        "high": np.maximum(opened, close) * 1.004,
        "low": np.minimum(opened, close) * 0.996,
        "close": close,
        "volume": random.integers(100_000, 200_000, close.size).astype(float),
    }
    return RECEIVED.cast(pd.DataFrame(frame))
