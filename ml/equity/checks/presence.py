"""Bars that are not there: symbols that fell silent, thin sessions, and who is missing tonight. All warnings."""

from __future__ import annotations

from collections.abc import Set

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.equity import sessions
from ml.equity.checks.report import CheckResult, counted
from ml.equity.suites import Outcome, Rule, run
from ml.equity.suites import expectations as gxe
from ml.frames import session_day

Places = npt.NDArray[np.int64]

SUITE = "context"
SILENT = 5
LOOK_BACK = 60
LEAST_COVERAGE = 0.9
USUAL = 20
LEAST_USUAL = 5
"""Sessions before that are needed to say what is usual."""
NIGHT_SUITE = "night"
NAMED = 20


def check_presence(bars: pd.DataFrame, first: pd.Timestamp, calendar: str) -> list[CheckResult]:
    """Warnings about bars that are missing from BARS, which hold some sessions before `first` as context.

    - silent symbols: no bar in the last five sessions although it traded in the sixty before
    - thin sessions, from `first` on: fewer than 90 % of the median number of bars of the twenty sessions before
    """
    place = sessions.positions(calendar, bars["ts"])
    judged = int(place[(bars["ts"] >= first).to_numpy()].min(initial=place.max() + 1))
    return [_silent_symbols(bars, place), _thin_sessions(bars, calendar, place, judged)]


def check_coverage(wanted: Set[str], tonight: Set[str], what: str) -> CheckResult:
    """A warning that names the first of the `wanted` symbols that have no bar `tonight`; `what` they are, in words."""
    symbols = sorted(wanted)
    rule = Rule(
        "coverage of the universe",
        "symbol",
        gxe.ExpectColumnValuesToBeBetween,
        {"column": "bars", "min_value": 1},
        f"a bar of the night's session of all {what}",
    )
    bars = pd.DataFrame({"bars": [float(symbol in tonight) for symbol in symbols]}, dtype=np.float64)
    [outcome] = run(NIGHT_SUITE, bars, [rule])
    missing = [symbols[row] for row in outcome.rows]
    named = ", ".join(missing[:NAMED])
    return counted(NIGHT_SUITE, rule.fault, rule.column, rule.expected, len(missing), len(symbols), what, named)


def _silent_symbols(bars: pd.DataFrame, place: Places) -> CheckResult:
    ends = np.flatnonzero((bars["symbol"] != bars["symbol"].shift(-1)).to_numpy())
    missed = place.max() - place[ends]
    lately = missed < SILENT + LOOK_BACK
    ends, missed = ends[lately], missed[lately]
    rule = Rule(
        "silent symbols",
        "symbol",
        gxe.ExpectColumnValuesToBeBetween,
        {"column": "missed", "max_value": SILENT - 1},
        f"a bar in the last {SILENT} sessions of every symbol that traded in the {LOOK_BACK} before",
    )
    [outcome] = run(SUITE, pd.DataFrame({"missed": missed.astype(np.float64)}), [rule])
    first = ""
    if len(outcome.rows):
        row = bars.iloc[ends[outcome.rows[0]]]
        first = f"{row['symbol']}, last seen {session_day(row['ts'])}"
    return _result(outcome, len(ends), "symbols", first)


def _thin_sessions(bars: pd.DataFrame, calendar: str, place: Places, judged: int) -> CheckResult:
    count = pd.Series(np.bincount(place - place.min()).astype(np.float64))
    usual = count.rolling(USUAL, min_periods=LEAST_USUAL).median().shift()
    skipped = judged - int(place.min())
    shares = (count / usual)[skipped:].reset_index(drop=True)
    rule = Rule(
        "thin sessions",
        "ts",
        gxe.ExpectColumnValuesToBeBetween,
        {"column": "share", "min_value": LEAST_COVERAGE},
        f"at least {LEAST_COVERAGE:.0%} of the usual number of bars (the median of {USUAL} sessions before)",
    )
    [outcome] = run(SUITE, pd.DataFrame({"share": shares}), [rule])
    first = ""
    if len(outcome.rows):
        at = skipped + int(outcome.rows[0])
        ends = sessions.session_of(calendar, pd.Series([bars["ts"].min(), bars["ts"].max()]))
        session = sessions.closes(calendar, ends.iloc[0], ends.iloc[1]).index[at]
        first = f"{session:%Y-%m-%d} with {count[at]:.0f} bars after {usual[at]:g}"
    return _result(outcome, len(shares), "sessions", first)


def _result(outcome: Outcome, judged: int, what: str, first: str) -> CheckResult:
    rule = outcome.rule
    return counted(SUITE, rule.fault, rule.column, rule.expected, len(outcome.rows), judged, what, first)
