from __future__ import annotations

from dataclasses import replace

import pytest

from ml.equity.checks import NightFacts, check_night
from tests.equity.panels import closes

NIGHT = NightFacts(
    as_of=closes(3)[2],
    received=1000,
    quarantined=0,
    tonight=9,
    before=10,
    overlapping=200,
    restated=0,
    restated_examples="",
)
ENOUGH, AGAINST, QUARANTINE, CHANGED = (
    "bars of the night's session",
    "bars against the session before",
    "share of rows in quarantine",
    "share of known bars that changed",
)


@pytest.mark.parametrize(
    ("changes", "ratio", "failed"),
    [
        ({}, 0.9, []),
        ({}, 0.91, [AGAINST]),
        ({"before": 9}, 0.95, []),
        ({"before": None}, 0.95, []),
        ({"tonight": 0}, 0.9, [ENOUGH, AGAINST]),
        ({"tonight": 0, "before": None}, 0.9, [ENOUGH]),
        ({"quarantined": 10}, 0.9, []),
        ({"quarantined": 11}, 0.9, [QUARANTINE]),
        ({"restated": 4}, 0.9, []),
        ({"restated": 5}, 0.9, [CHANGED]),
        ({"restated": 5, "overlapping": 10_000}, 0.9, []),
        ({"quarantined": 11, "restated": 5}, 0.91, [AGAINST, QUARANTINE, CHANGED]),
        ({"received": 0, "overlapping": 0}, 0.9, []),
    ],
)
def test_the_night_is_judged_by_its_bars_its_quarantine_and_what_it_rewrites(
    changes: dict[str, int | None], ratio: float, failed: list[str]
) -> None:
    results = check_night(replace(NIGHT, **changes), 0.01, ratio, 0.02)  # type: ignore[arg-type]
    assert [result.check for result in results if not result.passed] == failed
    assert {result.severity for result in results} == {"fail"}


def test_a_source_that_rewrites_history_is_told_with_the_bars_that_changed() -> None:
    examples = "AAPL 2013-01-02 close 10.1 -> 10.2; IBM 2013-01-03 volume 5 -> 6"
    *_, result = check_night(replace(NIGHT, restated=6, restated_examples=examples), 0.01, 0.9, 0.02)
    assert result.observed == f"6 of 200 bars known before changed (3.00%): {examples}"
    assert result.expected == "at most 2.00%"
    assert (result.unexpected, result.passed) == (1, False)


def test_a_first_night_has_nothing_to_compare_with() -> None:
    results = check_night(replace(NIGHT, before=None, overlapping=0), 0.01, 0.9, 0.0)
    assert results[1].observed == "no earlier session to compare with"
    assert results[3].observed == "0 of 0 bars known before changed (0.00%)"


def test_a_delivery_that_is_no_night_is_judged_by_its_quarantine_and_what_it_rewrites_alone() -> None:
    results = check_night(replace(NIGHT, tonight=None, quarantined=11), 0.01, 0.9, 0.02)
    assert [(result.check, result.passed) for result in results] == [(QUARANTINE, False), (CHANGED, True)]
