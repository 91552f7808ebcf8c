"""`make study-regimes`: does meta-learning beat fixed weights where the regime decides whom to believe?

The members are given, not trained: each knows one direction and how strong it is in its own regime (which estimators
learn so little of that ensembles would have nothing to weigh). What is tried is the night's second level: combiners,
calibrators, choice and walk-forward evidence, on datasets of several seeds. The members' weights may follow the
market's volatility, which is all that shows of the regime. Exit status 1 when meta is not ahead of fixed weights and of
votes in log-loss, by the gate's test per date.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np
from scipy.special import expit

from ml.estimators.panel import Codes
from ml.evaluation import contest
from ml.lifecycle.comparison import SKILL_ALPHA
from ml.lifecycle.dataset import Dataset
from ml.lifecycle.logistic import Prior, linear_regression, logistic_regression
from ml.lifecycle.metrics import date_weights
from ml.lifecycle.recipe import Member
from ml.lifecycle.splits import nested
from ml.lifecycle.training import Answers, blocks
from tests.study import runs
from tests.study.datasets import Planted, simulate
from tests.study.returns import Flags, Kind, Plant, Reals
from tests.study.runs import Found, Size, Tests

KINDS: tuple[Kind, ...] = ("regime_carrier", "regime_sign")
IC = 0.1
META, FIXED, SHOWN = "meta", ("weighted", "vote"), ("stack", "chosen")
SIZE = Size(100, 1500, outer=(4, 126), inner=(3, 126), trials=0, search_rows=60_000, fit_rows=60_000)


def judged(what: Plant, size: Size, seed: int) -> Found:
    """One market, its members and what the second level makes of them."""
    planted = simulate(what, seed, size.symbols, size.dates)
    dataset = planted.dataset
    folds = nested(dataset.dates, dataset.date_maturities, size.plan(what.horizon))
    first = dataset.rows(folds.inner[0].train)
    known = dict(members(what, planted, size, seed))
    recipe = replace(runs.draft(dataset, size, seed), members=tuple(Member(name, {}) for name in known))
    asked = blocks(recipe, dataset, folds)
    at = np.concatenate([block.test for block in asked])
    answers = {name: answered(dataset, signal, first[own[first]], at) for name, (signal, own) in known.items()}
    return {each.name: runs.scores(planted, each.oof) for each in contest.learners(recipe, dataset, asked, answers)}


def members(what: Plant, planted: Planted, size: Size, seed: int) -> Iterator[tuple[str, tuple[Reals, Flags]]]:
    """By name, what a member goes by (n,), and the rows (n,) of the regime in which that is right."""
    carried = {
        kind: simulate(Plant(0.0, what.horizon, kind), seed, size.symbols, size.dates).signal
        for kind in ("row", "sequence")
    }
    yield "calm", (carried["row"], planted.calm)
    turbulent = carried["sequence"] if what.kind == "regime_carrier" else -carried["row"]
    yield "turbulent", (turbulent, ~planted.calm)


def answered(dataset: Dataset, signal: Reals, own: Codes, at: Codes) -> Answers:
    """What a member says about the rows `at`: as strong as the signal is on the rows `own`."""
    weight, alike = date_weights(dataset.ts[own]), Prior(np.zeros(1), 0.0, 0.0)
    Z, value = signal[own][:, None], dataset.value[own]
    level, slope = logistic_regression(Z, value > 0, weight, alike)
    base, each = linear_regression(Z, value, weight, alike)
    return Answers(expit(level + slope * signal[at]), base + each * signal[at])


def duels(found: list[Found]) -> dict[tuple[str, str], Tests]:
    """How far meta is ahead of the others."""
    return {(META, name): runs.duel(found, META, name, 1) for name in (*FIXED, *SHOWN)}


def beaten(tests: dict[tuple[str, str], Tests]) -> bool:
    """Whether meta is proven ahead of all fixed ways in log-loss."""
    return all(tests[META, name][1].p_value <= SKILL_ALPHA for name in FIXED)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.study.regimes", description=__doc__)
    parser.add_argument("--seeds", type=int, default=8)
    asked = parser.parse_args(arguments)
    failed = False
    for kind in KINDS:
        found = runs.side_by_side(partial(judged, Plant(IC, 1, kind), SIZE), range(asked.seeds))
        tests = duels(found)
        print(f"{kind}\n\n{runs.scores_table(found)}\n\n{runs.duels_table(tests)}\n", flush=True)
        failed |= not beaten(tests)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
