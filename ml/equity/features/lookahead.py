"""The check of the promise that a value never depends on what comes later, nor on what it may not see beside it.

It is made of our own features by the tests, and of yours by `python -m ml.equity.features.check FILE`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set

import numpy as np
import pandas as pd

from ml.equity.features.inputs import SECTOR
from ml.frames import FEATURE_KEYS

Compute = Callable[[pd.DataFrame], pd.DataFrame]

_ADDED = ("!FIRST", "~LAST")
"""Symbols in order before and after all others."""


def leaks(
    compute: Compute, bars: pd.DataFrame, seed: int, cuts: int = 4, across: Set[str] = frozenset()
) -> dict[str, str]:
    """The columns of `compute(bars)` that change by one bit when something they may not see changes, each with what.

    bars: BARS or ADJUSTED, on at least three sessions, with a column SECTOR where the features know sectors
    compute: to entity, ts and float32 columns, a row for each bar
    After the first instant and at random cut-offs the later rows are removed, then replaced by
    others, then thinned out; and symbols are added, which the columns `across` may see.
    """
    rng = np.random.default_rng(seed)
    whole = compute(bars)
    found = dict.fromkeys(_differences(whole, compute(_among_others(bars, rng))) - across, "other symbols added")
    for cut in _cuts(bars, cuts, rng):
        past = whole[whole["ts"] <= cut]
        for change, changed in _other_futures(bars, cut, rng):
            for column in _differences(past, compute(changed)):
                found.setdefault(column, f"rows after {cut:%Y-%m-%d} {change}")
    return found


def _cuts(bars: pd.DataFrame, count: int, rng: np.random.Generator) -> list[pd.Timestamp]:
    instants = pd.DatetimeIndex(bars["ts"].unique()).sort_values()
    within = rng.choice(len(instants) - 2, size=min(count, len(instants) - 2), replace=False) + 1
    return [instants[0], *instants[within]]


def _other_futures(
    bars: pd.DataFrame, cut: pd.Timestamp, rng: np.random.Generator
) -> Iterator[tuple[str, pd.DataFrame]]:
    later = (bars["ts"] > cut).to_numpy()
    yield "removed", bars[~later].reset_index(drop=True)
    yield "altered", _altered(bars, later, rng)
    # Nobody knew of the halts.
    yield "thinned out", bars[~later | (rng.random(len(bars)) < 0.5)].reset_index(drop=True)  # noqa: PLR2004


def _among_others(bars: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    first = bars[bars["symbol"] == bars["symbol"].iloc[0]]
    others = [_altered(first.assign(symbol=symbol), np.ones(len(first), dtype=np.bool_), rng) for symbol in _ADDED]
    return pd.concat([others[0], bars, others[1]], ignore_index=True)


def _altered(bars: pd.DataFrame, rows: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    """Some rows with other prices, another volume and each other's sectors."""
    altered = bars.copy()
    factor = rng.lognormal(0, 0.5, int(rows.sum()))
    for column in bars.columns.difference(["symbol", "ts", SECTOR]):
        altered.loc[rows, column] = altered.loc[rows, column] * factor + 1.0
    if SECTOR in bars:
        altered.loc[rows, SECTOR] = rng.permutation(altered.loc[rows, SECTOR].to_numpy(dtype=object))
    return altered


def _differences(expected: pd.DataFrame, got: pd.DataFrame) -> set[str]:
    keys = list(FEATURE_KEYS)
    matched = expected[keys].merge(got, on=keys, how="left", indicator=True)
    columns = [column for column in expected.columns if column not in keys]
    if (matched["_merge"] != "both").any():
        return set(columns)
    return {c for c in columns if not np.array_equal(_bits(expected[c]), _bits(matched[c]))}


def _bits(values: pd.Series) -> np.ndarray:
    return values.to_numpy(dtype=np.float32).view(np.uint32)
