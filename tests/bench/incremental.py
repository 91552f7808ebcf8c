"""`python -m tests.bench.incremental`: what one more session costs a whole market, from bars in memory to the store."""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from ml.domain import Night
from ml.equity.features.catalogue import DEFAULT_SET
from ml.equity.features.compute import compute
from ml.equity.features.tails import compute_sessions
from ml.io.store import Store
from ml.steps import features, history
from tests.bench.features import CALENDAR, sectors, walks


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.incremental", description=__doc__)
    parser.add_argument("--symbols", type=int, default=8_000)
    parser.add_argument("--bars", type=int, default=1_100)
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    adjusted = walks(asked.symbols, asked.bars)
    compute(adjusted.head(asked.bars), DEFAULT_SET, CALENDAR)  # compiles
    print(f"{len(adjusted):,} bars, {len(DEFAULT_SET.features)} features; best of {asked.repeats}\n", flush=True)
    for what, seconds in _lines(adjusted, asked.repeats):
        print(f"| {what} | {seconds:.2f} s |", flush=True)
    print(f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB")


def _lines(adjusted: pd.DataFrame, repeats: int) -> Iterator[tuple[str, float]]:
    night, members, sector = _night(adjusted), np.ones(len(adjusted), dtype=np.bool_), sectors(adjusted)

    def known() -> history.History:
        return history.of(night, adjusted, members, CALENDAR, sector)

    yield "place the bars and digest their months", _best(known, repeats)
    told = known()
    last = told.months[-1]
    for what, first in (("the last session", last.last), ("its whole month", last.first)):
        name = f"compute {what}, {last.last - first + 1} sessions"
        yield name, _best(partial(compute_sessions, told.bars, DEFAULT_SET, first, last.last), repeats)
    # As on a night whose earlier months are there.
    alone = replace(told, months=(last,))
    yield "compute and keep that month, with the bars", _best(partial(_kept, night, alone), repeats)


def _kept(night: Night, told: history.History) -> None:
    with tempfile.TemporaryDirectory() as folder:
        features.write(Store(Path(folder)), night, told, DEFAULT_SET)


def _night(adjusted: pd.DataFrame) -> Night:
    return Night("equity", adjusted["ts"].max().to_pydatetime(), datetime(2026, 1, 1, tzinfo=UTC))


def _best(run: Callable[[], object], repeats: int) -> float:
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


if __name__ == "__main__":
    main()
