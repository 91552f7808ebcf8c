from __future__ import annotations

from ml.equity.checks import CheckResult, combined
from ml.equity.checks.report import counted


def line(check: str, unexpected: int, first: str = "", column: str | None = "close") -> CheckResult:
    return counted("context", check, column, "none", unexpected, 100, "bars", first)


def test_a_count_is_told_in_one_line_and_passes_when_nothing_is_unexpected() -> None:
    bad = line("jumps", 2, "AAPL 2014-06-09")
    assert (bad.passed, bad.observed) == (False, "2 of 100 bars, first AAPL 2014-06-09")
    assert (line("jumps", 0).passed, line("jumps", 0).observed) == (True, "0 of 100 bars")


def test_batches_add_up_to_one_line_per_check_with_the_first_example() -> None:
    batches = [
        [line("jumps", 0), line("gaps", 1, "A")],
        [line("jumps", 2, "B"), line("gaps", 3, "C"), line("jumps", 1, "D", column="open")],
        [],
        [line("jumps", 1, "E")],
    ]
    assert combined(batches) == [
        CheckResult("context", "jumps", "close", "warn", False, "3 of 300 bars, first B", "none", 3, 300, "bars", "B"),
        CheckResult("context", "gaps", "close", "warn", False, "4 of 200 bars, first A", "none", 4, 200, "bars", "A"),
        CheckResult("context", "jumps", "open", "warn", False, "1 of 100 bars, first D", "none", 1, 100, "bars", "D"),
    ]
    assert combined([]) == []
    assert combined(batches[:1]) == batches[0]
