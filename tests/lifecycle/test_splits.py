import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.errors import TrainingError
from ml.lifecycle.dataset import Instants
from ml.lifecycle.splits import Fold, SplitPlan, nested, walk_forward


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
