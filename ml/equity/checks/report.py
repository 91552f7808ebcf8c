"""One line of the report on a delivery, and how the lines of its batches become one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Severity = Literal["fail", "warn"]


@dataclass(frozen=True)
class CheckResult:
    """What one check found.

    severity: "fail" stops the night, "warn" is only told
    unexpected: how many of the `judged` things broke it; `what` they are ("rows", "sessions"...)
    first: the first of them in words, "" when there is none
    """

    suite: str
    check: str
    column: str | None
    severity: Severity
    passed: bool
    observed: str
    expected: str
    unexpected: int
    judged: int = 1
    what: str = ""
    first: str = ""


def counted(
    suite: str,
    check: str,
    column: str | None,
    expected: str,
    unexpected: int,
    judged: int,
    what: str,
    first: str = "",
    severity: Severity = "warn",
) -> CheckResult:
    """The result of a check that counts: it passes when nothing is unexpected."""
    observed = f"{unexpected} of {judged} {what}" + (f", first {first}" if first else "")
    return CheckResult(
        suite, check, column, severity, unexpected == 0, observed, expected, unexpected, judged, what, first
    )


def combined(batches: Sequence[list[CheckResult]]) -> list[CheckResult]:
    """One result per check over all batches of a delivery, in the order in which checks first came.

    Numbers add up, and the first example of the first batch that has one is kept. For results that count.
    """
    lines: dict[tuple[str, str, str | None], list[CheckResult]] = {}
    for result in (result for batch in batches for result in batch):
        lines.setdefault((result.suite, result.check, result.column), []).append(result)
    return [_sum(results) for results in lines.values()]


def _sum(results: Sequence[CheckResult]) -> CheckResult:
    one = results[0]
    if len(results) == 1:
        return one
    return counted(
        one.suite,
        one.check,
        one.column,
        one.expected,
        sum(result.unexpected for result in results),
        sum(result.judged for result in results),
        one.what,
        next((result.first for result in results if result.first), ""),
        one.severity,
    )
