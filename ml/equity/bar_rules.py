"""What is expected of received bars, row by row and of the night as a whole.

A row that breaks a rule goes to the quarantine with all its reasons, and the rest goes on. The night
is judged by what is left.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.equity import sessions
from ml.equity.adjustment import unusable_actions
from ml.equity.suites import Outcome, Rule, run
from ml.equity.suites import expectations as gxe
from ml.frames import BARS, QUARANTINE, RECEIVED

KEY = ["symbol", "date"]
_PRICES = ("open", "high", "low", "close")
_LARGEST = sys.float_info.max
_DAY = "day"
"""The date as days since 1970, beside the dates: Great Expectations compares numbers 30 times faster."""


@dataclass(frozen=True)
class CheckResult:
    """One line of the night's report on its bars.

    severity: "fail" stops the night, "warn" is only told; unexpected: rows (or actions) that broke it
    """

    suite: str
    check: str
    column: str | None
    severity: Literal["fail", "warn"]
    passed: bool
    observed: str
    expected: str
    unexpected: int


@dataclass(frozen=True)
class RowReport:
    """Received rows parted in two: `accepted` (BARS) and `quarantined` (QUARANTINE), and what was checked."""

    accepted: pd.DataFrame
    quarantined: pd.DataFrame
    results: list[CheckResult]


def check_rows(received: pd.DataFrame, calendar: str, as_of: datetime) -> RowReport:
    """RECEIVED rows parted into accepted bars and quarantined rows; nothing raises for bad data.

    Rows that repeat another in every field are dropped, all but one, and counted. Rows that give one
    symbol and session different values are all quarantined: none of them is known to be right. Rows
    in any order are sorted by (symbol, session); those out of order are counted. A row with several
    faults lists them all, joined by "; ". FrameError when `as_of` is no close of the calendar.
    """
    last = sessions.session_of(calendar, pd.Series([pd.Timestamp(as_of)])).iloc[0]
    distinct, repeated = _without_repeats(received)
    frame = distinct.assign(**{_DAY: _day_number(distinct["date"])})
    outcomes = run("rows", frame, _row_rules(calendar, distinct["date"], last))
    reasons = _reasons(len(distinct), outcomes)
    bad = reasons != ""
    quarantined = QUARANTINE.cast(distinct[bad].assign(reason=reasons[bad]).sort_values(KEY, kind="stable"))
    results = [
        _count("repeated rows", repeated, "no row twice; one of each is kept"),
        _count("rows out of order", _out_of_order(received), "each symbol's dates ascending; rows are sorted"),
        *(_row_result(outcome, distinct) for outcome in outcomes),
    ]
    return RowReport(to_bars(distinct[~bad], calendar), quarantined, results)


def to_bars(accepted: pd.DataFrame, calendar: str) -> pd.DataFrame:
    """BARS of RECEIVED rows whose dates are all sessions: each stamped with its session's close, sorted."""
    stamped = accepted.assign(ts=sessions.sessions_to_closes(calendar, accepted["date"]))
    return BARS.cast(stamped.sort_values(["symbol", "ts"]))


def check_night(
    accepted: pd.DataFrame,
    quarantined_count: int,
    received_count: int,
    previous_rows_latest_session: int | None,
    as_of: datetime,
    quarantine_budget: float,
    min_rows_ratio: float,
) -> list[CheckResult]:
    """Whether the night can be computed from `accepted` (BARS); every result is of severity "fail".

    previous_rows_latest_session: bars of the session before, when `accepted` does not hold it; with
    None they are counted in `accepted`, and without any earlier session there is nothing to compare
    quarantine_budget: largest share of received rows that may be quarantined, 0 to 1
    min_rows_ratio: least number of the night's bars as a share of the session before, 0 to 1
    """
    tonight = int((accepted["ts"] == as_of).sum())
    before = _rows_before(accepted, as_of) if previous_rows_latest_session is None else previous_rows_latest_session
    share = quarantined_count / received_count if received_count else 0.0
    facts = pd.DataFrame(
        {"rows": [float(tonight)], "ratio": [tonight / before if before else np.inf], "share": [share]}
    )
    observed = {
        "rows": f"{tonight} bars of the session closing {pd.Timestamp(as_of).isoformat()}",
        "ratio": f"{tonight} bars after {before}" if before else "no earlier session to compare with",
        "share": f"{quarantined_count} of {received_count} rows quarantined ({share:.2%})",
    }
    outcomes = run("night", facts, _night_rules(quarantine_budget, min_rows_ratio))
    return [_night_result(outcome, observed[str(outcome.rule.column)]) for outcome in outcomes]


def check_actions(bars: pd.DataFrame, actions: pd.DataFrame, calendar: str) -> CheckResult:
    """Whether adjustment can use all ACTIONS; those it cannot use are left out and counted here, a warning."""
    unusable = unusable_actions(bars, actions, calendar)
    observed = f"{len(unusable)} of {len(actions)} actions"
    if len(unusable):
        first = unusable.iloc[0]
        observed += f", first {first.symbol} {first.ex_date.date()}: {first.kind} {first.value:g}, {first.reason}"
    expected = "positive values, dividends below the price; others are left out"
    return CheckResult(
        "actions", "unusable corporate actions", "value", "warn", unusable.empty, observed, expected, len(unusable)
    )


def _row_rules(calendar: str, dates: pd.Series, last: pd.Timestamp) -> list[Rule]:
    known = dates.dropna()
    open_days = pd.Series(sessions.closes(calendar, known.min(), known.max()).index) if len(known) else known
    return [
        *(_given(column) for column in RECEIVED.columns),
        *(
            Rule(
                f"{column} that is no positive number",
                column,
                gxe.ExpectColumnValuesToBeBetween,
                {"column": column, "min_value": 0, "strict_min": True, "max_value": _LARGEST},
                f"{column} > 0 and finite",
            )
            for column in _PRICES
        ),
        Rule(
            "volume that is negative or infinite",
            "volume",
            gxe.ExpectColumnValuesToBeBetween,
            {"column": "volume", "min_value": 0, "max_value": _LARGEST},
            "volume >= 0 and finite",
        ),
        *(_not_below("high", column, f"high below {column}") for column in ("open", "close", "low")),
        *(_not_below(column, "low", f"low above {column}") for column in ("open", "close")),
        Rule(
            "date without a session",
            "date",
            gxe.ExpectColumnValuesToBeInSet,
            {"column": _DAY, "value_set": _day_number(open_days).tolist()},
            f"a session of {calendar}",
        ),
        Rule(
            "date after the night's session",
            "date",
            gxe.ExpectColumnValuesToBeBetween,
            {"column": _DAY, "max_value": float(_day_number(pd.Series([last]))[0])},
            f"a date up to {last.date()}",
        ),
        Rule(
            "different rows for one symbol and date",
            None,
            gxe.ExpectCompoundColumnsToBeUnique,
            {"column_list": ["symbol", _DAY], "ignore_row_if": "any_value_is_missing"},
            "one row per symbol and date",
        ),
    ]


def _given(column: str) -> Rule:
    return Rule(f"missing {column}", column, gxe.ExpectColumnValuesToNotBeNull, {"column": column}, f"{column} given")


def _not_below(high: str, low: str, fault: str) -> Rule:
    arguments = {"column_A": high, "column_B": low, "or_equal": True, "ignore_row_if": "either_value_is_missing"}
    return Rule(fault, high, gxe.ExpectColumnPairValuesAToBeGreaterThanB, arguments, f"{high} >= {low}")


def _night_rules(quarantine_budget: float, min_rows_ratio: float) -> list[Rule]:
    between = gxe.ExpectColumnValuesToBeBetween
    return [
        Rule("bars of the night's session", "rows", between, {"column": "rows", "min_value": 1}, "at least one"),
        Rule(
            "bars against the session before",
            "ratio",
            between,
            {"column": "ratio", "min_value": min_rows_ratio},
            f"at least {min_rows_ratio:.0%} of them",
        ),
        Rule(
            "share of rows in quarantine",
            "share",
            between,
            {"column": "share", "max_value": quarantine_budget},
            f"at most {quarantine_budget:.2%}",
        ),
    ]


def _without_repeats(received: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """The rows without exact repeats, on a new RangeIndex, and how many were dropped."""
    # Whole rows are compared only where keys repeat, which is rare.
    suspects = received[received.duplicated(KEY, keep=False)]
    repeats = suspects.index[suspects.duplicated()]
    return received.drop(index=repeats).reset_index(drop=True), len(repeats)


def _out_of_order(received: pd.DataFrame) -> int:
    """Rows dated before the row of the same symbol that was received just before them."""
    return int((received["date"] < received.groupby("symbol", sort=False)["date"].shift()).sum())


def _day_number(dates: pd.Series) -> npt.NDArray[np.float64]:
    """Days since 1970, with a fraction when there is a time of day (no session then); NaN for NaT."""
    return np.asarray((dates - pd.Timestamp(0)) / pd.Timedelta(days=1), dtype=np.float64)


def _reasons(size: int, outcomes: Sequence[Outcome]) -> npt.NDArray[np.object_]:
    """Per row, its faults joined by "; " in the order of the rules; "" for a good row."""
    reasons = np.full(size, "", dtype=object)
    for outcome in outcomes:
        so_far = reasons[outcome.rows]
        reasons[outcome.rows] = np.where(so_far == "", "", so_far + "; ") + outcome.rule.fault
    return reasons


def _row_result(outcome: Outcome, frame: pd.DataFrame) -> CheckResult:
    rule, rows = outcome.rule, outcome.rows
    observed = f"{len(rows)} of {len(frame)} rows"
    if len(rows):
        first = frame.iloc[rows[0]]
        observed += f", first {first['symbol']} {first['date']:%Y-%m-%d}" if pd.notna(first["date"]) else ""
    return CheckResult("rows", rule.fault, rule.column, "warn", outcome.passed, observed, rule.expected, len(rows))


def _night_result(outcome: Outcome, observed: str) -> CheckResult:
    rule = outcome.rule
    return CheckResult("night", rule.fault, None, "fail", outcome.passed, observed, rule.expected, len(outcome.rows))


def _count(check: str, unexpected: int, expected: str) -> CheckResult:
    return CheckResult("rows", check, None, "warn", unexpected == 0, f"{unexpected} rows", expected, unexpected)


def _rows_before(accepted: pd.DataFrame, as_of: datetime) -> int:
    """Bars of the latest session before `as_of`, 0 when there is none."""
    earlier = accepted.loc[accepted["ts"] < as_of, "ts"]
    return int((earlier == earlier.max()).sum())
