"""`make rivals`: the feature engine beside what one would take instead, in one run on one invented market.

Each room is one job, and its first row is ours. No rival is a dependency: they lie in .rivals/, and only this file and
rival_alpha158.py import them.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import ta

from ml.equity.features.alpha158 import ALPHA158
from ml.equity.features.catalogue import DEFAULT_SET
from ml.equity.features.compute import compute
from ml.equity.features.feature import FeatureSet
from ml.equity.features.plan import THREADS
from ml.frames import FEATURE_KEYS
from tests.bench.features import CALENDAR, sectors, walks
from tests.bench.rival_alpha158 import ALIGNED, COMPILER, PRECISIONS, KunQuant, Qlib, has_compiler
from tests.bench.rival_talib import indicators
from tests.bench.timing import Measured, measure

BARS = 2520
SYMBOLS = 500
FEWER = {"ta": 2, "qlib": 24}
"""Symbols for the slow ones: rates are per bar."""
REPEATS = 3

RTOL, ATOL = 1e-3, 1e-5
"""What still agrees: |theirs - ours| <= ATOL + RTOL * |ours|, or both are NaN."""
FULL = 61
"""From this bar on every window of Alpha158 is full; the others let theirs begin with what there is."""
FORGOTTEN = 504
"""From this bar on TA-Lib's recursions have forgotten their beginning, which is not ours."""
NEARLY_ALL = 0.9999
"""The share of a feature's values that must agree, else it is printed by name."""

INPUTS = ("open", "high", "low", "close", "volume")
Values = Mapping[str, npt.NDArray[np.floating]]
"""By feature, of shape (bars, symbols)."""


@dataclass(frozen=True)
class Row:
    """One way to compute so many features `per_bar`."""

    per_bar: int
    timed: Measured

    @property
    def rate(self) -> float:
        """Values per second."""
        return self.timed.rate * self.per_bar


def main() -> None:
    # Other libraries' quarrels with today's numpy and pandas are not what is measured.
    warnings.simplefilter("ignore")
    adjusted = walks(SYMBOLS, BARS)
    lines, agreements = [], []
    for room in (_alpha158, _indicators, _broad):
        rows, agreed = room(adjusted)
        lines += _lines(rows)
        agreements += agreed
    print("\n".join([*HEAD, *lines, "", *agreements]))


def _alpha158(adjusted: pd.DataFrame) -> tuple[list[Row], list[str]]:
    """The same 158 features by KunQuant, in each of its precisions, and by qlib."""
    rows = [_ours("alpha158", adjusted, ALPHA158)]
    ours, agreements = _by_bar(compute(adjusted, ALPHA158, CALENDAR), FULL), []
    if has_compiler():
        aligned = SYMBOLS // ALIGNED * ALIGNED
        bars = {name: _of(adjusted, aligned)[name].to_numpy().reshape(aligned, BARS) for name in INPUTS}
        for precision in PRECISIONS:
            what, kunquant = f"KunQuant, {precision.what}", KunQuant(bars, precision)
            rows.append(_row("alpha158", f"{what}, {THREADS} threads", aligned, len(ours), kunquant.run))
            agreements.append(_agreement(what, ours, kunquant.results(), FULL))
    else:
        agreements.append(f"KunQuant: not measured, for it needs a C++ compiler and {COMPILER} is not there")
    with tempfile.TemporaryDirectory() as folder:
        qlib = Qlib(_of(adjusted, FEWER["qlib"]), Path(folder))
        what = f"qlib, {THREADS} processes, {FEWER['qlib']} symbols"
        rows.append(_row("alpha158", what, FEWER["qlib"], len(ours), qlib.run, qlib.forget))
    return rows, [*agreements, _agreement("qlib", ours, qlib.results(), FULL)]


def _indicators(adjusted: pd.DataFrame) -> tuple[list[Row], list[str]]:
    """Those of our features that TA-Lib has."""
    each = [tuple(own[name].to_numpy() for name in INPUTS) for _, own in adjusted.groupby("symbol")]
    names = indicators(*each[0]).keys()
    shared = FeatureSet("shared", 1, tuple(feature for feature in DEFAULT_SET.features if feature.name in names))
    if len(shared.features) != len(names):
        raise ValueError(f"TA-Lib's rival computes {sorted(names - set(shared.names))}, which are no features of ours")
    rows = [_ours("indicators", adjusted, shared)]

    def loop() -> None:
        for bars in each:
            indicators(*bars)

    rows.append(_row("indicators", "TA-Lib, 1 thread", SYMBOLS, len(names), loop))
    some = [indicators(*bars) for bars in each[: FEWER["ta"]]]
    theirs = {name: np.stack([one[name] for one in some], axis=1) for name in names}
    ours = _by_bar(compute(_of(adjusted, FEWER["ta"]), shared, CALENDAR), FORGOTTEN)
    return rows, [_agreement("TA-Lib", ours, theirs, FORGOTTEN)]


def _broad(adjusted: pd.DataFrame) -> tuple[list[Row], list[str]]:
    """Our night's features beside all that `ta` has: largely other ones, and about half as many."""
    each = [own[list(INPUTS)] for _, own in _of(adjusted, FEWER["ta"]).groupby("symbol")]

    def loop() -> None:
        for own in each:
            _everything(own)

    per_bar = len(_everything(each[0]).columns) - len(INPUTS)
    what = f"ta, 1 thread, {FEWER['ta']} symbols"
    return [_ours("broad", adjusted, DEFAULT_SET), _row("broad", what, FEWER["ta"], per_bar, loop)], []


def _everything(own: pd.DataFrame) -> pd.DataFrame:
    # It adds its columns to the frame that it is given.
    frame: pd.DataFrame = ta.add_all_ta_features(own.reset_index(drop=True), *INPUTS)
    return frame


def _ours(room: str, adjusted: pd.DataFrame, features: FeatureSet) -> Row:
    what, per_bar, sector = f"ours, {THREADS} threads", len(features.names), sectors(adjusted)
    return _row(room, what, SYMBOLS, per_bar, lambda: compute(adjusted, features, CALENDAR, sector=sector))


def _row(
    room: str,
    what: str,
    symbols: int,
    per_bar: int,
    run: Callable[[], object],
    before: Callable[[], object] = lambda: None,
) -> Row:
    return Row(per_bar, measure(room, what, symbols * BARS, "bars", run, before, REPEATS))


def _of(adjusted: pd.DataFrame, symbols: int) -> pd.DataFrame:
    """The bars of the first so many symbols."""
    return adjusted.head(symbols * BARS)


def _by_bar(computed: pd.DataFrame, since: int) -> Values:
    """Our frame, whose rows are sorted by (ts, entity) and all of whose symbols have the same bars."""
    features = computed.drop(columns=list(FEATURE_KEYS))
    return {str(name): column.to_numpy().reshape(BARS, -1)[since:] for name, column in features.items()}


def _agreement(what: str, ours: Values, theirs: Values, since: int) -> str:
    """The share of their values, from bar `since` on, that agree with ours, and the names of those that do not."""
    shares = {name: _share(ours[name], theirs[name][since:]) for name in ours}
    apart = sorted((share, name) for name, share in shares.items() if share < NEARLY_ALL)
    summary = (
        f"{what}: {np.mean(list(shares.values())):.3%} of the values agree with ours;"
        f" {len(shares) - len(apart)} of {len(shares)} features in at least {NEARLY_ALL:.2%} of theirs"
    )
    return summary + "".join(f"; {name} {share:.2%}" for share, name in apart)


def _share(ours: npt.NDArray[np.floating], theirs: npt.NDArray[np.floating]) -> float:
    near = np.isclose(theirs, ours[:, : theirs.shape[1]], rtol=RTOL, atol=ATOL, equal_nan=True)
    return float(near.mean())


HEAD = (
    "| job | what | features | bars/s | million values/s | median s | min to max s | ratio |",
    "| --- | --- | --- | --- | --- | --- | --- | --- |",
)


def _lines(rows: list[Row]) -> list[str]:
    """Of one job. The ratio is of values per second against the first row, ours: above 1 is faster than we are."""
    return [
        f"| {row.timed.room} | {row.timed.what} | {row.per_bar} | {row.timed.rate:,.0f} | {row.rate / 1e6:,.1f}"
        f" | {row.timed.median:.3f} | {min(row.timed.seconds):.3f} to {max(row.timed.seconds):.3f}"
        f" | {row.rate / rows[0].rate:.3g} |"
        for row in rows
    ]


if __name__ == "__main__":
    main()
