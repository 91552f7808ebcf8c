from __future__ import annotations

import pandas as pd

from ml.equity.checks import CheckResult
from ml.equity.checks.presence import check_coverage, check_presence
from tests.equity.panels import CALENDAR, bars_of, closes


def checked(bars: pd.DataFrame, first: int) -> tuple[CheckResult, CheckResult]:
    silent, thin = check_presence(bars, closes(200)[first], CALENDAR)
    assert {silent.severity, thin.severity} == {"warn"}
    return silent, thin


def until(count: int, total: int) -> list[float | None]:
    """A symbol with `count` bars in `total` sessions, and none after."""
    return [1.0] * count + [None] * (total - count)


def test_a_symbol_is_silent_after_five_sessions_without_a_bar() -> None:
    bars = bars_of(A=until(70, 70), B=until(66, 70), C=until(65, 70))
    silent, _ = checked(bars, first=69)
    assert (silent.unexpected, silent.judged, silent.what) == (1, 3, "symbols")
    assert silent.first == f"C, last seen {closes(70)[64]:%Y-%m-%d}"


def test_a_symbol_that_left_long_ago_is_not_told_every_night() -> None:
    bars = bars_of(A=until(70, 70), GONE=until(5, 70), LEFT=until(6, 70))
    silent, _ = checked(bars, first=69)
    assert (silent.unexpected, silent.judged) == (1, 2)
    assert silent.first.startswith("LEFT")


def test_a_session_with_fewer_bars_than_usual_is_thin() -> None:
    ten = {f"S{i}": until(30, 30) for i in range(10)}
    nine = {"S9": [*until(25, 25), None, *until(4, 4)]}
    eight = {"S8": [*until(27, 27), None, 1.0, 1.0], "S9": [*until(27, 27), None, 1.0, 1.0]}
    _, thin = checked(bars_of(**ten | nine), first=20)
    assert (thin.unexpected, thin.judged, thin.what) == (0, 10, "sessions")
    _, thin = checked(bars_of(**ten | eight), first=20)
    assert (thin.unexpected, thin.first) == (1, f"{closes(30)[27]:%Y-%m-%d} with 8 bars after 10")
    _, thin = checked(bars_of(**ten | eight), first=28)
    assert (thin.unexpected, thin.judged) == (0, 2)


def test_a_session_without_any_bar_is_thin() -> None:
    missing = [*until(9, 9), None, 1.0, 1.0]
    _, thin = checked(bars_of(A=missing, B=missing), first=0)
    assert (thin.unexpected, thin.judged) == (1, 12)
    assert thin.first == f"{closes(12)[9]:%Y-%m-%d} with 0 bars after 2"


def test_the_first_sessions_of_all_have_nothing_usual_to_compare_with() -> None:
    growing = {f"S{i}": [None] * i + [1.0] * (6 - i) for i in range(3)}
    _, thin = checked(bars_of(**growing), first=0)
    assert thin.passed


def test_members_without_a_bar_of_the_night_are_counted_and_the_first_of_them_named() -> None:
    result = check_coverage({f"S{i:02}" for i in range(30)}, {"S00", "S02", "OTHER"}, "members")
    assert (result.severity, result.passed, result.unexpected, result.judged) == ("warn", False, 28, 30)
    assert result.observed.startswith("28 of 30 members, first S01, S03, S04, ")
    assert result.observed.endswith("S21")
    assert check_coverage({"A", "B"}, {"A", "B", "C"}, "members").passed
    assert check_coverage(set(), {"A"}, "members").passed
