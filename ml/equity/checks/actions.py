"""Corporate actions that cannot be right, or that adjustment cannot use. All warnings."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ml.equity import sessions
from ml.equity.adjustment import unusable_actions
from ml.equity.checks.report import CheckResult, counted
from ml.equity.suites import Outcome, Rule, run
from ml.equity.suites import expectations as gxe
from ml.frames import ACTIONS

SUITE = "actions"
TWICE_WITHIN = 5


def check_actions(bars: pd.DataFrame, first: pd.Timestamp, actions: pd.DataFrame, calendar: str) -> list[CheckResult]:
    """Warnings about ACTIONS with their ex-date among the judged BARS (ts >= `first`), of symbols that have bars.

    - one that adjustment has to leave out: not positive, a payment not below the price of the evening before, or
      a split recorded twice while the price moved once
    - a split that repeats one of the same ratio within five sessions
    - an action before its symbol's first bar, when that bar is judged too: it can adjust nothing
    """
    session = sessions.session_of(calendar, bars["ts"])
    first_bar = session.groupby(bars["symbol"], sort=False).first()
    from_day, to_day = session[(bars["ts"] >= first).to_numpy()].min(), session.max()
    own = actions[actions["symbol"].isin(first_bar.index) & (actions["ex_date"] <= to_day)]
    begin = own["symbol"].map(first_bar)
    own = own.assign(apart=_sessions_since_same_split(own, calendar), early=(own["ex_date"] < begin).astype("float64"))
    judged = own[(own["ex_date"] >= from_day) | (begin >= from_day)].reset_index(drop=True)
    between = gxe.ExpectColumnValuesToBeBetween
    rules = [
        Rule(
            "splits recorded twice",
            "ex_date",
            between,
            {"column": "apart", "min_value": TWICE_WITHIN, "strict_min": True},
            f"no split of the same ratio within {TWICE_WITHIN} sessions",
        ),
        Rule(
            "actions before the first bar",
            "ex_date",
            between,
            {"column": "early", "max_value": 0},
            "actions of days from which there are bars",
        ),
    ]
    return [
        _unusable(bars, judged, from_day, calendar),
        *(_result(outcome, judged) for outcome in run(SUITE, judged, rules)),
    ]


def _unusable(bars: pd.DataFrame, judged: pd.DataFrame, from_day: pd.Timestamp, calendar: str) -> CheckResult:
    unusable = unusable_actions(bars, ACTIONS.cast(judged), calendar)
    unusable = unusable[unusable["ex_date"] >= from_day]
    first = f"{_in_words(unusable.iloc[0])}, {unusable['reason'].iloc[0]}" if len(unusable) else ""
    expected = "positive values, payments below the price, no split twice; others are left out"
    name = "unusable corporate actions"
    return counted(SUITE, name, "value", expected, len(unusable), len(judged), "actions", first)


def _sessions_since_same_split(actions: pd.DataFrame, calendar: str) -> pd.Series:
    """Per action, how many sessions before it the same split is on record; NaN where there is none."""
    splits = actions[actions["kind"] == "split"].sort_values(["symbol", "value", "ex_date"])
    if splits.empty:
        return pd.Series(np.nan, index=actions.index)
    opened = sessions.closes(calendar, splits["ex_date"].min(), splits["ex_date"].max()).index
    place = pd.Series(opened.searchsorted(pd.DatetimeIndex(splits["ex_date"])), index=splits.index, dtype="float64")
    return place.groupby([splits["symbol"], splits["value"]]).diff().reindex(actions.index)


def _result(outcome: Outcome, actions: pd.DataFrame) -> CheckResult:
    rule, rows = outcome.rule, outcome.rows
    first = _in_words(actions.iloc[rows[0]]) if len(rows) else ""
    return counted(SUITE, rule.fault, rule.column, rule.expected, len(rows), len(actions), "actions", first)


def _in_words(action: pd.Series) -> str:
    return f"{action['symbol']} {action['ex_date']:%Y-%m-%d}: {action['kind']} {action['value']:g}"
