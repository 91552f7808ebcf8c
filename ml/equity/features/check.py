"""Try the custom features of a file on invented bars, and prove that none looks ahead.

    python -m ml.equity.features.check FILE

It prints one line for each and ends with 0; with 2 when one looks ahead, has no value or leaves its valid range.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ml.equity.adjustment import adjust
from ml.equity.features import invented, sets
from ml.equity.features.compute import compute
from ml.equity.features.feature import Feature, FeatureSet
from ml.equity.features.inputs import SECTOR
from ml.equity.features.kernels.recursions import BLOCK
from ml.equity.features.lookahead import leaks
from ml.errors import AfterbellError
from ml.settings import settings

SEEDS = (1, 2)
EXIT_ERROR = 2

_BEYOND_THE_LOOKBACK = 3 * BLOCK
"""Sessions on which every feature has a value, and every recursion begins anew more than once."""

_HEAD = ("feature", "lookback", "cross-sectional", "NaN", "look-ahead")


@dataclass(frozen=True)
class Finding:
    """What came of one feature.

    missing: share of NaN among the rows on which its lookback is full, NaN when there is no such row
    outside: share of its values that are outside its valid range
    leak: the change that it must not see and that changed it, "" when there is none
    """

    feature: Feature
    missing: float
    outside: float
    leak: str

    @property
    def problem(self) -> str:
        """What is wrong with it, "" when nothing is."""
        if self.leak:
            return f"looks ahead: it changes with {self.leak}"
        if not self.missing < 1:
            return "has no value on the invented bars"
        return f"{self.outside:.2%} of its values are outside its valid range" if self.outside else ""


def findings(features: Sequence[Feature], calendar: str) -> list[Finding]:
    """Each feature tried on invented bars of `calendar`: splits, a dividend, halts, a short history, sectors."""
    tried = FeatureSet("tried", 1, tuple(features))
    count = max(feature.lookback for feature in features) + _BEYOND_THE_LOOKBACK
    found: dict[str, str] = {}
    for seed in SEEDS:
        bars, actions = invented.market(count, calendar, seed)

        def computed(raw: pd.DataFrame, actions: pd.DataFrame = actions) -> pd.DataFrame:
            sector = pd.Categorical(raw[SECTOR])
            return compute(adjust(raw, actions, calendar), tried, calendar, sector=sector)

        across = {feature.name for feature in features if feature.cross_sectional}
        found = {**leaks(computed, bars, seed, across=across), **found}
    values = computed(bars)
    return [_finding(feature, values, found.get(feature.name, "")) for feature in features]


def _finding(feature: Feature, values: pd.DataFrame, leak: str) -> Finding:
    full = values[feature.name][values.groupby("entity").cumcount() >= feature.lookback - 1].to_numpy()
    known = full[~np.isnan(full)]
    low, high = (np.nan if bound is None else bound for bound in feature.valid_range)
    return Finding(
        feature,
        1 - len(known) / len(full) if len(full) else np.nan,
        float(((known < low) | (known > high)).mean()) if len(known) else 0.0,
        leak,
    )


def table(found: Sequence[Finding]) -> str:
    """A head and a line for each finding, in columns."""
    rows = [_HEAD, *(_cells(one) for one in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(lines) + "\n"


def _cells(one: Finding) -> tuple[str, ...]:
    feature = one.feature
    across = "yes" if feature.cross_sectional else "no"
    missing = "" if np.isnan(one.missing) else f"{one.missing:.1%}"
    return feature.name, f"{feature.lookback} bars", across, missing, one.problem or "ok"


def main(argv: Sequence[str] | None = None) -> int:
    """Check the features of one file; 0 when all are sound, 2 when one is not or the file cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m ml.equity.features.check", description=__doc__.split("\n\n")[0])
    parser.add_argument("file", type=Path, help="the file that AFTERBELL_FEATURES_PATH is to name")
    asked = parser.parse_args(argv)
    try:
        feature_set = sets.load(asked.file)
        own = sets.own(feature_set)
        found = findings(own, settings().calendar) if own else []
    except AfterbellError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_ERROR
    sys.stdout.write(f"{feature_set.name} version {feature_set.version}, {len(feature_set.features)} features, ")
    sys.stdout.write(f"{len(own)} of them your own, digest {feature_set.digest}\n\n{table(found)}")
    return EXIT_ERROR if any(one.problem for one in found) else 0


if __name__ == "__main__":
    sys.exit(main())
