"""Splits by date, purged of overlapping labels: walk-forward, and combinatorial (Lopez de Prado 2018, chapters 7, 12).

A date's label is known at its `matures_at`. A train date whose label matures at or after the first
test instant has seen the test period and is purged, and so is one that lies not after the last test
label's maturity, where train dates follow; then an embargo drops further dates, because features of
neighbouring dates are nearly the same rows. Everything counts dates, never rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt

from ml.errors import TrainingError
from ml.lifecycle.dataset import Instants


@dataclass(frozen=True)
class Fold:
    """Dates to train on and dates to test on, both ascending; no train label overlaps a test label."""

    train: Instants
    test: Instants


@dataclass(frozen=True)
class SplitPlan:
    """How many folds of how many test dates; `embargo` (dates) should be at least the horizon.

    train_dates: each fold trains on so many of the latest dates that it may (rolling); None: on all (expanding).
    """

    embargo: int
    outer_folds: int = 4
    outer_dates: int = 126
    inner_folds: int = 3
    inner_dates: int = 126
    train_dates: int | None = None

    @property
    def min_test_dates(self) -> int:
        """The shortest test block worth having: 20 dates, or two embargoes when that is more."""
        return max(20, 2 * self.embargo)

    def shrunk(self, n_dates: int) -> SplitPlan:
        """The plan for a history of `n_dates`.

        Test blocks, inner and outer together, may take at most half of the history. When the plan
        asks for more, all blocks shrink by the same factor; the number of folds stays. TrainingError
        when a block would fall below `min_test_dates`.
        """
        asked = self.outer_folds * self.outer_dates + self.inner_folds * self.inner_dates
        factor = min(1.0, n_dates / (2 * asked))
        outer, inner = int(self.outer_dates * factor), int(self.inner_dates * factor)
        if min(outer, inner) < min(self.min_test_dates, self.outer_dates, self.inner_dates):
            raise TrainingError(
                f"{n_dates} dates with known labels, so test blocks of {min(outer, inner)} dates",
                f"at least {self.min_test_dates} dates in each of {self.outer_folds + self.inner_folds} blocks "
                f"within half of the history, about {self._needed()} dates",
                "Give a longer history, or a target with a shorter horizon",
            )
        return replace(self, outer_dates=outer, inner_dates=inner)

    def _needed(self) -> int:
        asked = self.outer_folds * self.outer_dates + self.inner_folds * self.inner_dates
        return -(-2 * asked * self.min_test_dates // min(self.outer_dates, self.inner_dates))


@dataclass(frozen=True)
class Nested:
    """Inner folds for the search, outer folds for the comparison; no inner fold sees an outer test date."""

    inner: list[Fold]
    outer: list[Fold]


@dataclass(frozen=True)
class Combinatorial:
    """Every choice of test groups among the groups of dates, and how the folds join into whole histories.

    folds: one per choice, in lexicographic order. tested: (n_folds, n_test_groups) the groups that each
    tests. paths: (n_paths, n_groups) the fold from which a path takes its forecasts of a group, so each
    path covers every date once, out of sample; each fold is used for each group that it tests in one path.
    """

    groups: list[Instants]
    folds: list[Fold]
    tested: npt.NDArray[np.int64]
    paths: npt.NDArray[np.int64]


def walk_forward(
    dates: Instants,
    matures_at: Instants,
    n_folds: int,
    test_dates_per_fold: int,
    embargo: int,
    train_dates: int | None = None,
) -> list[Fold]:
    """Folds whose test blocks are the last n_folds x test_dates_per_fold dates, in order, trained on what lies before.

    dates: (d,) ascending, distinct. matures_at: (d,) the latest maturity of each date's labels.
    Of the dates before a block, those with matures_at >= its first instant are purged, then the last
    `embargo` of the rest dropped, then all but the last `train_dates` where that is given. TrainingError
    when a fold is left without train dates.
    """
    _check_dates(dates, matures_at)
    if train_dates is not None and train_dates < 1:
        raise TrainingError(f"a limit of {train_dates} train dates", "at least 1, or none", "Give a larger one")
    tested = n_folds * test_dates_per_fold
    folds = []
    for start in range(dates.size - tested, dates.size, test_dates_per_fold):
        train = _known_before(dates, matures_at, start, embargo)
        if train.size == 0:
            raise TrainingError(
                f"{dates.size} dates, none of which may train the fold that tests from {dates[max(start, 0)]}",
                f"more than {tested} test dates plus the purge and an embargo of {embargo}",
                "Give a longer history, or fewer or smaller folds",
            )
        folds.append(Fold(train[-train_dates:] if train_dates else train, dates[start : start + test_dates_per_fold]))
    return folds


def nested(dates: Instants, matures_at: Instants, plan: SplitPlan) -> Nested:
    """Outer folds at the end of history and inner folds within the dates that the first outer fold may train on.

    So every inner date, train or test, has its label known before the first outer test date.
    `plan.shrunk` says what happens to a short history; TrainingError when it is too short.
    """
    fitted = plan.shrunk(dates.size)
    outer = walk_forward(dates, matures_at, fitted.outer_folds, fitted.outer_dates, fitted.embargo, fitted.train_dates)
    first_test = dates.size - fitted.outer_folds * fitted.outer_dates
    before = np.isin(dates, _known_before(dates, matures_at, first_test, fitted.embargo))
    inner = walk_forward(
        dates[before], matures_at[before], fitted.inner_folds, fitted.inner_dates, fitted.embargo, fitted.train_dates
    )
    return Nested(inner, outer)


def combinatorial(
    dates: Instants, matures_at: Instants, n_groups: int, n_test_groups: int, embargo: int
) -> Combinatorial:
    """Combinatorial purged cross-validation: for the study of overfitting, never for a model that serves.

    The dates are cut into n_groups runs of nearly equal length, the longer ones first; every choice of
    n_test_groups of them is tested by a fold that trains on the others. Around each test group, dates
    before it with matures_at >= its first instant are purged, and after it dates not after its latest
    maturity, then `embargo` more. TrainingError when the groups cannot be made or a fold is left
    without train dates.
    """
    _check_dates(dates, matures_at)
    if not 1 <= n_test_groups < n_groups <= dates.size:
        raise TrainingError(
            f"{n_test_groups} test groups of {n_groups} over {dates.size} dates",
            "fewer test groups than groups, and no more groups than dates",
            "Choose, say, 2 of 10",
        )
    groups = np.array_split(np.arange(dates.size), n_groups)
    blocked = [_blocked(dates, matures_at, group, embargo) for group in groups]
    tested = np.array(list(combinations(range(n_groups), n_test_groups)))
    folds = []
    for choice in tested:
        train = dates[~np.any([blocked[group] for group in choice], axis=0)]
        if train.size == 0:
            raise TrainingError(
                f"the test groups {choice.tolist()} of {n_groups}, which leave no train dates",
                f"more dates than tests, purges and embargoes of {embargo} take",
                "Give a longer history, or fewer groups",
            )
        folds.append(Fold(train, dates[np.concatenate([groups[group] for group in choice])]))
    # Path p takes a group from the p-th of the folds that test it.
    paths = np.array([np.flatnonzero((tested == group).any(axis=1)) for group in range(n_groups)]).T
    return Combinatorial([dates[group] for group in groups], folds, tested, paths)


def _known_before(dates: Instants, matures_at: Instants, first_test: int, embargo: int) -> Instants:
    """The dates before that position whose labels are known at its instant, but for the last `embargo` of them."""
    if first_test <= 0:
        return dates[:0]
    known: Instants = dates[:first_test][matures_at[:first_test] < dates[first_test]]
    return known[: max(known.size - embargo, 0)]


def _blocked(
    dates: Instants, matures_at: Instants, group: npt.NDArray[np.int64], embargo: int
) -> npt.NDArray[np.bool_]:
    """Which dates may not train when this run of dates tests: itself, those that overlap it, and the embargo."""
    first = group[0]
    blocked = np.zeros(dates.size, dtype=np.bool_)
    blocked[:first] = matures_at[:first] >= dates[first]
    after = int(np.searchsorted(dates, matures_at[group].max(), side="right"))
    blocked[first : after + embargo] = True
    return blocked


def _check_dates(dates: Instants, matures_at: Instants) -> None:
    if dates.size == 0 or dates.shape != matures_at.shape:
        raise TrainingError(
            f"{dates.size} dates with {matures_at.size} maturities", "one maturity per date", "Give labelled rows"
        )
    if not (dates[1:] > dates[:-1]).all() or not (matures_at > dates).all():
        raise TrainingError(
            "dates that repeat, go back, or mature before they begin",
            "distinct ascending dates, each maturing later",
            "Sort the dataset by (ts, entity) and check its labels",
        )
