"""Whether a night can be computed from what it brought."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd

from ml.equity.checks.report import CheckResult
from ml.equity.suites import Outcome, Rule, run
from ml.equity.suites import expectations as gxe

SUITE = "night"


@dataclass(frozen=True)
class NightFacts:
    """What a delivery came to, in numbers of rows.

    tonight: accepted bars of the night's session, None for a delivery that is no night
    before: bars of the session before, None when there are none
    overlapping: accepted bars about which the warehouse believed something already
    restated: those of them that differ; restated_examples: some of them in words, "" when there are none
    """

    as_of: datetime
    received: int
    quarantined: int
    tonight: int | None
    before: int | None
    overlapping: int
    restated: int
    restated_examples: str


def check_night(
    facts: NightFacts, quarantine_budget: float, min_rows_ratio: float, restatement_budget: float
) -> list[CheckResult]:
    """Whether the delivery may be taken in; every result is of severity "fail".

    A delivery that is no night is judged by its quarantine and by what it rewrites alone.

    quarantine_budget: largest share of received rows that may be quarantined, 0 to 1
    min_rows_ratio: least number of the night's bars as a share of the session before, 0 to 1
    restatement_budget: largest share of the bars known before that may change, 0 to 1
    """
    quarantined, restated = _share(facts.quarantined, facts.received), _share(facts.restated, facts.overlapping)
    ratio = facts.tonight / facts.before if facts.before and facts.tonight is not None else np.inf
    numbers = {"tonight": float(facts.tonight or 0), "ratio": ratio, "quarantined": quarantined, "restated": restated}
    closing = pd.Timestamp(facts.as_of).isoformat()
    changed = f"{facts.restated} of {facts.overlapping} bars known before changed ({restated:.2%})"
    observed = {
        "tonight": f"{facts.tonight} bars of the session closing {closing}",
        "ratio": f"{facts.tonight} bars after {facts.before}" if facts.before else "no earlier session to compare with",
        "quarantined": f"{facts.quarantined} of {facts.received} rows quarantined ({quarantined:.2%})",
        "restated": f"{changed}: {facts.restated_examples}" if facts.restated_examples else changed,
    }
    rules = _share_rules(quarantine_budget, restatement_budget)
    if facts.tonight is not None:
        rules = [*_night_rules(min_rows_ratio), *rules]
    return [
        _result(outcome, observed[str(outcome.rule.column)]) for outcome in run(SUITE, pd.DataFrame([numbers]), rules)
    ]


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _night_rules(min_rows_ratio: float) -> list[Rule]:
    return [
        _rule("bars of the night's session", "tonight", "at least one", min_value=1),
        _rule(
            "bars against the session before",
            "ratio",
            f"at least {min_rows_ratio:.0%} of them",
            min_value=min_rows_ratio,
        ),
    ]


def _share_rules(quarantine_budget: float, restatement_budget: float) -> list[Rule]:
    most = f"at most {quarantine_budget:.2%}"
    rewritten = f"at most {restatement_budget:.2%}"
    return [
        _rule("share of rows in quarantine", "quarantined", most, max_value=quarantine_budget),
        _rule("share of known bars that changed", "restated", rewritten, max_value=restatement_budget),
    ]


def _rule(fault: str, column: str, expected: str, **limits: float) -> Rule:
    return Rule(fault, column, gxe.ExpectColumnValuesToBeBetween, {"column": column, **limits}, expected)


def _result(outcome: Outcome, observed: str) -> CheckResult:
    rule = outcome.rule
    return CheckResult(SUITE, rule.fault, None, "fail", outcome.passed, observed, rule.expected, len(outcome.rows))
