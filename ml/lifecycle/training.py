"""Fitting a recipe: on folds for evidence, on everything for the model that may serve.

Members are fitted on the train rows of every fold, inner and outer, and asked about its test rows. The
second level (combiner, calibrator) learns from those answers alone, walking forward: what it says about an
outer block it has learned from blocks whose labels were known before that block began.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ml.errors import TrainingError
from ml.estimators.baselines import Climatology
from ml.estimators.interface import Estimator
from ml.estimators.panel import Codes, Flags, Sample, Vector, rows_of
from ml.estimators.registry import estimator_class
from ml.frames import OUT_OF_FOLD
from ml.lifecycle.choice import Choice
from ml.lifecycle.dataset import Dataset, Instants
from ml.lifecycle.ensembles import Members
from ml.lifecycle.intervals import dispersion, typical
from ml.lifecycle.recipe import Member, Recipe
from ml.lifecycle.second_level import SecondLevel
from ml.lifecycle.splits import Fold, Nested
from ml.lifecycle.weights import mean_one

REVISION = 5
"""Raised by whoever changes what a search, a split or a fit gives: older answers to a training are then not found."""

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Answers:
    """What one member says about the rows it is asked about: p_up (n,) and expected value (n,)."""

    p_up: Vector
    expected: Vector


class Block:
    """One fold of a target: its train rows, the test rows that members are asked about, and the baseline there.

    Rows of inner tests are drawn (`most_rows`); those of outer tests are all there, because contenders are compared on
    them. The same dataset, folds and recipe give the same test rows, whoever the members.
    lag: the train rows end so many dates earlier; what is left of a draw is drawn alike, so that two lags differ by
    their dates and not by the luck of the draw.
    """

    def __init__(self, dataset: Dataset, recipe: Recipe, number: int, fold: Fold, *, outer: bool, lag: int = 0) -> None:
        self.number, self.outer = number, outer
        dates = _ending_earlier(fold, lag)
        self._dataset, self._recipe, self._fold, self._last = dataset, recipe, fold, dates[-1]
        self.test = dataset.sample(fold.test, None if outer else recipe.most_rows, recipe.seed).at
        whole = dataset.sample(dates)
        self._usual = typical(_scale_column(recipe, dataset, whole.at))
        self.test_scale = self._scale(self.test)
        climate = Climatology().fit(whole, {}, seed=recipe.seed, threads=1)
        self.baseline = climate.predict(dataset.panel, self.test)[0]

    def train(self, estimator: str) -> tuple[Sample, Vector]:
        """The rows that a member of this estimator draws of the train rows, and their dispersion (n,)."""
        own = estimator_class(estimator).own_rows(self._recipe.most_rows)
        drawn = _until(self._dataset, self._dataset.sample(self._fold.train, own, self._recipe.seed), self._last)
        return drawn, self._scale(drawn.at)

    def _scale(self, at: Codes) -> Vector:
        return dispersion(_scale_column(self._recipe, self._dataset, at), self._usual)


def blocks(recipe: Recipe, dataset: Dataset, folds: Nested, lag: int = 0) -> list[Block]:
    """The inner folds, then the outer ones with train rows that end `lag` dates earlier, in order of time.

    TrainingError when the features are not the recipe's, or an outer fold is left with fewer train dates than it tests.
    """
    _check_features(recipe, dataset)
    inner = [Block(dataset, recipe, number, fold, outer=False) for number, fold in enumerate(folds.inner)]
    outer = [Block(dataset, recipe, len(inner) + i, fold, outer=True, lag=lag) for i, fold in enumerate(folds.outer)]
    return [*inner, *outer]


def _ending_earlier(fold: Fold, lag: int) -> Instants:
    left = fold.train.size - lag
    if lag and left < fold.test.size:
        raise TrainingError(
            f"{max(left, 0)} train dates left when those of the fold that tests from {fold.test[0]} end {lag} earlier",
            f"at least the {fold.test.size} dates that it tests, so that a model as old as that can be fitted there",
            "Give a longer history, or promote a version by hand: this one is older than the folds can show",
        )
    return fold.train[:left]


def _until(dataset: Dataset, sample: Sample, last: np.datetime64) -> Sample:
    """The rows of a sample up to a date."""
    rows = sample.at
    kept = dataset.ts[rows] <= last
    if kept.all():
        return sample
    return replace(sample, at=rows[kept], value=sample.value[kept], weight=mean_one(sample.weight[kept]))


def ask(
    recipe: Recipe, member: Member, dataset: Dataset, asked: list[Block], threads: int, progress: Progress
) -> Answers:
    """Fit a member on the train rows of every block and ask it about the test rows."""
    said = []
    for block in asked:
        train, scale = block.train(member.estimator)
        fitted = fit_member(recipe, member, train, scale, threads)
        said.append(_said(recipe, fitted, dataset, block.test, block.test_scale))
        progress(f"{member.estimator}: fitted on {len(train)} rows, fold {block.number + 1}/{len(asked)}")
    return Answers(*(np.concatenate(parts) for parts in zip(*said, strict=True)))


def fit_member(recipe: Recipe, member: Member, sample: Sample, scale: Vector, threads: int) -> Estimator:
    """A member fitted on a sample; of a `scaled` recipe it learns the value in units of the dispersion."""
    learned = replace(sample, value=sample.value / scale) if recipe.scaled else sample
    return estimator_class(member.estimator)().fit(learned, member.params, seed=recipe.seed, threads=threads)


def fit_serving(recipe: Recipe, member: Member, dataset: Dataset, threads: int) -> Estimator:
    """A member fitted on (a draw of) every row whose outcome is known: what will serve."""
    _check_features(recipe, dataset)
    own = estimator_class(member.estimator).own_rows(recipe.most_rows)
    sample = dataset.sample(dataset.dates, own, recipe.seed)
    scale = _scale_column(recipe, dataset, sample.at)
    return fit_member(recipe, member, sample, dispersion(scale, typical(scale)), threads)


def _said(recipe: Recipe, fitted: Estimator, dataset: Dataset, at: Codes, scale: Vector) -> tuple[Vector, Vector]:
    p_up, expected = fitted.predict(dataset.panel, at)
    return p_up, expected * scale if recipe.scaled else expected


@dataclass(frozen=True)
class Evidence:
    """What members said about test rows that they have never seen, in order of time; arrays share n.

    members: their answers with what came. at: (n,) rows of the dataset. scale: (n,) the dispersion known on
    each row. baseline_p_up: (n,) climatology of all train rows of the block. block: (n,) numbers; outer ones
    are those from `first_outer` on.
    """

    members: Members
    at: Codes
    scale: Vector
    baseline_p_up: Vector
    block: Codes
    first_outer: int

    def where(self, keep: Flags) -> Evidence:
        """The rows that a mask keeps."""
        return replace(
            self,
            members=self.members.where(keep),
            at=self.at[keep],
            scale=self.scale[keep],
            baseline_p_up=self.baseline_p_up[keep],
            block=self.block[keep],
        )

    @property
    def inner(self) -> Evidence:
        """What choices may be made on: no outer test row."""
        return self.where(self.block < self.first_outer)


def evidence(recipe: Recipe, dataset: Dataset, asked: list[Block], said: Mapping[str, Answers]) -> Evidence:
    """The answers of a recipe's members, side by side."""
    at = np.concatenate([block.test for block in asked])
    names = recipe.estimators
    return Evidence(
        members=Members(
            names=names,
            p_up=np.column_stack([said[name].p_up for name in names]),
            expected=np.column_stack([said[name].expected for name in names]),
            regime=_columns(recipe.regime_features, recipe, dataset, at),
            value=dataset.value[at],
            ts=dataset.ts[at],
            matures_at=dataset.matures_at[at],
        ),
        at=at,
        scale=np.concatenate([block.test_scale for block in asked]),
        baseline_p_up=np.concatenate([block.baseline for block in asked]),
        block=np.concatenate([np.full(block.test.size, block.number) for block in asked]),
        first_outer=sum(not block.outer for block in asked),
    )


def finished(draft: Recipe, choice: Choice, seen: Evidence) -> tuple[Recipe, Evidence]:
    """The recipe with what was chosen, and the evidence of the members that are left in it."""
    members = tuple(member for member in draft.members if member.estimator in choice.members)
    recipe = replace(draft, members=members, combiner=choice.combiner, calibrator=choice.calibrator)
    return recipe, replace(seen, members=seen.members.only(recipe.estimators))


def refitted(
    recipe: Recipe, dataset: Dataset, folds: Nested, threads: int, progress: Progress, lag: int = 0
) -> pd.DataFrame:
    """OUT_OF_FOLD of a finished recipe with all its members refitted on these folds: the champion's side of a
    comparison.

    lag: as old as a champion is (`lag_between`). On every outer block all that it has learned from, train rows and
    outcomes of earlier answers, then ends so many dates earlier than it might. TrainingError when a fold is left with
    fewer train dates than it tests.
    """
    asked = blocks(recipe, dataset, folds, lag)
    said = {member.estimator: ask(recipe, member, dataset, asked, threads, progress) for member in recipe.members}
    return out_of_fold(recipe, dataset, evidence(recipe, dataset, asked, said), lag)


def lag_between(dataset: Dataset, older: np.datetime64, newer: np.datetime64) -> int:
    """How many dates a fit that has seen labelled rows until `older` lies behind one that has seen them until `newer`;
    0 when it does not."""
    return int(((dataset.dates > older) & (dataset.dates <= newer)).sum())


def alone(recipe: Recipe, member: Member) -> Recipe:
    """One member as a recipe by itself, everything else as in another."""
    return replace(recipe, members=(member,), combiner="single", calibrator="none", regime_features=())


def out_of_fold(recipe: Recipe, dataset: Dataset, seen: Evidence, lag: int = 0) -> pd.DataFrame:
    """What the recipe says about the outer test rows (OUT_OF_FOLD): per block, a second level that has seen
    only answers whose outcome was known before the block began, or `lag` dates before."""
    parts = []
    for number in range(seen.first_outer, int(seen.block.max()) + 1):
        block = seen.where(seen.block == number)
        known_until = _dates_before(dataset, block.members.ts[0], lag)
        earlier = seen.where((seen.block < number) & (seen.members.matures_at < known_until))
        if lag and not earlier.at.size:
            raise TrainingError(
                f"no answer whose outcome was known {lag} dates before {block.members.ts[0]}",
                "some, from which it is learned how to combine the members",
                "Give a longer history",
            )
        second = SecondLevel.fitted(recipe, earlier.members)
        p_up, expected = second.answer(block.members)
        parts.append(_oof_frame(dataset, block, p_up, expected))
    return OUT_OF_FOLD.check(OUT_OF_FOLD.cast(pd.concat(parts, ignore_index=True)))


def _dates_before(dataset: Dataset, instant: np.datetime64, lag: int) -> np.datetime64:
    """The date so many dates before one of the dataset, its first one at the earliest."""
    return np.datetime64(dataset.dates[max(int(np.searchsorted(dataset.dates, instant)) - lag, 0)])


def _oof_frame(dataset: Dataset, block: Evidence, p_up: Vector, expected: Vector) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "entity": dataset.entity[block.at],
            "ts": pd.DatetimeIndex(block.members.ts).tz_localize("UTC"),
            "value": block.members.value,
            "p_up": p_up,
            "expected": expected,
            "scale": block.scale,
            "baseline_p_up": block.baseline_p_up,
        }
    )


def _scale_column(recipe: Recipe, dataset: Dataset, at: Codes) -> Vector:
    if recipe.scale_feature is None:
        return np.ones(at.size)
    return _columns((recipe.scale_feature,), recipe, dataset, at)[:, 0]


def _columns(names: tuple[str, ...], recipe: Recipe, dataset: Dataset, at: Codes) -> Vector:
    """(n, len(names)) float64 features of some rows."""
    columns = [rows_of(dataset.X[:, recipe.feature_names.index(name)], at) for name in names]
    return np.column_stack(columns).astype(np.float64) if columns else np.empty((at.size, 0))


def _check_features(recipe: Recipe, dataset: Dataset) -> None:
    if recipe.feature_names != dataset.feature_names:
        differing = sorted(set(recipe.feature_names) ^ set(dataset.feature_names))
        raise TrainingError(
            f"a dataset whose features differ from the recipe's in {differing or 'their order'}",
            f"the recipe's {len(recipe.feature_names)} features in their order",
            "Build the dataset with the recipe's feature_names",
        )
