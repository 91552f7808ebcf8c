"""The gate: whether a candidate may replace the champion, by evidence that counts dates.

d_t is the difference in the target's score on identical rows of date t: the mean over entities of a
difference in loss, or a difference in rank correlation. Rows of one date are never counted as if they
were independent. The test on d_t is `significance.ewc_test`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from ml.domain import Score, Target
from ml.errors import TrainingError
from ml.estimators.interface import Vector
from ml.frames import OUT_OF_FOLD
from ml.lifecycle.looks import Look
from ml.lifecycle.metrics import (
    brier_rows,
    log_loss_rows,
    per_date_mean,
    rank_information_coefficient,
    scores,
    told_by_date,
)
from ml.lifecycle.significance import TestResult, critical_value, ewc_test, nominal_level
from ml.lifecycle.vetoes import Facts, Limits, vetoes

Door = Literal["first", "replace", "refresh"]
Verdict = Literal["promote", "keep"]
BASELINE: Literal["baseline"] = "baseline"

ROWS_OF: dict[Score, Any] = {"log_loss": log_loss_rows, "brier": brier_rows}
UNIT_OF: dict[Score, str] = {"log_loss": "nats", "brier": "squared probability", "rank_ic": "rank correlation"}
SKILL_ALPHA = 0.05
REFRESH_ALPHA = 0.05
REFRESH_MARGINS: dict[Score, float] = {"log_loss": 0.0001, "brier": 0.00005, "rank_ic": 0.003}
"""How much worse a refreshed model may be, in UNIT_OF. Losses: what it costs that probabilities are off by 0.7 points
around even odds, 2 x 0.007^2 nats and 0.007^2. Ranks: a tenth of 0.03, the least skill the gate is built to find."""


@dataclass(frozen=True)
class Contender:
    """A recipe at the gate: its digest, its OUT_OF_FOLD frame, and the last ts its serving fit has seen."""

    digest: str
    oof: pd.DataFrame
    trained_until: np.datetime64
    facts: Facts = field(default_factory=Facts)


@dataclass(frozen=True)
class Rules:
    """What holds besides the evidence.

    min_improvement: what the mean of d_t must reach, in the unit of the target's score. trials: all that were ever made
    for the target, for what luck they bring. is_overdue: the champion has grown so old that its own recipe on newer
    rows need only not be proven worse.
    """

    min_improvement: float = 0.0
    limits: Limits = field(default_factory=Limits)
    trials: int = 1
    is_overdue: bool = False


@dataclass(frozen=True)
class Decision:
    """What the gate said, and everything it said it from; `evidence` is JSON-able as it is.

    look: the number of looks at this candidate, with this one; 0 where none was taken.
    """

    door: Door
    verdict: Verdict
    reason: str
    has_skill: bool
    alpha_spent: float
    evidence: dict[str, Any]
    look: int = 0


def score_difference(
    better: pd.DataFrame, worse: pd.DataFrame | Literal["baseline"], score: Score = "log_loss"
) -> pd.Series[float]:
    """d_t by date, above 0 where it speaks for `better`.

    A loss: mean of `worse` minus mean of `better`, from p_up; "baseline" is better's own baseline_p_up.
    `rank_ic`: the rank correlation of `expected` with the outcome, of `better` minus of `worse`. A
    forecast that is the same for all entities ranks nothing and counts as 0; the baseline is one on
    every date. Dates that cannot be ranked (`metrics.has_ranks`) are left out, on both sides alike.

    Both are OUT_OF_FOLD frames on identical rows. TrainingError when keys or outcomes differ.
    """
    OUT_OF_FOLD.check(better)
    if not isinstance(worse, str):
        _check_identical(better, OUT_OF_FOLD.check(worse))
    if score == "rank_ic":
        own = _ranking(better)
        return own if isinstance(worse, str) else own - _ranking(worse)
    y = (better["value"] > 0).to_numpy()
    p_worse = better["baseline_p_up"] if isinstance(worse, str) else worse["p_up"]
    rows = ROWS_OF[score](y, p_worse.to_numpy()) - ROWS_OF[score](y, better["p_up"].to_numpy())
    return per_date_mean(rows, better["ts"])


def _ranking(oof: pd.DataFrame) -> pd.Series[float]:
    return told_by_date(rank_information_coefficient, oof["value"].to_numpy(), oof["expected"].to_numpy(), oof["ts"])


def _check_identical(a: pd.DataFrame, b: pd.DataFrame) -> None:
    columns = ["entity", "ts", "value"]
    if len(a) != len(b) or not a[columns].reset_index(drop=True).equals(b[columns].reset_index(drop=True)):
        raise TrainingError(
            f"out-of-fold rows that differ ({len(a)} and {len(b)} rows)",
            "the same entities, instants and outcomes on both sides",
            "Refit both recipes on the same outer folds of the same dataset",
        )


def skill_test(oof: pd.DataFrame, target: Target) -> TestResult:
    """Whether the forecasts beat their own baseline in the target's score.

    Compare p_value with nominal_level(0.05, target.horizon).
    """
    return ewc_test(np.asarray(score_difference(oof, BASELINE, target.score)), target.horizon)


def decide(
    target: Target, candidate: Contender, champion: Contender | None, look: Look, rules: Rules | None = None
) -> Decision:
    """The verdict on one candidate, with its evidence.

    No champion: door `first`, installed, with or without skill. The champion's own recipe: door `refresh`,
    non-inferiority. Any other recipe: door `replace`, superiority at the level of the look, and no veto; only this
    spends the look.
    """
    has_skill, skill, evidence = _by_itself(candidate, target)
    if champion is None:
        return _decision(_first(has_skill, skill, target), has_skill, evidence)
    by_date = score_difference(candidate.oof, champion.oof, target.score)
    evidence["champion"] = {"digest": champion.digest, "scores": scores(champion.oof)}
    evidence["series"] = _told(by_date)
    if candidate.digest == champion.digest:
        ruling = _refresh(np.asarray(by_date), candidate, champion, target, rules or Rules())
        return _decision(ruling, has_skill, evidence)
    ruling = _replace(np.asarray(by_date), candidate, champion, target, look, rules or Rules())
    return _decision(ruling, has_skill, evidence, look.number)


def kept_out(target: Target, candidate: Contender, why: str) -> Decision:
    """What is said of a candidate that is not put beside the champion, for that reason."""
    has_skill, _, evidence = _by_itself(candidate, target)
    return _decision(_Ruling("replace", "keep", why, 0.0, {}), has_skill, evidence)


def _by_itself(candidate: Contender, target: Target) -> tuple[bool, TestResult, dict[str, Any]]:
    """Whether a candidate has skill, the test that says so, and the evidence."""
    skill = skill_test(candidate.oof, target)
    evidence: dict[str, Any] = {
        "target": asdict(target),
        "candidate": {"digest": candidate.digest, "scores": scores(candidate.oof)},
        "skill": _test_evidence(skill, SKILL_ALPHA, target.horizon),
    }
    return skill.p_value <= nominal_level(SKILL_ALPHA, target.horizon), skill, evidence


def _decision(ruling: _Ruling, has_skill: bool, evidence: Mapping[str, Any], look: int = 0) -> Decision:
    told = {**evidence, **ruling.evidence}
    return Decision(ruling.door, ruling.verdict, ruling.reason, has_skill, ruling.alpha_spent, told, look)


def decide_again(
    target: Target,
    first: Mapping[str, Any],
    has_skill: bool,
    since: pd.Series[float],
    look: Look,
    rules: Rules | None = None,
) -> Decision:
    """The verdict of a later look at a candidate that has been predicting beside the champion since its first.

    first: the evidence of that first look; it had no veto. since: d_t of the nights since then whose outcomes are
    known, of what both really said. The test is of the outer dates and these together.
    """
    before = pd.Series({pd.Timestamp(ts): d for ts, d in first["series"]}, dtype=np.float64)
    later = since[since.index > before.index[-1]] if len(before) else since
    by_date = pd.concat([before, later])
    ruling = _superiority(np.asarray(by_date), target, look, rules or Rules())
    told = f"{ruling.reason}; look {look.number}, {len(later)} of the dates came after it was trained"
    evidence = {**first, "series": _told(by_date), "dates_since": len(later)}
    return _decision(replace(ruling, reason=told), has_skill, evidence, look.number)


def only_the_best(decisions: Sequence[Decision]) -> list[Decision]:
    """The same, but of several that promote only the one with the smallest p does."""
    promoting = [d for d in decisions if d.verdict == "promote"]
    if len(promoting) < 2:  # noqa: PLR2004
        return list(decisions)
    best = min(promoting, key=lambda d: d.evidence["test"]["p_value"])
    beaten = f"another candidate of this look is more so, p = {best.evidence['test']['p_value']:.3g}"
    return [
        replace(d, verdict="keep", reason=f"{d.reason}; {beaten}") if d.verdict == "promote" and d is not best else d
        for d in decisions
    ]


def _told(by_date: pd.Series[float]) -> list[list[Any]]:
    """A series as JSON has it: [instant, difference] by date."""
    return [[ts.isoformat(), float(d)] for ts, d in zip(pd.DatetimeIndex(by_date.index), by_date, strict=True)]


@dataclass(frozen=True)
class _Ruling:
    door: Door
    verdict: Verdict
    reason: str
    alpha_spent: float
    evidence: dict[str, Any]


def _first(has_skill: bool, skill: TestResult, target: Target) -> _Ruling:
    known = "proven" if has_skill else "not proven"
    words = _words(skill, target)
    reason = f"first champion: nothing serves this target yet; skill over the baseline is {known}, {words}"
    return _Ruling("first", "promote", reason, 0.0, {})


def _replace(d: Vector, candidate: Contender, champion: Contender, target: Target, look: Look, rules: Rules) -> _Ruling:
    """Superiority, and nothing that speaks against it."""
    ruling = _superiority(d, target, look, rules)
    asked = vetoes(target, candidate.oof, champion.oof, candidate.facts, rules.trials, rules.limits)
    against = [veto for veto in asked if veto.vetoed]
    reason = "; ".join([ruling.reason, *(f"veto of {veto.name}: {veto.found}, {veto.allowed}" for veto in against)])
    evidence = {**ruling.evidence, "vetoes": [asdict(veto) for veto in asked], "vetoed": bool(against)}
    return replace(ruling, verdict="keep" if against else ruling.verdict, reason=reason, evidence=evidence)


def _superiority(d: Vector, target: Target, look: Look, rules: Rules) -> _Ruling:
    """By the test, and by no less than the settings ask for."""
    test = ewc_test(d, target.horizon)
    level = nominal_level(look.alpha, target.horizon)
    superior, enough = test.p_value <= level, test.mean >= rules.min_improvement
    reason = f"{'superior' if superior else 'superiority not proven'}: {_words(test, target)}, level {level:.3g}"
    if superior and not enough:
        reason += f"; but less than the improvement of {rules.min_improvement:g} that is asked for"
    evidence = {"test": _test_evidence(test, look.alpha, target.horizon), "min_improvement": rules.min_improvement}
    return _Ruling("replace", "promote" if superior and enough else "keep", reason, look.alpha, evidence)


def _refresh(d: Vector, candidate: Contender, champion: Contender, target: Target, rules: Rules) -> _Ruling:
    """Non-inferiority by the score's margin, of the recipe fitted up to each outer fold against the same recipe as old
    there as the champion is now (`training.refitted` with its lag): what newer rows are worth to it, on dates that
    neither has seen. With exactly equal scores non-inferiority holds untested, and the reason says so. Beside a
    champion that is overdue it is enough that the newer fit is not proven worse.
    """
    margin = REFRESH_MARGINS[target.score]
    window = f"candidate has seen rows until {candidate.trained_until}, champion until {champion.trained_until}"
    evidence: dict[str, Any] = {"margin": margin}
    if not candidate.trained_until > champion.trained_until:
        return _Ruling("refresh", "keep", f"same recipe and no newer rows: {window}", 0.0, evidence)
    if d.size and not d.any():
        reason = (
            f"same recipe on newer rows: {window}; on the outer folds, new and as old as the champion is, both score "
            f"alike on every date, so non-inferiority holds without a test and says nothing about the newer fit itself"
        )
        return _Ruling("refresh", "promote", reason, 0.0, evidence)
    test = ewc_test(d + margin, target.horizon)
    sound = test.p_value <= nominal_level(REFRESH_ALPHA, target.horizon)
    reason = (
        f"same recipe on newer rows: {window}; on the outer folds, beside itself as old as the champion is, not "
        f"inferior by more than {margin} {UNIT_OF[target.score]} is {'proven' if sound else 'not proven'}, "
        f"{_words(test, target)}"
    )
    evidence["test"] = _test_evidence(test, REFRESH_ALPHA, target.horizon)
    if rules.is_overdue and not sound and not test.note:
        sound = not proven_worse(d, target.horizon)
        reason += f"; the champion is overdue, and that the newer fit is worse is {'not proven' if sound else 'proven'}"
    return _Ruling("refresh", "promote" if sound else "keep", reason, 0.0, evidence)


def proven_worse(d: Vector, horizon: int) -> bool:
    """Whether the mean of d_t is below zero, at the level of a refresh."""
    return ewc_test(-d, horizon).p_value <= nominal_level(REFRESH_ALPHA, horizon)


def _words(test: TestResult, target: Target) -> str:
    if test.note:
        return test.note
    unit = UNIT_OF[target.score]
    return f"mean {test.mean:.3g} {unit}, t = {test.statistic:.2f} ({test.dof} dof), p = {test.p_value:.3g}"


def _test_evidence(test: TestResult, alpha: float, horizon: int) -> dict[str, Any]:
    level = nominal_level(alpha, horizon)
    return {**asdict(test), "alpha": alpha, "level": level, "critical": critical_value(level, test.dof)}
