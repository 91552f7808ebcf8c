"""What one look at the gate takes: `decide` on frames of 500 symbols x 504 dates."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd

from ml.domain import Score, Target
from ml.frames import OUT_OF_FOLD
from ml.lifecycle.comparison import Contender, decide
from ml.lifecycle.looks import Look
from tests.study import runs
from tests.study.nights import SLOPE
from tests.study.returns import Reals, closes

SYMBOLS, DATES = 500, 504
SCORES: tuple[Score, ...] = ("log_loss", "brier", "rank_ic")


def frame(value: Reals, signal: Reals) -> pd.DataFrame:
    """An OUT_OF_FOLD frame of (dates, n) outcomes and signals, with the forecasts of `tests.study.nights`."""
    dates, symbols = value.shape
    names = np.array([f"S{number:04d}" for number in range(symbols)], dtype=object)
    rows = pd.DataFrame(
        {
            "entity": np.tile(names, dates),
            "ts": pd.DatetimeIndex(np.repeat(closes(dates), symbols)).tz_localize("UTC"),
            "value": value.ravel(),
            "p_up": 1 / (1 + np.exp(-SLOPE * signal.ravel())),
            "expected": signal.ravel(),
        }
    )
    return OUT_OF_FOLD.check(OUT_OF_FOLD.cast(rows.assign(scale=1.0, baseline_p_up=0.5)))


def seconds(score: Score, symbols: int, dates: int, tries: int = 3) -> float:
    """The quickest of a few looks at a candidate and a champion of random signals."""
    value, one, other = np.random.default_rng(1).standard_normal((3, dates, symbols))
    until = np.datetime64("2024-01-01T21:00", "us")
    candidate, champion = Contender("one", frame(value, one), until), Contender("other", frame(value, other), until)
    taken = []
    for _ in range(tries):
        begun = time.perf_counter()
        decide(
            Target("study", "5d", 5, score=score),
            candidate,
            champion,
            Look(1, 0.01),
        )
        taken.append(time.perf_counter() - begun)
    return min(taken)


def table() -> str:
    """A line per score."""
    lines = [runs.heading(f"one look, {SYMBOLS} symbols x {DATES} dates", "seconds")]
    return "\n".join([*lines, *(runs.row(score, f"{seconds(score, SYMBOLS, DATES):.2f}") for score in SCORES)])
