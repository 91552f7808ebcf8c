"""Rules for one row alone: what breaks one is quarantined, unless a reviewer released exactly those values."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.equity import sessions
from ml.equity.checks.report import CheckResult, counted
from ml.equity.suites import Outcome, Rule, run
from ml.equity.suites import expectations as gxe
from ml.frames import BARS, QUARANTINE, RECEIVED

SUITE = "rows"
KEY = ["symbol", "date"]
HALT = "halt row (open, high and low are 0)"
CONTRADICTION = "different rows for one symbol and date"
_PRICES = ("open", "high", "low", "close")
_LARGEST = sys.float_info.max
_DAY = "day"
"""The date as days since 1970, beside the dates: Great Expectations compares numbers 30 times faster."""
_HALTED = "halted"
_JUDGEMENT = frozenset({"high below open", "high below close", "low above open", "low above close", CONTRADICTION})
"""Faults that a reviewer may overrule: such a row can still be a bar."""


@dataclass(frozen=True)
class RowReport:
    """Received rows parted in two: `accepted` (BARS) and `quarantined` (QUARANTINE), and what was checked."""

    accepted: pd.DataFrame
    quarantined: pd.DataFrame
    results: list[CheckResult]


def check_rows(
    received: pd.DataFrame, calendar: str, as_of: datetime, released: pd.DataFrame | None = None
) -> RowReport:
    """RECEIVED rows parted into accepted bars and quarantined rows; nothing raises for bad data.

    Rows that repeat another in every field are dropped, all but one, and counted. Rows that give one
    symbol and session different values are all quarantined: none of them is known to be right. Rows
    in any order are sorted by (symbol, session); those out of order are counted. A row with several
    faults lists them all, joined by "; ". A row with the very values of a `released` one (QUARANTINE)
    is accepted whatever a reviewer may overrule; it is counted all the same. FrameError when `as_of`
    is no close of the calendar.
    """
    last = sessions.session_of(calendar, pd.Series([pd.Timestamp(as_of)])).iloc[0]
    distinct, repeated = _without_repeats(received)
    outcomes = run(SUITE, _judged(distinct), _rules(calendar, distinct["date"], last))
    reasons = _reasons(len(distinct), outcomes)
    bad = reasons != ""
    if released is not None and len(released):
        bad[bad] = ~_forgiven(distinct[bad], reasons[bad], released)
    quarantined = QUARANTINE.cast(distinct[bad].assign(reason=reasons[bad]).sort_values(KEY, kind="stable"))
    results = [
        counted(SUITE, "repeated rows", None, "no row twice; one of each is kept", repeated, len(received), "rows"),
        counted(
            SUITE,
            "rows out of order",
            None,
            "each symbol's dates ascending; rows are sorted",
            _out_of_order(received),
            len(received),
            "rows",
        ),
        *(_result(outcome, distinct) for outcome in outcomes),
    ]
    return RowReport(to_bars(distinct[~bad], calendar), quarantined, results)


def never_bars(rows: pd.DataFrame, calendar: str, as_of: datetime) -> pd.DataFrame:
    """Those of QUARANTINE rows that no reviewer can make a bar, each with the `reason` why not.

    They lack a value, have a price that is not positive, a high below the low or no session up to
    `as_of`, or contradict another of the rows given.
    """
    quarantined = check_rows(RECEIVED.cast(rows), calendar, as_of).quarantined
    faults = [
        "; ".join(fault for fault in reason.split("; ") if fault not in _JUDGEMENT or fault == CONTRADICTION)
        for reason in quarantined["reason"]
    ]
    never = quarantined.assign(reason=pd.Series(faults, index=quarantined.index, dtype="str"))
    return never[never["reason"] != ""].reset_index(drop=True)


def to_bars(accepted: pd.DataFrame, calendar: str) -> pd.DataFrame:
    """BARS of RECEIVED rows whose dates are all sessions: each stamped with its session's close, sorted."""
    stamped = accepted.assign(ts=sessions.sessions_to_closes(calendar, accepted["date"]))
    return BARS.cast(stamped.sort_values(["symbol", "ts"]))


def _judged(distinct: pd.DataFrame) -> pd.DataFrame:
    """The rows as the rules see them. A halt row is told once, by its own rule: its three zeros count as its close."""
    opened, high, low, close = (distinct[column].to_numpy() for column in _PRICES)
    halted = (opened == 0) & (high == 0) & (low == 0) & (close > 0)
    filled = {column: np.where(halted, close, distinct[column].to_numpy()) for column in ("open", "high", "low")}
    return distinct.assign(**filled, **{_DAY: _day_number(distinct["date"]), _HALTED: halted.astype(np.float64)})


def _forgiven(bad: pd.DataFrame, reasons: npt.NDArray[np.object_], released: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Which of the bad rows carry released values and only faults that a reviewer may overrule.

    Of two different released rows for one symbol and date neither is.
    """
    same = _values(bad).isin(_values(RECEIVED.cast(released)))
    overruled = np.array([_JUDGEMENT.issuperset(reason.split("; ")) for reason in reasons], dtype=bool)
    forgiven = np.asarray(same & overruled, dtype=bool)
    twice = bad[forgiven].duplicated(KEY, keep=False).to_numpy()
    forgiven[forgiven] = ~twice
    return forgiven


def _values(rows: pd.DataFrame) -> pd.MultiIndex:
    return pd.MultiIndex.from_frame(rows[list(RECEIVED.columns)])


def _rules(calendar: str, dates: pd.Series, last: pd.Timestamp) -> list[Rule]:
    known = dates.dropna()
    open_days = pd.Series(sessions.closes(calendar, known.min(), known.max()).index) if len(known) else known
    between = gxe.ExpectColumnValuesToBeBetween
    return [
        *(_given(column) for column in RECEIVED.columns),
        Rule(HALT, "open", between, {"column": _HALTED, "max_value": 0}, "a bar that traded"),
        *(
            Rule(
                f"{column} that is no positive number",
                column,
                between,
                {"column": column, "min_value": 0, "strict_min": True, "max_value": _LARGEST},
                f"{column} > 0 and finite",
            )
            for column in _PRICES
        ),
        Rule(
            "volume that is negative or infinite",
            "volume",
            between,
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
            between,
            {"column": _DAY, "max_value": float(_day_number(pd.Series([last]))[0])},
            f"a date up to {last.date()}",
        ),
        Rule(
            CONTRADICTION,
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
    # In microseconds: the year 9999, by which some mean "never", is beyond nanoseconds.
    return np.asarray((dates - pd.Timestamp(0).as_unit("us")) / pd.Timedelta(days=1), dtype=np.float64)


def _reasons(size: int, outcomes: Sequence[Outcome]) -> npt.NDArray[np.object_]:
    """Per row, its faults joined by "; " in the order of the rules; "" for a good row."""
    reasons = np.full(size, "", dtype=object)
    for outcome in outcomes:
        so_far = reasons[outcome.rows]
        reasons[outcome.rows] = np.where(so_far == "", "", so_far + "; ") + outcome.rule.fault
    return reasons


def _result(outcome: Outcome, frame: pd.DataFrame) -> CheckResult:
    rule, rows = outcome.rule, outcome.rows
    first = ""
    if len(rows):
        row = frame.iloc[rows[0]]
        first = (
            f"{row['symbol']} {row['date']:%Y-%m-%d}" if pd.notna(row["date"]) else f"{row['symbol']} without a date"
        )
    return counted(SUITE, rule.fault, rule.column, rule.expected, len(rows), len(frame), "rows", first)
