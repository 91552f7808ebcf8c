"""`python -m tests.bench.features`: the feature engine alone, bars and values per second on an invented market."""

from __future__ import annotations

import argparse
import time
from datetime import date

import numpy as np
import pandas as pd

from ml.equity import sessions
from ml.equity.features.alpha158 import ALPHA158
from ml.equity.features.catalogue import DEFAULT_SET
from ml.equity.features.compute import compute
from ml.equity.features.feature import FeatureSet
from ml.frames import ADJUSTED
from tests.bench import memory
from tests.bench.timing import Measured, measure, table

CALENDAR = "XNYS"
SECTORS = 11
REPEATS = 3
MEBIBYTE = 2**20


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.features", description=__doc__)
    parser.add_argument("--symbols", type=int, default=500)
    parser.add_argument("--bars", type=int, default=2520)
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    adjusted = walks(asked.symbols, asked.bars)
    rows = []
    for feature_set in (DEFAULT_SET, ALPHA158):
        began = time.perf_counter()
        compute(adjusted.head(asked.bars), feature_set, CALENDAR)
        print(f"  {feature_set.name}: first use in {time.perf_counter() - began:.1f} s", flush=True)
        rows.append(_measured(adjusted, feature_set, asked.repeats))
    print(table(rows))
    for row, feature_set in zip(rows, (DEFAULT_SET, ALPHA158), strict=True):
        best = row.count / min(row.seconds)
        values = best * len(feature_set.features) / 1e6
        print(f"{feature_set.name}: best {best:,.0f} bars/s, {values:,.0f} M values/s")
    for feature_set in (DEFAULT_SET, ALPHA158):
        print(_memory(adjusted, feature_set))


def _measured(adjusted: pd.DataFrame, feature_set: FeatureSet, repeats: int) -> Measured:
    what, sector = f"{feature_set.name}, {len(feature_set.features)} features", sectors(adjusted)
    return measure(
        *("features", what, len(adjusted), "bars"),
        lambda: compute(adjusted, feature_set, CALENDAR, sector=sector),
        repeats=repeats,
    )


def _memory(adjusted: pd.DataFrame, feature_set: FeatureSet) -> str:
    """The peak beside the output: the most of REPEATS, since what was freed before may be used again unseen."""
    sector = sectors(adjusted)
    grown = max(memory.growth(lambda: compute(adjusted, feature_set, CALENDAR, sector=sector)) for _ in range(REPEATS))
    output = len(adjusted) * len(feature_set.features) * np.dtype(np.float32).itemsize
    return (
        f"{feature_set.name}: output {output / MEBIBYTE:,.0f} MiB, grew by {grown / MEBIBYTE:,.0f} MiB at most,"
        f" {grown / output - 1:+.1%} (at most +25 %)"
    )


def sectors(adjusted: pd.DataFrame) -> pd.Categorical[str]:
    """The sector of each row: SECTORS of them, each of about as many symbols."""
    names = pd.Index([f"sector {number}" for number in range(SECTORS)])
    return pd.Categorical.from_codes(pd.factorize(adjusted["symbol"])[0] % SECTORS, names)


def walks(symbols: int, bars: int) -> pd.DataFrame:
    """ADJUSTED bars of random walks, all symbols on the same sessions."""
    rng = np.random.default_rng(1)
    ts = sessions.closes(CALENDAR, date(2010, 1, 4), date(2026, 1, 1)).iloc[:bars].reset_index(drop=True)
    names = np.repeat([f"S{i:05d}" for i in range(symbols)], bars)
    close = np.exp(np.cumsum(rng.normal(0, 0.02, (symbols, bars)), axis=1) + 4).ravel()
    opening = close * np.exp(rng.normal(0, 0.01, close.size))
    high = np.maximum(opening, close) * np.exp(np.abs(rng.normal(0, 0.01, close.size)))
    low = np.minimum(opening, close) * np.exp(-np.abs(rng.normal(0, 0.01, close.size)))
    columns = {"open": opening, "high": high, "low": low, "close": close, "volume": rng.lognormal(13, 0.5, close.size)}
    stamps = ts.iloc[np.tile(np.arange(bars), symbols)].array
    return ADJUSTED.cast(pd.DataFrame({"symbol": names, "ts": stamps, **columns, "raw_close": close}))


if __name__ == "__main__":
    main()
