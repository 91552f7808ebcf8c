"""A small invented market on real sessions, written where the provider `files` finds it, and what readers see of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psycopg2

from ml.equity import sessions
from ml.frames import RECEIVED

SYMBOLS = ("AAA", "BBB", "CCC", "DDD", "EEE", "FFF")
FIRST, LAST = pd.Timestamp("2013-01-02"), pd.Timestamp("2014-08-29")
SEEN = "select * from serving.latest_predictions order by symbol, horizon"


def bars() -> pd.DataFrame:
    """Bars of SYMBOLS on every XNYS session from FIRST to LAST, sorted by (symbol, date)."""
    return invented(SYMBOLS, FIRST.date(), LAST.date())


def invented(symbols: Sequence[str], first: date, last: date, seed: int = 7, calendar: str = "XNYS") -> pd.DataFrame:
    """Random walks without any signal, one for each symbol, on every session of the calendar; a RECEIVED frame."""
    dates = pd.DatetimeIndex(sessions.closes(calendar, first, last).index)
    random = np.random.default_rng(seed)
    return RECEIVED.cast(pd.concat([_walk(symbol, dates, random) for symbol in symbols], ignore_index=True))


def _walk(symbol: str, dates: pd.DatetimeIndex, random: np.random.Generator) -> pd.DataFrame:
    close = 50 * np.exp(np.cumsum(random.normal(0, 0.015, len(dates))))
    opened = close * np.exp(random.normal(0, 0.005, len(dates)))
    frame = pd.DataFrame({"symbol": symbol, "date": dates, "open": opened, "close": close})
    frame["high"] = frame[["open", "close"]].max(axis=1) * 1.004
    frame["low"] = frame[["open", "close"]].min(axis=1) * 0.996
    frame["volume"] = random.integers(100_000, 200_000, len(dates)).astype(float)
    return frame


def write(folder: Path, frame: pd.DataFrame) -> None:
    """The whole market in one CSV file."""
    folder.mkdir(exist_ok=True)
    frame.to_csv(folder / "bars.csv", index=False)


def seen(reader_dsn: str, statement: str = SEEN) -> list[tuple[Any, ...]]:
    """What a reader sees, row by row."""
    connection = psycopg2.connect(reader_dsn)
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()
    finally:
        connection.close()
