"""The checker of the promise that a value never depends on what comes later, nor on what it may not see beside it.

Offered to users for their own formulas too: `leaks(lambda bars: compute(bars, my_set, "XNYS"), bars, seed=1)`.
"""

from __future__ import annotations

from collections.abc import Callable, Set

import numpy as np
import pandas as pd

from ml.frames import FEATURE_KEYS
from tests.equity.panels import random_bars, unadjusted

Compute = Callable[[pd.DataFrame], pd.DataFrame]

_VALUES = ["open", "high", "low", "close", "volume", "raw_close"]


def leaks(
    compute: Compute, adjusted: pd.DataFrame, seed: int, cuts: int = 4, across: Set[str] = frozenset()
) -> set[str]:
    """The columns of `compute(adjusted)` that change by one bit when something they may not see changes.

    After the first instant and at random cut-offs the later rows are removed, then replaced by
    others, then thinned out; and symbols are added, which the columns `across` may see.
    """
    rng = np.random.default_rng(seed)
    whole = compute(adjusted)
    instants = np.sort(adjusted["ts"].unique())
    found = _differences(whole, compute(_among_others(adjusted))) - across
    for cut in [instants[0], *rng.choice(instants[1:-1], size=min(cuts, len(instants) - 2), replace=False)]:
        past = whole[whole["ts"] <= cut]
        found |= _differences(past, compute(adjusted[adjusted["ts"] <= cut].reset_index(drop=True)))
        found |= _differences(past, compute(_with_another_future(adjusted, cut, rng)))
        found |= _differences(past, compute(_with_halts(adjusted, cut, rng)))
    return found


def _with_another_future(adjusted: pd.DataFrame, cut: pd.Timestamp, rng: np.random.Generator) -> pd.DataFrame:
    altered = adjusted.copy()
    later = (altered["ts"] > cut).to_numpy()
    factor = rng.lognormal(0, 0.5, int(later.sum()))
    for column in _VALUES:
        altered.loc[later, column] = altered.loc[later, column] * factor + 1.0
    return altered


def _with_halts(adjusted: pd.DataFrame, cut: pd.Timestamp, rng: np.random.Generator) -> pd.DataFrame:
    """Later bars missing at random: nobody knew of the halts."""
    kept = (adjusted["ts"] <= cut).to_numpy() | (rng.random(len(adjusted)) < 0.5)
    return adjusted[kept].reset_index(drop=True)


def _among_others(adjusted: pd.DataFrame) -> pd.DataFrame:
    others = unadjusted(random_bars(["0FIRST", "ZLAST"], 60, seed=99))
    return pd.concat([adjusted, others]).sort_values(["symbol", "ts"], ignore_index=True)


def _differences(expected: pd.DataFrame, got: pd.DataFrame) -> set[str]:
    keys = list(FEATURE_KEYS)
    matched = expected[keys].merge(got, on=keys, how="left", indicator=True)
    columns = [column for column in expected.columns if column not in keys]
    if (matched["_merge"] != "both").any():
        return set(columns)
    return {c for c in columns if not np.array_equal(_bits(expected[c]), _bits(matched[c]))}


def _bits(values: pd.Series) -> np.ndarray:
    return values.to_numpy(dtype=np.float32).view(np.uint32)
