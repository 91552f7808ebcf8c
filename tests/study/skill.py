"""`make study-skill`: how often does an estimator claim skill, where there is none and where there is?

Each run is a dataset of its own seed, searched, refitted on outer folds and judged by the gate's own test of skill. The
configuration is fast, and weak on purpose: a model that says little stays near its baseline, where a test that claims
too much would be caught; one that overfits loses by far. Exit status 1 when more than 5 % of the runs on noise claim.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from functools import partial

from ml.estimators.registry import ESTIMATORS
from ml.lifecycle.comparison import SKILL_ALPHA, skill_test
from ml.lifecycle.dataset import Dataset
from ml.lifecycle.recipe import Member, Recipe
from ml.lifecycle.search import search
from ml.lifecycle.significance import nominal_level
from ml.lifecycle.splits import Nested, SplitPlan, nested
from ml.lifecycle.training import refitted
from tests.study import runs
from tests.study.datasets import simulate
from tests.study.returns import Plant

HORIZONS = (1, 5, 20)
CONTROL = 0.1
_WEAK_TREES = {"rounds": 30, "eta": 0.03, "lambda": 100.0}
WEAK: dict[str, dict[str, float | int]] = {
    "xgboost": {**ESTIMATORS["xgboost"].defaults, **_WEAK_TREES, "max_depth": 2},
    "lightgbm": {**ESTIMATORS["lightgbm"].defaults, **_WEAK_TREES, "leaves": 4},
    "linear": {"penalty": 300.0},
}
"""Parameters that say little, by estimator: tried after its own, before the one that the search draws."""
TRIALS = 3
"""Of a boosted model; a net tries its own parameters alone."""


@dataclass(frozen=True)
class Run:
    """claims: whether the test says that there is skill. ic: the mean IC of what was forecast."""

    claims: bool
    ic: float


def judge(what: Plant, estimator: str, seed: int) -> Run:
    """One market, one search, one verdict."""
    dataset = simulate(what, seed).dataset
    trials = ESTIMATORS[estimator].own_trials(TRIALS)
    recipe, folds = searched(dataset, what.horizon, estimator, trials, seed)
    oof = refitted(recipe, dataset, folds, threads=1, progress=lambda _: None)
    claims = skill_test(oof, runs.target(what.horizon)).p_value <= nominal_level(SKILL_ALPHA, what.horizon)
    return Run(claims, float(runs.ic(oof).mean()))


def searched(dataset: Dataset, horizon: int, estimator: str, trials: int, seed: int) -> tuple[Recipe, Nested]:
    """The best of a few trials on the one inner fold, and the folds."""
    plan = SplitPlan(embargo=horizon, outer_folds=2, outer_dates=120, inner_folds=1, inner_dates=60)
    folds = nested(dataset.dates, dataset.date_maturities, plan)
    found = search(
        dataset,
        folds.inner,
        estimator,
        trials=trials,
        timeout_s=600,
        seed=seed,
        threads=1,
        progress=lambda _: None,
        warm_start=WEAK.get(estimator),
    )
    return Recipe((Member(estimator, found.params),), dataset.feature_names, "study", seed), folds


def line(what: Plant, found: list[Run]) -> str:
    """A row of the table."""
    claims, count = sum(run.claims for run in found), len(found)
    told = f"{claims / count:.1%}", f"{runs.upper_bound(claims, count):.1%}", runs.told([run.ic for run in found])
    return runs.row(f"{what.ic:g}", what.horizon, runs.over(count), claims, *told)


def too_many(what: Plant, found: list[Run]) -> bool:
    """Whether more runs claim skill than the test's level allows where there is none."""
    return what.ic == 0 and sum(run.claims for run in found) > SKILL_ALPHA * len(found)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.study.skill", description=__doc__)
    parser.add_argument("--estimator", choices=sorted(ESTIMATORS), default="xgboost")
    parser.add_argument("--horizons", type=int, nargs="+", default=HORIZONS, metavar="SESSIONS")
    parser.add_argument("--runs", type=int, default=200, help="on noise, for each horizon")
    parser.add_argument("--control-runs", type=int, default=40, help=f"with a planted IC of {CONTROL}")
    asked = parser.parse_args(arguments)
    columns = "planted IC", "sessions", "seeds", "claims of skill", "share", "95 % bound", "IC of the forecasts"
    print(runs.heading(*columns), flush=True)
    failed = False
    for ic, count in ((0.0, asked.runs), (CONTROL, asked.control_runs)):
        for horizon in asked.horizons:
            what = Plant(ic, horizon)
            found = runs.side_by_side(partial(judge, what, asked.estimator), range(count))
            print(line(what, found), flush=True)
            failed |= too_many(what, found)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
