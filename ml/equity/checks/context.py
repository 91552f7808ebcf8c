"""What looks odd only beside other bars: of the same symbol before, or of the other symbols that day. All warnings."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.equity.adjustment import adjust
from ml.equity.checks.presence import check_presence
from ml.equity.checks.report import CheckResult, counted
from ml.equity.derived_actions import SIMPLE_RATIOS
from ml.equity.suites import Outcome, Rule, run
from ml.equity.suites import expectations as gxe
from ml.frames import session_day

Reals = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

SUITE = "context"
SMALLEST_JUMP = 0.32
"""As a share of the close before: a third, less the tolerance around 3:2."""
NEAR_SPLIT = 0.025
REPEATS = 5
"""Sessions with the very same bar that make a stale price."""
ZERO_VOLUMES = 3
OUTLIER = 25.0
"""Robust standard deviations (1.4826 x the median absolute deviation) from the median move of the session."""
LEAST_SPREAD = 0.005
"""The robust standard deviation of a session counts as at least this: where nothing moves, a tick is no outlier."""
LEAST_SYMBOLS = 30
_TO_DEVIATION = 1.4826
_SHOWN = ("open", "high", "low", "close", "volume")


def check_context(bars: pd.DataFrame, first: pd.Timestamp, actions: pd.DataFrame, calendar: str) -> list[CheckResult]:
    """The warnings about the bars with ts >= `first`; those before are context and are not judged.

    bars: BARS of a batch and of the 60 sessions or so before it, for every symbol that could be in the
    batch: a symbol without a bar in the batch is missed by its context only
    actions: ACTIONS as believed after the batch; those of other symbols and times are ignored

    - unexplained jumps: a close-to-close move of at least a third that the actions of the session do not
      explain and that lies within 2.5 % of a simple split ratio. A split recorded for a session on which
      the price did not move is such a jump too.
    - stale repeats: the same open, high, low, close and volume, or the same close and nothing else, for
      five sessions and more
    - no volume for three sessions and more
    - outliers: a move, adjusted for actions, of at least 25 robust standard deviations from the median move of the
      session, where at least 30 symbols moved
    - symbols and sessions with bars missing: see `check_presence`
    """
    if bars.empty:
        return []
    judged = (bars["ts"] >= first).to_numpy()
    moves = _moves(bars, actions, calendar)
    frame = pd.DataFrame(
        {
            "jump": _distance_from_split(moves)[judged],
            "repeats": _repeats(bars)[judged],
            "without_volume": _run(bars["volume"].to_numpy() == 0, _starts(bars))[judged],
            "outlier": _outliers(moves, bars["ts"])[judged],
        }
    )
    outcomes = run(SUITE, frame, _rules())
    places = np.flatnonzero(judged)
    return [
        *(_result(outcome, bars, places) for outcome in outcomes),
        *check_presence(bars, first, calendar),
    ]


def _rules() -> list[Rule]:
    between = gxe.ExpectColumnValuesToBeBetween
    return [
        Rule(
            "unexplained jumps",
            "close",
            between,
            {"column": "jump", "min_value": NEAR_SPLIT, "strict_min": True},
            "no move that looks like a split without the split on record",
        ),
        Rule(
            "stale repeats",
            "close",
            between,
            {"column": "repeats", "max_value": REPEATS - 1},
            f"no bar repeated for {REPEATS} sessions",
        ),
        Rule(
            "runs without volume",
            "volume",
            between,
            {"column": "without_volume", "max_value": ZERO_VOLUMES - 1},
            f"no {ZERO_VOLUMES} sessions in a row without volume",
        ),
        Rule(
            "outliers against the cross-section",
            "close",
            between,
            {"column": "outlier", "max_value": OUTLIER, "strict_max": True},
            f"moves within {OUTLIER:g} robust standard deviations of the session's median "
            f"(judged with {LEAST_SYMBOLS} symbols and more)",
        ),
    ]


def _result(outcome: Outcome, bars: pd.DataFrame, places: npt.NDArray[np.int64]) -> CheckResult:
    rule, rows = outcome.rule, outcome.rows
    first = _in_words(bars, int(places[rows[0]]), str(rule.column)) if len(rows) else ""
    return counted(SUITE, rule.fault, rule.column, rule.expected, len(rows), len(places), "bars", first)


def _in_words(bars: pd.DataFrame, place: int, column: str) -> str:
    """One bar with its value beside the one before, e.g. "AAPL 2014-06-09 close 645.57 -> 93.7"."""
    row = bars.iloc[place]
    same = place > 0 and bars["symbol"].iloc[place - 1] == row["symbol"]
    before = f"{bars[column].iloc[place - 1]:g} -> " if same else ""
    return f"{row['symbol']} {session_day(row['ts'])} {column} {before}{row[column]:g}"


def _starts(bars: pd.DataFrame) -> Flags:
    """Which bars are their symbol's first."""
    symbols = bars["symbol"]
    return np.asarray((symbols != symbols.shift()).to_numpy(), dtype=bool)


def _moves(bars: pd.DataFrame, actions: pd.DataFrame, calendar: str) -> Reals:
    """close / close before - 1, adjusted for the actions between; NaN for a symbol's first bar."""
    own = actions["symbol"].isin(bars["symbol"].unique())
    close = bars["close"].to_numpy().copy()
    if own.any():
        touched = bars["symbol"].isin(actions.loc[own, "symbol"].unique()).to_numpy()
        close[touched] = adjust(bars[touched].reset_index(drop=True), actions[own], calendar)["close"].to_numpy()
    moves = np.full(len(close), np.nan)
    moves[1:] = close[1:] / close[:-1] - 1.0
    moves[_starts(bars)] = np.nan
    return moves


def _distance_from_split(moves: Reals) -> Reals:
    """How far each large move lies from the nearest simple split ratio, as a share of it; NaN for a small one."""
    distance = np.full(len(moves), np.nan)
    large = np.flatnonzero(np.abs(moves) >= SMALLEST_JUMP)
    ratio = 1.0 / (1.0 + moves[large])
    simple = np.array(SIMPLE_RATIOS)
    above = np.searchsorted(simple, ratio).clip(1, len(simple) - 1)
    distance[large] = np.minimum(np.abs(simple[above] / ratio - 1.0), np.abs(simple[above - 1] / ratio - 1.0))
    return distance


def _repeats(bars: pd.DataFrame) -> Reals:
    """How many bars in a row, up to this one, are the same."""
    values = [bars[column].to_numpy() for column in _SHOWN]
    opened, high, low, close, _ = values
    same = np.zeros(len(bars), dtype=bool)
    same[1:] = np.logical_and.reduce([value[1:] == value[:-1] for value in values])
    still = (opened == close) & (high == close) & (low == close)
    same[1:] |= still[1:] & still[:-1] & (close[1:] == close[:-1])
    starts = _starts(bars)
    return _run(same & ~starts, starts) + 1.0


def _run(holds: Flags, starts: Flags) -> Reals:
    """How many bars of the symbol in a row, up to this one, `holds` is true for."""
    place = np.arange(len(holds))
    since = np.maximum.accumulate(np.where(~holds, place, np.where(starts, place - 1, -1)))
    return np.asarray(place - since, dtype=np.float64)


def _outliers(moves: Reals, ts: pd.Series) -> Reals:
    """Robust z-scores of the moves within their session; NaN where too few symbols moved to tell."""
    session = ts.astype("int64").to_numpy()
    by_session = pd.Series(moves).groupby(session, sort=False)
    from_median = np.abs(moves - by_session.transform("median").to_numpy())
    spread = pd.Series(from_median).groupby(session, sort=False).transform("median").to_numpy() * _TO_DEVIATION
    scores = from_median / np.maximum(spread, LEAST_SPREAD)
    scores[by_session.transform("count").to_numpy() < LEAST_SYMBOLS] = np.nan
    return np.asarray(scores, dtype=np.float64)
