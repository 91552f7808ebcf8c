from __future__ import annotations

import pandas as pd

from ml.equity.checks import CheckResult, check_actions
from ml.frames import ACTIONS
from tests.equity.panels import CALENDAR, actions_of, bars_of, closes

# Sessions: Mon 2011-01-03, Tue 04, Wed 05, Thu 06, Fri 07, Mon 10, Tue 11, Wed 12, Thu 13, Fri 14.
BARS = bars_of(A=[10.0] * 12, B=[None] * 4 + [5.0] * 8)


def recorded(actions: pd.DataFrame, first: int = 0) -> dict[str, CheckResult]:
    results = check_actions(BARS, closes(12)[first], actions, CALENDAR)
    assert {result.severity for result in results} == {"warn"}
    return {result.check: result for result in results}


def test_actions_that_adjustment_leaves_out_are_told_once() -> None:
    given = actions_of(
        ("A", "2011-01-04", "dividend", 12.0), ("A", "2011-01-06", "split", 2.0), ("A", "2011-01-07", "dividend", 11.0)
    )
    unusable = recorded(given)["unusable corporate actions"]
    assert unusable.observed == (
        "2 of 3 actions, first A 2011-01-04: dividend 12, not below the close of the evening before"
    )
    assert recorded(given, first=2)["unusable corporate actions"].unexpected == 1
    assert recorded(given[given["kind"] == "split"])["unusable corporate actions"].passed


def test_a_split_recorded_twice_within_five_sessions_is_told() -> None:
    twice = recorded(actions_of(("A", "2011-01-05", "split", 2.0), ("A", "2011-01-12", "split", 2.0)))
    assert twice["splits recorded twice"].observed == "1 of 2 actions, first A 2011-01-12: split 2"
    apart = recorded(actions_of(("A", "2011-01-05", "split", 2.0), ("A", "2011-01-13", "split", 2.0)))
    assert apart["splits recorded twice"].passed


def test_other_ratios_other_symbols_and_other_kinds_are_no_split_recorded_twice() -> None:
    results = recorded(
        actions_of(
            ("A", "2011-01-05", "split", 2.0),
            ("A", "2011-01-06", "split", 3.0),
            ("B", "2011-01-07", "split", 2.0),
            ("A", "2011-01-07", "dividend", 2.0),
            ("A", "2011-01-10", "dividend", 2.0),
        )
    )
    assert results["splits recorded twice"].passed


def test_an_action_before_the_first_bar_is_told_where_the_first_bar_is_judged() -> None:
    given = actions_of(("A", "2011-01-03", "split", 2.0), ("B", "2010-06-01", "split", 3.0))
    assert recorded(given)["actions before the first bar"].observed == "1 of 2 actions, first B 2010-06-01: split 3"
    assert recorded(given, first=5)["actions before the first bar"].passed


def test_old_actions_and_those_of_others_are_not_told_again() -> None:
    given = actions_of(
        ("A", "2011-01-04", "split", 2.0),
        ("A", "2011-01-05", "split", 2.0),
        ("A", "2011-03-01", "split", 2.0),
        ("Z", "2011-01-05", "split", 2.0),
    )
    assert recorded(given, first=3)["splits recorded twice"].judged == 0
    assert recorded(ACTIONS.empty())["splits recorded twice"].passed
