from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.errors import TrainingError
from ml.lifecycle.dataset import Instants
from ml.lifecycle.splits import Fold, SplitPlan, combinatorial, nested, walk_forward


def days(first: int, last: int) -> Instants:
    """January days `first` to `last`, both included, at 21:00."""
    return np.array([f"2024-01-{day:02d}T21:00" for day in range(first, last + 1)], dtype="datetime64[us]")


def after(dates: Instants, n_days: int) -> Instants:
    later: Instants = dates + np.timedelta64(n_days, "D")
    return later


def assert_fold(fold: Fold, train: Instants, test: Instants) -> None:
    np.testing.assert_array_equal(fold.train, train)
    np.testing.assert_array_equal(fold.test, test)


def test_two_folds_one_day_ahead_written_out() -> None:
    folds = walk_forward(days(1, 12), after(days(1, 12), 1), n_folds=2, test_dates_per_fold=3, embargo=1)
    # The 6th matures when the test begins on the 7th: purged. The 5th is the embargo.
    assert_fold(folds[0], days(1, 4), days(7, 9))
    assert_fold(folds[1], days(1, 7), days(10, 12))


def test_the_purge_follows_the_label_not_a_fixed_gap() -> None:
    folds = walk_forward(days(1, 20), after(days(1, 20), 5), n_folds=1, test_dates_per_fold=4, embargo=2)
    # Test from the 17th: labels of the 12th and later mature on the 17th or after, then two dates of embargo.
    assert_fold(folds[0], days(1, 9), days(17, 20))


def test_rolling_folds_keep_the_latest_of_the_dates_that_may_train() -> None:
    one_ahead = walk_forward(days(1, 12), after(days(1, 12), 1), 2, 3, embargo=1, train_dates=2)
    # Expanding these would train on the 1st to 4th and the 1st to 7th.
    assert_fold(one_ahead[0], days(3, 4), days(7, 9))
    assert_fold(one_ahead[1], days(6, 7), days(10, 12))
    three_ahead = walk_forward(days(1, 20), after(days(1, 20), 3), 2, 4, embargo=3, train_dates=4)
    # Test from the 13th: the 10th and later are purged, the 7th to 9th are the embargo.
    assert_fold(three_ahead[0], days(3, 6), days(13, 16))
    assert_fold(three_ahead[1], days(7, 10), days(17, 20))


def test_rolling_over_more_dates_than_there_are_is_expanding() -> None:
    for rolling, expanding in zip(
        walk_forward(days(1, 12), after(days(1, 12), 1), 2, 3, embargo=1, train_dates=99),
        walk_forward(days(1, 12), after(days(1, 12), 1), 2, 3, embargo=1),
        strict=True,
    ):
        assert_fold(rolling, expanding.train, expanding.test)


def test_a_limit_of_no_train_dates_is_refused() -> None:
    with pytest.raises(TrainingError, match="limit of 0"):
        walk_forward(days(1, 12), after(days(1, 12), 1), 2, 3, embargo=1, train_dates=0)


def test_nested_rolling_folds_written_out() -> None:
    plan = SplitPlan(embargo=1, outer_folds=2, outer_dates=3, inner_folds=2, inner_dates=2, train_dates=5)
    found = nested(days(1, 30), after(days(1, 30), 1), plan)
    assert_fold(found.outer[0], days(18, 22), days(25, 27))
    assert_fold(found.outer[1], days(21, 25), days(28, 30))
    # The search has all dates before the outer tests to walk through, not the five of the first outer fold.
    assert_fold(found.inner[0], days(12, 16), days(19, 20))
    assert_fold(found.inner[1], days(14, 18), days(21, 22))


def test_one_late_label_purges_its_date_alone() -> None:
    matures_at = after(days(1, 10), 1)
    matures_at[2] = np.datetime64("2024-01-09T21:00")
    fold = walk_forward(days(1, 10), matures_at, n_folds=1, test_dates_per_fold=2, embargo=0)[0]
    assert_fold(fold, np.concatenate([days(1, 2), days(4, 7)]), days(9, 10))


def test_nested_folds_written_out() -> None:
    plan = SplitPlan(embargo=1, outer_folds=2, outer_dates=3, inner_folds=2, inner_dates=2)
    found = nested(days(1, 30), after(days(1, 30), 1), plan)
    assert_fold(found.outer[0], days(1, 22), days(25, 27))
    assert_fold(found.outer[1], days(1, 25), days(28, 30))
    assert_fold(found.inner[0], days(1, 16), days(19, 20))
    assert_fold(found.inner[1], days(1, 18), days(21, 22))


def test_a_short_history_shrinks_every_block_by_the_same_factor() -> None:
    # The plan asks for 4 x 126 + 3 x 126 = 882 test dates, so for 1764 dates; 882 dates carry half of each block.
    shrunk = SplitPlan(embargo=5).shrunk(882)
    assert (shrunk.outer_folds, shrunk.outer_dates, shrunk.inner_folds, shrunk.inner_dates) == (4, 63, 3, 63)
    assert SplitPlan(embargo=5).shrunk(1764) == SplitPlan(embargo=5)
    assert SplitPlan(embargo=5).shrunk(9999) == SplitPlan(embargo=5)


@pytest.mark.parametrize(("embargo", "minimum"), [(1, 280), (5, 280), (20, 560), (60, 1680)])
def test_the_shortest_history_that_carries_a_plan(embargo: int, minimum: int) -> None:
    assert SplitPlan(embargo=embargo).shrunk(minimum).outer_dates == max(20, 2 * embargo)
    with pytest.raises(TrainingError, match=f"about {minimum} dates"):
        SplitPlan(embargo=embargo).shrunk(minimum - 1)


def joined(*spans: tuple[int, int]) -> Instants:
    return np.concatenate([days(first, last) for first, last in spans])


def test_combinatorial_folds_one_day_ahead_written_out() -> None:
    found = combinatorial(days(1, 12), after(days(1, 12), 1), n_groups=4, n_test_groups=2, embargo=1)
    for group, (first, last) in zip(found.groups, [(1, 3), (4, 6), (7, 9), (10, 12)], strict=True):
        np.testing.assert_array_equal(group, days(first, last))
    assert found.tested.tolist() == [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]
    # After a group its last label is known on the next day: that is purged, and the one after it the embargo.
    # Before a group the last day matures when the test begins: purged.
    assert_fold(found.folds[0], days(9, 12), joined((1, 3), (4, 6)))
    assert_fold(found.folds[1], days(12, 12), joined((1, 3), (7, 9)))
    assert_fold(found.folds[2], days(6, 8), joined((1, 3), (10, 12)))
    assert_fold(found.folds[3], joined((1, 2), (12, 12)), joined((4, 6), (7, 9)))
    assert_fold(found.folds[4], days(1, 2), joined((4, 6), (10, 12)))
    assert_fold(found.folds[5], days(1, 5), joined((7, 9), (10, 12)))
    # Three paths; each reads down: who forecast the first group, the second, the third, the fourth.
    assert found.paths.tolist() == [[0, 0, 1, 2], [1, 3, 3, 4], [2, 4, 5, 5]]


def test_combinatorial_folds_three_days_ahead_written_out() -> None:
    found = combinatorial(days(1, 31), after(days(1, 31), 3), n_groups=3, n_test_groups=1, embargo=3)
    assert [group.size for group in found.groups] == [11, 10, 10]
    # The 11th matures on the 14th, so the 12th to 14th are purged, the 15th to 17th the embargo.
    assert_fold(found.folds[0], days(18, 31), days(1, 11))
    # The 9th to 11th mature when the test begins on the 12th or later. The 21st matures on the 24th, so the embargo
    # ends with the 27th.
    assert_fold(found.folds[1], joined((1, 8), (28, 31)), days(12, 21))
    assert_fold(found.folds[2], days(1, 18), days(22, 31))
    assert found.paths.tolist() == [[0, 1, 2]]


def test_a_late_label_of_a_test_group_purges_what_follows_it_as_long_as_it_runs() -> None:
    matures_at = after(days(1, 12), 1)
    matures_at[1] = np.datetime64("2024-01-08T21:00")
    fold = combinatorial(days(1, 12), matures_at, n_groups=4, n_test_groups=1, embargo=1).folds[0]
    assert_fold(fold, days(10, 12), days(1, 3))


@given(
    horizon=st.integers(1, 6),
    n_groups=st.integers(2, 7),
    n_test_groups=st.integers(1, 4),
    size=st.integers(20, 90),
    embargo=st.integers(0, 6),
)
def test_combinatorial_folds_never_overlap_and_every_path_covers_history_once(
    horizon: int, n_groups: int, n_test_groups: int, size: int, embargo: int
) -> None:
    dates = np.datetime64("2001-01-01T21:00", "us") + np.arange(size) * np.timedelta64(1, "D")
    matures_at = after(dates, horizon)
    try:
        found = combinatorial(dates, matures_at, n_groups, n_test_groups, embargo)
    except TrainingError:
        assert n_test_groups >= n_groups or size < n_groups * (2 * horizon + embargo + 2)
        return
    assert len(found.folds) == comb(n_groups, n_test_groups)
    assert found.paths.shape == (comb(n_groups - 1, n_test_groups - 1), n_groups)
    day = {date: number for number, date in enumerate(dates.tolist())}
    for fold in found.folds:
        train = np.array([day[date] for date in fold.train.tolist()])
        for test in (day[date] for date in fold.test.tolist()):
            # A train date is wholly before a test date, or after its label and the embargo of it.
            assert ((train + horizon < test) | (train > test + horizon)).all()
        for end in {day[date] for date in fold.test.tolist()} - {day[date] - 1 for date in fold.test.tolist()}:
            assert not np.isin(train, np.arange(end + horizon + 1, end + horizon + 1 + embargo)).any()
    for path in found.paths:
        said = np.concatenate([found.groups[group] for group in range(n_groups)])
        np.testing.assert_array_equal(said, dates)
        for group, fold in enumerate(path):
            assert group in found.tested[fold]
            assert np.isin(found.groups[group], found.folds[fold].test).all()
    used = [(group, fold) for path in found.paths.tolist() for group, fold in enumerate(path)]
    assert len(set(used)) == len(used) == len(found.folds) * n_test_groups


@pytest.mark.parametrize(("n_groups", "n_test_groups"), [(4, 0), (4, 4), (13, 2)])
def test_groups_that_cannot_be_made_are_refused(n_groups: int, n_test_groups: int) -> None:
    with pytest.raises(TrainingError, match="over 12 dates"):
        combinatorial(days(1, 12), after(days(1, 12), 1), n_groups, n_test_groups, embargo=0)


def test_a_choice_of_groups_that_leaves_no_train_dates_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"test groups \[0, 2\] of 4"):
        combinatorial(days(1, 12), after(days(1, 12), 1), n_groups=4, n_test_groups=2, embargo=3)


def test_too_few_dates_for_walk_forward() -> None:
    with pytest.raises(TrainingError, match="longer history"):
        walk_forward(days(1, 6), after(days(1, 6), 1), n_folds=2, test_dates_per_fold=3, embargo=1)
    with pytest.raises(TrainingError, match="longer history"):
        walk_forward(days(1, 8), after(days(1, 8), 1), n_folds=2, test_dates_per_fold=3, embargo=1)


def test_dates_out_of_order_are_refused() -> None:
    with pytest.raises(TrainingError, match="distinct ascending"):
        walk_forward(days(1, 9)[::-1], after(days(1, 9)[::-1], 1), 1, 2, 0)


@given(
    horizon=st.integers(1, 25),
    extra=st.integers(0, 900),
    gaps=st.lists(st.integers(1, 5), min_size=7, max_size=7),
    delays=st.lists(st.integers(0, 40), min_size=11, max_size=11),
)
def test_no_train_label_touches_a_test_date_and_no_search_sees_an_outer_date(
    horizon: int, extra: int, gaps: list[int], delays: list[int]
) -> None:
    n = 14 * max(20, 2 * horizon) + extra
    steps = np.resize(gaps, n + horizon + 40).cumsum()
    instants = np.datetime64("2001-01-01T21:00", "us") + steps * np.timedelta64(1, "D")
    dates = instants[:n]
    late = np.where(np.arange(n) % 13 == 0, np.resize(delays, n), 0)
    matures_at = instants[np.arange(n) + horizon + late]
    found = nested(dates, matures_at, SplitPlan(embargo=horizon))
    maturity = dict(zip(dates.tolist(), matures_at.tolist(), strict=True))
    for fold in [*found.inner, *found.outer]:
        assert max(maturity[date] for date in fold.train.tolist()) < fold.test.min().tolist()
        between = (dates > fold.train.max()) & (dates < fold.test.min())
        assert between.sum() >= 2 * horizon - 1
    first_outer = found.outer[0].test.min().tolist()
    for fold in found.inner:
        seen = [*fold.train.tolist(), *fold.test.tolist()]
        assert max(maturity[date] for date in seen) < first_outer
    np.testing.assert_array_equal(np.concatenate([fold.test for fold in found.outer])[-1:], dates[-1:])
