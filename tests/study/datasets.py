"""Datasets with a planted signal, made at once: what studies train on hundreds of times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

from ml.estimators.interface import Matrix
from ml.lifecycle.dataset import Dataset
from tests.study.returns import Flags, Plant, Reals, closes, forward, noise, persistent, plant

CARRIERS = 3
"""Features `row_...`, and as many `sequence_...`; a signal is in their sum."""
MEMORY = 0.95
"""Of `row_...` from one session to the next; `sequence_...` has none."""
PATTERN = np.array([1.0] * 5 + [-1.0] * 5)
"""By which `sequence_...` of some rows ago count, the newer first."""
MARKET_VOL, WINDOW = "market_vol_20", 20
COMMON = 0.5
"""The share of a noise feature's variance that all symbols of a date have in common."""


@dataclass(frozen=True)
class Planted:
    """A dataset of n rows, and what only its maker knows of each: the signal, and whether the market was calm."""

    dataset: Dataset
    signal: Reals
    calm: Flags


def simulate(what: Plant, seed: int, symbols: int = 40, dates: int = 600, noisy: int = 12) -> Planted:
    """A dataset of `dates` x `symbols` rows; the labels are returns over `what.horizon` sessions and overlap.

    The features, in this order: `row_...` and `sequence_...`, independent between symbols; MARKET_VOL, the deviation of
    the market's last WINDOW returns; `noisy` ones that tell nothing, each of its own persistence.
    """
    rng = np.random.default_rng(seed)
    lead = WINDOW + what.horizon + PATTERN.size
    market = noise(rng, lead + dates + what.horizon, symbols)
    shape = (len(market.returns), symbols, CARRIERS)
    in_row, in_sequence = persistent(rng, shape, MEMORY), rng.standard_normal(shape)
    signal, driver = _signal(what, in_row.sum(axis=2), in_sequence.sum(axis=2), market.calm)
    returns = plant(what, signal, driver, market, lead)
    names, X = _features(rng, np.concatenate([in_row, in_sequence], axis=2), returns, noisy)
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


def _signal(what: Plant, in_row: Reals, in_sequence: Reals, calm: Flags) -> tuple[Reals, Reals]:
    """(t, n) the signal, of variance 1 across symbols, and the driver that it foretells to add up to it.

    A driver in rows is AR(1), so what is known of its next h values is in proportion to the present one. One in
    sequences is the carriers of h to h + 9 rows ago, times PATTERN: its next h values are known from the h + 9 rows
    before the present one, which itself tells nothing. PATTERN adds up to zero, so neither does the mean of those rows.
    """
    row = in_row / np.sqrt(CARRIERS)
    row_driver = row * (1 - MEMORY) / (1 - MEMORY**what.horizon)
    if what.kind == "row":
        return row, row_driver
    sign = np.where(calm, 1.0, -1.0)[:, None]
    if what.kind == "regime_sign":
        return sign * row, sign * row_driver
    ahead = np.convolve(PATTERN, np.ones(what.horizon))
    known = in_sequence / np.sqrt(CARRIERS * np.sum(ahead**2))
    sequence = lfilter(np.r_[0.0, ahead], [1.0], known, axis=0)
    sequence_driver = lfilter(np.r_[np.zeros(what.horizon), PATTERN], [1.0], known, axis=0)
    if what.kind == "sequence":
        return sequence, sequence_driver
    return np.where(sign > 0, row, sequence), np.where(sign > 0, row_driver, sequence_driver)


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
    telling = [f"{carrier}_{i}" for carrier in ("row", "sequence") for i in range(carrying // 2)]
    return (*telling, MARKET_VOL, *(f"noise_{i:02d}" for i in range(noisy))), X
