"""Which combiner and which calibrator: by walk-forward log-loss, and the simpler one when that cannot tell."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from ml.estimators.interface import Flags, Vector
from ml.lifecycle import calibration, ensembles
from ml.lifecycle.calibration import CALIBRATORS
from ml.lifecycle.ensembles import COMBINERS, Members, Single
from ml.lifecycle.metrics import log_loss_rows
from ml.lifecycle.overfitting import backtest_overfitting
from ml.lifecycle.significance import standard_error

BLOCKS = 6
MIN_FIT_DATES = 20
"""Fewest dates with known outcomes that a second level is fitted on."""
MIN_SCORED_DATES = 60
"""Fewest dates that a choice is made on."""

Pair = tuple[str, str]


@dataclass(frozen=True)
class Choice:
    """How the members' answers become one. members: those that are needed for it, in their order.

    evidence: JSON-able; of each pair, the simplest first, its mean log-loss over the scored dates, how much worse that
    is than the best, and the standard error of this difference. overfitting: how likely the best pair of some dates is
    among the worse half on the others (`overfitting.backtest_overfitting`).
    """

    members: tuple[str, ...]
    combiner: str
    calibrator: str
    reason: str
    evidence: list[dict[str, Any]]
    overfitting: float | None = None


def choose(members: Members, blocks: int = BLOCKS) -> Choice:
    """The simplest pair of combiner and calibrator whose log-loss is within one standard error of the best.

    The dates are cut into blocks. Each pair is fitted on the rows whose outcome was known before a block began
    (`matures_at`), and scored on the block. Scores are means over dates, and differences are taken date by date: the
    one-standard-error rule of Breiman et al. (1984), with an error that knows of overlapping labels. Simplest first:
    combiners in the order of COMBINERS, for each of them calibrators in the order of CALIBRATORS. One member alone is
    `single`. Too few dates to tell: `weighted`, uncalibrated.
    """
    pairs = list(product(combiners(members), CALIBRATORS))
    losses, scored = _walk_forward(members, pairs, blocks)
    if scored.sum() < MIN_SCORED_DATES:
        reason = f"{int(scored.sum())} dates are too few to choose by, {MIN_SCORED_DATES} are needed"
        return _choice(members, ("single" if len(members.names) == 1 else "weighted", "none"), reason, [])
    mean = losses.mean(axis=1)
    best = int(np.argmin(mean))
    errors = np.array([standard_error(row - losses[best], members.overlap) for row in losses])
    chosen = int(np.flatnonzero(mean - mean[best] <= errors)[0])
    evidence = [
        {
            "combiner": c,
            "calibrator": k,
            "log_loss": float(loss),
            "worse_by": float(loss - mean[best]),
            "error": float(e),
        }
        for (c, k), loss, e in zip(pairs, mean, errors, strict=True)
    ]
    reason = f"log-loss {mean[chosen]:.6f} over {int(scored.sum())} dates"
    if chosen != best:
        reason += (
            f", {mean[chosen] - mean[best]:.6f} worse than {' and '.join(pairs[best])}, "
            f"which is within the standard error of {errors[chosen]:.6f}, and simpler"
        )
    return replace(_choice(members, pairs[chosen], reason, evidence), overfitting=backtest_overfitting(losses))


def combiners(members: Members) -> list[str]:
    """What can make one answer of these members, the simplest first: `single` of one; `meta` where regimes are told."""
    if len(members.names) == 1:
        return ["single"]
    return [kind for kind in COMBINERS if kind != "meta" or members.regime.shape[1]]


def _walk_forward(members: Members, pairs: list[Pair], blocks: int) -> tuple[Vector, Flags]:
    """Each pair's log-loss (pairs, scored dates), and which of the dates (d,) were scored."""
    losses = np.full((len(pairs), members.dates.size), np.nan)
    for dates in np.array_split(np.arange(members.dates.size), blocks)[1:]:
        known = members.where(members.matures_at < members.dates[dates[0]])
        if dates.size == 0 or known.dates.size < MIN_FIT_DATES:
            continue
        asked = members.where((members.date >= dates[0]) & (members.date <= dates[-1]))
        for row, p_up in enumerate(_answers(known, asked, pairs)):
            losses[row, dates] = asked.per_date(log_loss_rows(asked.up, p_up))
    scored = ~np.isnan(losses[0])
    return losses[:, scored], scored


def _answers(known: Members, asked: Members, pairs: list[Pair]) -> list[Vector]:
    """p_up (n,) of each pair, fitted on `known`, for the rows of `asked`."""
    combined = {}
    for kind in dict(pairs):
        combiner = ensembles.fit(kind, known)
        combined[kind] = combiner.combine(known)[0], combiner.combine(asked)[0]
    return [
        calibration.fit(calibrator, combined[kind][0], known.up, known.evidence).calibrate(combined[kind][1])
        for kind, calibrator in pairs
    ]


def _choice(members: Members, pair: Pair, reason: str, evidence: list[dict[str, Any]]) -> Choice:
    combiner, calibrator = pair
    needed = (Single.fit(members).best,) if combiner == "single" else members.names
    return Choice(needed, combiner, calibrator, f"{combiner} of {', '.join(needed)}, {calibrator}: {reason}", evidence)
