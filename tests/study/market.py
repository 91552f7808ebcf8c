"""Raw daily bars of an invented market, with a signal that volume carries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ml.equity.sessions import session_of
from ml.frames import ACTIONS, BARS
from tests.study.returns import CALENDAR, Flags, Plant, Reals, closes, noise, persistent, plant

WINDOW = 20
SPLITS, SESSIONS_PER_SPLIT = (1.5, 2.0, 3.0, 0.2), 1_000
PARTIAL = 0.1
"""The share of symbols that start late, in the first half of time; as many, others or not, end early, in the second."""

_TURNOVER_MEMORY, _TURNOVER = 0.9, 0.4
_OVERNIGHT = 0.6
_WICK = 0.3


@dataclass(frozen=True)
class Market:
    """BARS, the ACTIONS (splits) behind them, and per bar what only its maker knows.

    signal: NaN on the first WINDOW bars of a symbol, which do not show it yet. calm: whether the market was.
    """

    bars: pd.DataFrame
    actions: pd.DataFrame
    signal: Reals
    calm: Flags


def simulate(what: Plant, seed: int, symbols: int = 500, sessions: int = 2_520) -> Market:
    """Bars of `symbols` on `sessions` real sessions, with gaps, splits, late starts and early ends.

    The signal of `row` is a surge of volume: the logarithm of volume over the mean volume of the WINDOW sessions before
    (the feature `volume_ratio_20`, which so shows all of it), in deviations across the symbols of the date. That of
    `regime_sign` has its sign turned in turbulence. ValueError for the kinds with a sequence: what the order of bars
    shows, some feature of one row sums up.
    """
    if what.kind not in ("row", "regime_sign"):
        raise ValueError(f"bars with a signal of {what.kind}, expected row or regime_sign; use tests.study.datasets")
    rng = np.random.default_rng(seed)
    market = noise(rng, WINDOW + sessions, symbols)
    volume = _volume(rng, market.returns)
    signal = _surge(volume) * (np.where(market.calm, 1.0, -1.0)[:, None] if what.kind == "regime_sign" else 1.0)
    returns = plant(what, signal, signal, market, WINDOW)
    prices = _prices(rng, returns[WINDOW:], market.own[WINDOW:])
    listed = _listed(rng, sessions, symbols)
    ratio = _splits(rng, listed)
    shares = np.cumprod(ratio, axis=0)
    columns = {name: price / shares for name, price in prices.items()} | {"volume": volume[WINDOW:] * shares}
    hidden = np.cumsum(listed, axis=0) <= WINDOW
    return Market(
        _long(columns, listed),
        _actions(ratio),
        np.where(hidden, np.nan, signal[WINDOW:]).T[listed.T],
        np.broadcast_to(market.calm[WINDOW:], (symbols, sessions))[listed.T],
    )


def _volume(rng: np.random.Generator, returns: Reals) -> Reals:
    """Shares traded: more on days that move, and more or less for days on end."""
    level = rng.normal(13, 1, returns.shape[1])
    turnover = _TURNOVER * persistent(rng, returns.shape, _TURNOVER_MEMORY)
    return np.asarray(np.exp(level + turnover) * (1 + np.abs(returns) / 0.02))


def _surge(volume: Reals) -> Reals:
    """By date of mean 0 and deviation 1; 0 on the first WINDOW rows."""
    total = np.cumsum(volume, axis=0)
    before = np.vstack([total[WINDOW - 1], total[WINDOW:-1] - total[: -WINDOW - 1]]) / WINDOW
    surge = np.log(volume[WINDOW:] / before)
    surge = (surge - surge.mean(axis=1, keepdims=True)) / surge.std(axis=1, keepdims=True)
    return np.vstack([np.zeros((WINDOW, volume.shape[1])), surge])


def _prices(rng: np.random.Generator, returns: Reals, own: Reals) -> dict[str, Reals]:
    """Prices without splits: up to _OVERNIGHT of a day's move is a gap; wicks are wider on days of more volatility."""
    moves = np.log1p(returns)
    close = rng.uniform(10, 200, returns.shape[1]) * np.exp(np.cumsum(moves, axis=0))
    gap = rng.uniform(0, _OVERNIGHT, returns.shape) * moves + _WICK * own * rng.standard_normal(returns.shape)
    opening = close * np.exp(gap - moves)
    high = np.maximum(opening, close) * np.exp(_WICK * own * np.abs(rng.standard_normal(returns.shape)))
    low = np.minimum(opening, close) * np.exp(-_WICK * own * np.abs(rng.standard_normal(returns.shape)))
    return {"open": opening, "high": high, "low": low, "close": close}


def _listed(rng: np.random.Generator, sessions: int, symbols: int) -> Flags:
    """(t, n) whether there is a bar."""
    late, early = rng.random((2, symbols)) < PARTIAL
    begins = np.where(late, rng.integers(1, sessions // 2, symbols), 0)
    ends = np.where(early, rng.integers(sessions // 2, sessions, symbols), sessions)
    session = np.arange(sessions)[:, None]
    return np.asarray((session >= begins) & (session < ends))


def _splits(rng: np.random.Generator, listed: Flags) -> Reals:
    """(t, n) new shares per old share with each bar; 1 without a split, on a symbol's first bar and where none is."""
    happens = rng.random(listed.shape) < 1 / SESSIONS_PER_SPLIT
    happens[1:] &= listed[1:] & listed[:-1]
    happens[0] = False
    return np.where(happens, rng.choice(SPLITS, listed.shape), 1.0)


def _long(columns: dict[str, Reals], listed: Flags) -> pd.DataFrame:
    sessions, symbols = listed.shape
    ts = pd.DatetimeIndex(closes(sessions)).tz_localize("UTC")
    symbol, session = np.nonzero(listed.T)
    rows = {name: values.T[listed.T] for name, values in columns.items()}
    return BARS.cast(pd.DataFrame({"symbol": _names(symbols)[symbol], "ts": ts[session]} | rows))


def _actions(ratio: Reals) -> pd.DataFrame:
    sessions, symbols = ratio.shape
    symbol, session = np.nonzero(ratio.T != 1)
    ts = pd.Series(pd.DatetimeIndex(closes(sessions)).tz_localize("UTC"))
    rows = {"symbol": _names(symbols)[symbol], "ex_date": session_of(CALENDAR, ts).to_numpy()[session]}
    return ACTIONS.cast(pd.DataFrame(rows | {"kind": "split", "value": ratio.T[symbol, session]}))


def _names(symbols: int) -> np.ndarray:
    return np.array([f"S{number:04d}" for number in range(symbols)], dtype=object)
