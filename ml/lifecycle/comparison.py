"""The gate: whether a candidate may replace the champion, by evidence that counts dates.

d_t is the difference in the target's score on identical rows of date t: the mean over entities of a
difference in loss, or a difference in rank correlation. Rows of one date are never counted as if they
were independent. The test on d_t is `significance.ewc_test`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from ml.domain import Score, Target
from ml.errors import TrainingError
from ml.estimators.interface import Vector
from ml.frames import OUT_OF_FOLD
from ml.lifecycle.metrics import (
    brier_rows,
    has_ranks,
    log_loss_rows,
    per_date_mean,
    rank_information_coefficient,
    scores,
)
from ml.lifecycle.significance import TestResult, critical_value, ewc_test, nominal_level

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


@dataclass(frozen=True)
class Decision:
    """What the gate said, and everything it said it from; `evidence` is JSON-able as it is."""

    door: Door
    verdict: Verdict
    reason: str
    has_skill: bool
    alpha_spent: float
    evidence: dict[str, Any]


def alpha_per_look(alpha_per_year: float, looks_per_year: int, candidates: int = 1) -> float:
    """The share of the annual budget for one candidate at one look, by the union bound (Bonferroni)."""
    return alpha_per_year / (looks_per_year * candidates)


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
        return _ranking(better) if isinstance(worse, str) else _ranking(better) - _ranking(worse)
    y = (better["value"] > 0).to_numpy()
    p_worse = better["baseline_p_up"] if isinstance(worse, str) else worse["p_up"]
    rows = ROWS_OF[score](y, p_worse.to_numpy()) - ROWS_OF[score](y, better["p_up"].to_numpy())
    return per_date_mean(rows, better["ts"])


def _ranking(oof: pd.DataFrame) -> pd.Series[float]:
    """The rank correlation by date, 0 where all forecasts are the same, NaN where one is missing."""
    value, expected, ts = oof["value"].to_numpy(), oof["expected"].to_numpy(), oof["ts"]
    known = per_date_mean(expected, ts).notna()
    by_date = rank_information_coefficient(value, expected, ts).fillna(0.0).where(known)
    return by_date[has_ranks(value, ts)]


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
    target: Target,
    candidate: Contender,
    champion: Contender | None,
    *,
    alpha_for_this_look: float,
    looks_taken: int,
    looks_per_year: int = 252,
) -> Decision:
    """The verdict on one candidate, with its evidence.

    No champion: door `first`, installed, with or without skill. The champion's own recipe: door
    `refresh`, non-inferiority. Any other recipe: door `replace`, superiority at `alpha_for_this_look`
    (`alpha_per_look`). looks_taken: looks of door `replace` at this target in the past year, without this one.
    """
    skill = skill_test(candidate.oof, target)
    has_skill = skill.p_value <= nominal_level(SKILL_ALPHA, target.horizon)
    evidence: dict[str, Any] = {
        "target": asdict(target),
        "candidate": {"digest": candidate.digest, "scores": scores(candidate.oof)},
        "skill": _test_evidence(skill, SKILL_ALPHA, target.horizon),
        "looks_taken": looks_taken,
        "looks_per_year": looks_per_year,
    }
    if champion is None:
        ruling = _first(has_skill, skill, target)
    else:
        by_date = score_difference(candidate.oof, champion.oof, target.score)
        d = np.asarray(by_date)
        evidence["champion"] = {"digest": champion.digest, "scores": scores(champion.oof)}
        evidence["series"] = [
            [instant.isoformat(), float(x)] for instant, x in zip(pd.DatetimeIndex(by_date.index), d, strict=True)
        ]
        if candidate.digest == champion.digest:
            ruling = _refresh(d, candidate, champion, target)
        elif looks_taken >= looks_per_year:
            ruling = _spent(looks_taken, looks_per_year)
        else:
            ruling = _replace(d, target, alpha_for_this_look)
    return Decision(
        door=ruling.door,
        verdict=ruling.verdict,
        reason=ruling.reason,
        has_skill=has_skill,
        alpha_spent=ruling.alpha_spent,
        evidence={**evidence, **ruling.evidence},
    )


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


def _spent(looks_taken: int, looks_per_year: int) -> _Ruling:
    reason = f"alpha budget spent: {looks_taken} looks in the past year of {looks_per_year} allowed"
    return _Ruling("replace", "keep", reason, 0.0, {})


def _replace(d: Vector, target: Target, alpha: float) -> _Ruling:
    test = ewc_test(d, target.horizon)
    level = nominal_level(alpha, target.horizon)
    superior = test.p_value <= level
    reason = f"{'superior' if superior else 'superiority not proven'}: {_words(test, target)}, level {level:.3g}"
    evidence = {"test": _test_evidence(test, alpha, target.horizon)}
    return _Ruling("replace", "promote" if superior else "keep", reason, alpha, evidence)


def _refresh(d: Vector, candidate: Contender, champion: Contender, target: Target) -> _Ruling:
    """Non-inferiority by the score's margin, of the recipe fitted up to each outer fold against the same recipe as old
    there as the champion is now (`training.refitted` with its lag): what newer rows are worth to it, on dates that
    neither has seen. With exactly equal scores non-inferiority holds untested, and the reason says so.
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
    return _Ruling("refresh", "promote" if sound else "keep", reason, 0.0, evidence)


def _words(test: TestResult, target: Target) -> str:
    if test.note:
        return test.note
    unit = UNIT_OF[target.score]
    return f"mean {test.mean:.3g} {unit}, t = {test.statistic:.2f} ({test.dof} dof), p = {test.p_value:.3g}"


def _test_evidence(test: TestResult, alpha: float, horizon: int) -> dict[str, Any]:
    level = nominal_level(alpha, horizon)
    return {**asdict(test), "alpha": alpha, "level": level, "critical": critical_value(level, test.dof)}
