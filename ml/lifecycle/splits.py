"""Walk-forward splits by date, purged of overlapping labels (Lopez de Prado 2018, chapter 7).

A date's label is known at its `matures_at`. A train date whose label matures at or after the first
test instant has seen the test period and is purged; then an embargo drops further dates, because
features of neighbouring dates are nearly the same rows. Everything counts dates, never rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ml.errors import TrainingError
from ml.lifecycle.dataset import Instants


@dataclass(frozen=True)
class Fold:
    """Dates to train on and dates to test on; all train labels are known before the first test date."""

    train: Instants
    test: Instants


@dataclass(frozen=True)
class SplitPlan:
    """How many folds of how many test dates; `embargo` (dates) should be at least the horizon."""

    embargo: int
    outer_folds: int = 4
    outer_dates: int = 126
    inner_folds: int = 3
    inner_dates: int = 126

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


def walk_forward(
    dates: Instants, matures_at: Instants, n_folds: int, test_dates_per_fold: int, embargo: int
) -> list[Fold]:
    """Expanding folds whose test blocks are the last n_folds x test_dates_per_fold dates, in order.

    dates: (d,) ascending, distinct. matures_at: (d,) the latest maturity of each date's labels.
    Of the dates before a block, those with matures_at >= its first instant are purged, then the last
    `embargo` of the rest dropped. TrainingError when a fold is left without train dates.
    """
    _check_dates(dates, matures_at)
    tested = n_folds * test_dates_per_fold
    folds = []
    for start in range(dates.size - tested, dates.size, test_dates_per_fold):
        train = _train_dates(dates[: max(start, 0)], matures_at[: max(start, 0)], dates[start], embargo)
        if train.size == 0:
            raise TrainingError(
                f"{dates.size} dates, none of which may train the fold that tests from {dates[start]}",
                f"more than {tested} test dates plus the purge and an embargo of {embargo}",
                "Give a longer history, or fewer or smaller folds",
            )
        folds.append(Fold(train, dates[start : start + test_dates_per_fold]))
    return folds


def nested(dates: Instants, matures_at: Instants, plan: SplitPlan) -> Nested:
    """Outer folds at the end of history and inner folds within the first outer fold's train dates.

    So every inner date, train or test, has its label known before the first outer test date.
    `plan.shrunk` says what happens to a short history; TrainingError when it is too short.
    """
    fitted = plan.shrunk(dates.size)
    outer = walk_forward(dates, matures_at, fitted.outer_folds, fitted.outer_dates, fitted.embargo)
    before = np.isin(dates, outer[0].train)
    inner = walk_forward(dates[before], matures_at[before], fitted.inner_folds, fitted.inner_dates, fitted.embargo)
    return Nested(inner, outer)


def _train_dates(dates: Instants, matures_at: Instants, first_test: np.datetime64, embargo: int) -> Instants:
    known = dates[matures_at < first_test]
    return known[: max(known.size - embargo, 0)]


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
