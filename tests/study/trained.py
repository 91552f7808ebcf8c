"""`make study-trained`: false promotions of a year in which models are really searched, fitted and compared.

What `tests.study.gate` simulates is done here, with a fast configuration: every quarter a candidate of another seed is
searched on inner folds, refitted on outer folds beside the champion and judged by the gate; what was not decided goes
on predicting, and is looked at again with what both really said. Nothing foretells the returns.

Models are judged by rank correlation, of which none has any here. By log-loss one recipe is really better than another
on noise, the one that says less: to promote it is no error, and `--score log_loss` shows how often that happens. Exit
status 1 when more years than the budget allows have a promotion by rank correlation.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, get_args

import numpy as np
import pandas as pd

from ml.domain import Score, Target
from ml.estimators.interface import Estimator
from ml.estimators.panel import Codes
from ml.frames import OUT_OF_FOLD
from ml.lifecycle import looks
from ml.lifecycle.comparison import Contender, Verdict, decide, decide_again, score_difference
from ml.lifecycle.dataset import Dataset
from ml.lifecycle.looks import Budget
from ml.lifecycle.recipe import Recipe
from ml.lifecycle.splits import Nested
from ml.lifecycle.training import fit_serving, refitted
from tests.study import runs
from tests.study.datasets import simulate
from tests.study.returns import Plant
from tests.study.skill import WEAK, searched

HORIZONS = (1, 5)
QUARTER, HISTORY = 63, 560
LOOKS = 4
BUDGET = 0.05
TRIALS = 2
SEEDS_APART = 1_000_003


@dataclass(frozen=True)
class Trained:
    """A recipe, what it became on the rows known by then, and those rows with their folds."""

    recipe: Recipe
    serving: Estimator
    dataset: Dataset
    folds: Nested
    first: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of a year: whether anybody was promoted, candidates that a veto kept out, and looks in all."""

    promoted: bool
    vetoed: int
    looks: int


def year(horizon: int, estimator: str, score: Score, seed: int) -> Outcome:
    """A year of looks, to its end or to the first promotion."""
    whole = simulate(Plant(0.0, horizon), seed, symbols=20, dates=HISTORY + LOOKS * QUARTER, noisy=6).dataset
    target = replace(runs.target(horizon), score=score)
    champion = trained(known(whole, 0), target, estimator, seed)
    candidates: list[tuple[int, Trained]] = []
    vetoed = taken = 0
    for now in range(1, LOOKS + 1):
        rows = known(whole, now)
        newest = trained(rows, target, estimator, seed + SEEDS_APART * now)
        first = decide(target, contender(newest, newest), contender(champion, newest), looks.look(Budget(), 1))
        again = [later(target, old, champion, rows, now - then) for then, old in candidates]
        taken += 1 + len(again)
        if "promote" in (first.verdict, *again):
            return Outcome(True, vetoed, taken)
        if first.evidence.get("vetoed", True):
            vetoed += 1
        else:
            candidates.append((now, replace(newest, first=first.evidence)))
    return Outcome(False, vetoed, taken)


def later(target: Target, old: Trained, champion: Trained, rows: Dataset, quarters: int) -> Verdict:
    """Another look at a candidate, so many quarters after its first, with what both have said since then."""
    assert old.first is not None
    since = np.flatnonzero(rows.ts > old.dataset.ts[-1])
    d = score_difference(said(old, rows, since), said(champion, rows, since), target.score)
    return decide_again(target, old.first, False, d, looks.look(Budget(), 1 + quarters)).verdict


def known(whole: Dataset, quarter: int) -> Dataset:
    """The rows whose outcome is known when so many quarters have gone."""
    end = np.unique(whole.ts)[HISTORY + quarter * QUARTER - 1]
    there = whole.matures_at <= end
    return Dataset(
        entity=whole.entity[there],
        ts=whole.ts[there],
        matures_at=whole.matures_at[there],
        X=whole.X[there],
        value=whole.value[there],
        feature_names=whole.feature_names,
    )


def trained(rows: Dataset, target: Target, estimator: str, seed: int) -> Trained:
    """The best of a few trials on inner folds, fitted on all."""
    recipe, folds = searched(rows, target.horizon, estimator, TRIALS, seed)
    return Trained(recipe, fit_serving(recipe, recipe.members[0], rows, threads=1), rows, folds)


def contender(who: Trained, beside: Trained) -> Contender:
    """A recipe refitted on the folds of another."""
    oof = refitted(who.recipe, beside.dataset, beside.folds, threads=1, progress=lambda _: None)
    return Contender(who.recipe.digest, oof, who.dataset.ts[-1])


def said(who: Trained, rows: Dataset, at: Codes) -> pd.DataFrame:
    """OUT_OF_FOLD of a serving fit on rows that it has not seen."""
    p_up, expected = who.serving.predict(rows.panel, at)
    frame = pd.DataFrame(
        {
            "entity": rows.entity[at],
            "ts": pd.DatetimeIndex(rows.ts[at]).tz_localize("UTC"),
            "value": rows.value[at],
            "p_up": p_up,
            "expected": expected,
        }
    )
    return OUT_OF_FOLD.check(OUT_OF_FOLD.cast(frame.assign(scale=1.0, baseline_p_up=0.5)))


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.study.trained", description=__doc__)
    parser.add_argument("--years", type=int, default=100, help="for each horizon")
    parser.add_argument("--estimator", choices=sorted(WEAK), default="lightgbm")
    parser.add_argument("--score", choices=get_args(Score), default="rank_ic")
    asked = parser.parse_args(arguments)
    columns = (
        "horizon",
        "estimator",
        "score",
        "years",
        "any promotion",
        "share",
        "95 % bound",
        "candidates vetoed",
        "looks",
    )
    print(runs.heading(*columns), flush=True)
    failed = False
    for horizon in HORIZONS:
        found = runs.side_by_side(partial(year, horizon, asked.estimator, asked.score), range(asked.years))
        hits = sum(each.promoted for each in found)
        told = f"{hits / asked.years:.1%}", f"{runs.upper_bound(hits, asked.years):.1%}"
        counted = sum(each.vetoed for each in found), sum(each.looks for each in found)
        print(runs.row(f"{horizon}d", asked.estimator, asked.score, asked.years, hits, *told, *counted), flush=True)
        failed |= asked.score == "rank_ic" and hits > BUDGET * asked.years
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
