"""Datasets with a planted signal, made at once: what studies train on hundreds of times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

from ml.estimators.interface import Matrix
from ml.lifecycle.dataset import Dataset
from tests.study.returns import Flags, Noise, Plant, Reals, closes, forward, noise, persistent, plant

CARRIERS = 3
MEMORY = 0.95
"""Of a carrier from one session to the next; for the kind `sequence` they have none."""
PATTERN = np.array([1.0] * 5 + [-1.0] * 5)
MARKET_VOL, WINDOW = "market_vol_20", 20
COMMON = 0.5
"""The share of a noise feature's variance that all symbols of a date have in common."""


@dataclass(frozen=True)
class Planted:
    """A dataset of n rows, and what only its maker knows of each: the signal, and whether the market was calm."""

    dataset: Dataset
    signal: Reals
    calm: Flags


def simulate(what: Plant, seed: int, symbols: int = 40, dates: int = 600, noisy: int = 16) -> Planted:
    """A dataset of `dates` x `symbols` rows; the labels are returns over `what.horizon` sessions and overlap.

    The features, in this order: CARRIERS that carry the signal, independent between symbols; MARKET_VOL, the deviation
    of the market's last WINDOW returns; `noisy` ones that tell nothing, each of its own persistence.
    `_signal` says what the signal is.
    """
    rng = np.random.default_rng(seed)
    lead = WINDOW + what.horizon + PATTERN.size
    market = noise(rng, lead + dates + what.horizon, symbols)
    carriers = persistent(rng, (len(market.returns), symbols, CARRIERS), 0.0 if what.kind == "sequence" else MEMORY)
    signal, driver = _signal(what, carriers.sum(axis=2) / np.sqrt(CARRIERS), market)
    returns = plant(what, signal, driver, market, lead)
    names, X = _features(rng, carriers, returns, noisy)
    shown, ts = slice(lead, lead + dates), closes(dates + what.horizon)
    dataset = Dataset(
        entity=np.tile(np.array([f"S{number:04d}" for number in range(symbols)], dtype=object), dates),
        ts=np.repeat(ts[:dates], symbols),
        matures_at=np.repeat(ts[what.horizon :], symbols),
        X=X[shown].reshape(-1, len(names)),
        value=forward(returns, what.horizon)[lead:].ravel(),
        feature_names=names,
    )
    return Planted(dataset, signal[shown].ravel(), np.repeat(market.calm[shown], symbols))


def _signal(what: Plant, carried: Reals, market: Noise) -> tuple[Reals, Reals]:
    """The signal of the sum of the carriers, and the driver of the next session's drift.

    row: both are the sum. regime: both are the sum, its sign turned in turbulence.
    sequence: the driver is the sum of h to h + 9 rows ago, times PATTERN; the signal, what that makes the next h
    sessions' drivers add up to, is known from the h + 9 rows before this one. Their order decides: it is independent of
    this row, and uncorrelated with the mean of those rows.
    """
    if what.kind == "row":
        return carried, carried
    if what.kind == "regime":
        signed = carried * np.where(market.calm, 1.0, -1.0)[:, None]
        return signed, signed
    driver = lfilter(np.r_[np.zeros(what.horizon), PATTERN], [1.0], carried, axis=0)
    signal = lfilter(np.r_[0.0, np.convolve(PATTERN, np.ones(what.horizon))], [1.0], carried, axis=0)
    return signal, driver


def _features(rng: np.random.Generator, carriers: Reals, returns: Reals, noisy: int) -> tuple[tuple[str, ...], Matrix]:
    """Names, and (t, n, f) values; those of MARKET_VOL begin with row WINDOW - 1."""
    sessions, symbols, carrying = carriers.shape
    X = np.full((sessions, symbols, carrying + 1 + noisy), np.nan, dtype=np.float32)
    X[:, :, :carrying] = carriers
    windows = np.lib.stride_tricks.sliding_window_view(returns.mean(axis=1), WINDOW)
    X[WINDOW - 1 :, :, carrying] = windows.std(axis=1)[:, None]
    for column in range(carrying + 1, X.shape[2]):
        own = persistent(rng, (sessions, symbols + 1), rng.uniform(0.0, 0.99))
        X[:, :, column] = np.sqrt(1 - COMMON) * own[:, :-1] + np.sqrt(COMMON) * own[:, -1:]
    names = (*(f"carrier_{i}" for i in range(carrying)), MARKET_VOL, *(f"noise_{i:02d}" for i in range(noisy)))
    return names, X
