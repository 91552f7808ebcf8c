"""Bars that never were, on real sessions: what features are tried on, with everything that makes real bars awkward."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd

from ml.equity import sessions
from ml.equity.features.inputs import SECTOR
from ml.frames import ACTIONS, BARS

SYMBOLS = (*("AAA", "BBB", "CCC", "DDD", "EEE", "FFF"), *("GGG", "HHH", "III", "JJJ", "KKK"))
SHORT = 30
"""Bars of DDD."""

_FIRST = date(2000, 1, 1)
_SECTORS = {
    **dict.fromkeys(("AAA", "BBB", "EEE", "GGG", "III"), "first"),
    **dict.fromkeys(("CCC", "DDD", "HHH", "JJJ", "KKK"), "second"),
}
"""So many in each that it is rare for all others of one to be halted at once, which empties every window over it."""
_HALTED = 0.05
_PRICES = ["open", "high", "low", "close"]


def market(count: int, calendar: str, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """BARS of SYMBOLS on `count` sessions, fewer where the calendar holds fewer, with a column SECTOR; their ACTIONS.

    AAA splits twice, BBB merges its shares, CCC pays a dividend, DDD has a short history; all are halted now and then.
    AAA goes from one sector to the other in the middle of the sessions, and of FFF none is known.
    """
    closes = sessions.closes(calendar, _FIRST, date.today())[:count]
    bars = random_walks(SYMBOLS, pd.DatetimeIndex(closes), seed)
    bars = bars[(bars["symbol"] != "DDD") | (bars.groupby("symbol").cumcount(ascending=False) < SHORT)]
    moved = (bars["symbol"] == "AAA") & (bars["ts"] >= closes.iloc[len(closes) // 2])
    bars = bars.assign(**{SECTOR: bars["symbol"].map(_SECTORS).mask(moved, "second")})
    early, late = closes.index[[len(closes) // 3, len(closes) // 2]]
    actions = ACTIONS.cast(
        pd.DataFrame(
            [
                ("AAA", early, "split", 2.0),
                ("AAA", late, "split", 3.0),
                ("BBB", late, "split", 0.1),
                ("CCC", early, "dividend", 1.0),
            ],
            columns=list(ACTIONS.columns),
        )
    )
    kept = np.random.default_rng(seed).random(len(bars)) > _HALTED
    return _as_traded(bars[kept].reset_index(drop=True), actions, calendar), actions


def random_walks(symbols: Sequence[str], stamps: pd.DatetimeIndex, seed: int, digits: int = 2) -> pd.DataFrame:
    """BARS of random walks, rounded; some days do not move, some trade nothing, some symbols end early."""
    rng = np.random.default_rng(seed)
    parts = [
        _walk(symbol, stamps[: max(len(stamps) - 7 * i, 1)], rng, digits) for i, symbol in enumerate(sorted(symbols))
    ]
    return BARS.check(pd.concat(parts, ignore_index=True))


def _walk(symbol: str, stamps: pd.DatetimeIndex, rng: np.random.Generator, digits: int) -> pd.DataFrame:
    count = len(stamps)
    moves = rng.normal(0.0003, 0.02, count) * (rng.random(count) > 0.05)  # noqa: PLR2004
    close = np.round(40.0 * np.exp(np.cumsum(moves)), digits)
    opening = np.round(np.concatenate([[40.0], close[:-1]]) * np.exp(rng.normal(0, 0.005, count)), digits)
    high = np.round(np.maximum(opening, close) * np.exp(np.abs(rng.normal(0, 0.005, count))), digits)
    low = np.round(np.minimum(opening, close) * np.exp(-np.abs(rng.normal(0, 0.005, count))), digits)
    volume = np.floor(rng.lognormal(13, 0.5, count)) * (rng.random(count) > 0.01)  # noqa: PLR2004
    columns = {"open": opening, "high": high, "low": low, "close": close, "volume": volume}
    return BARS.cast(pd.DataFrame({"symbol": symbol, "ts": stamps} | columns))


def _as_traded(bars: pd.DataFrame, actions: pd.DataFrame, calendar: str) -> pd.DataFrame:
    """Prices and volume in the shares of their own day: a split divides what follows it."""
    day = sessions.session_of(calendar, bars["ts"])
    splits = actions[actions["kind"] == "split"]
    for symbol, ex_date, ratio in zip(splits["symbol"], splits["ex_date"], splits["value"], strict=True):
        after = (bars["symbol"] == symbol) & (day >= ex_date)
        bars.loc[after, _PRICES] /= ratio
        bars.loc[after, "volume"] *= ratio
    return bars
