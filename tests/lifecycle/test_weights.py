import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.errors import TrainingError
from ml.lifecycle.weights import mean_one, uniqueness


def of(*labels: tuple[int, int, int]) -> list[float]:
    """The uniqueness of (entity, start, end)."""
    entity, start, end = np.array(labels, dtype=np.int64).reshape(-1, 3).T
    return list(uniqueness(entity, start, end))


def test_by_hand() -> None:
    # Entity 0: alive in period 1 the first, in 2 and 3 the first two, in 4 the second, in 5 and 6 the third.
    first, second, third = (1 + 1 / 2 + 1 / 2) / 3, (1 / 2 + 1 / 2 + 1) / 3, 1.0
    assert of((0, 0, 3), (0, 1, 4), (0, 4, 6)) == pytest.approx([first, second, third])
    # Another entity with the same lives shares nothing with it.
    assert of((0, 0, 3), (7, 0, 3), (0, 1, 4), (7, 1, 4)) == pytest.approx([first, first, second, second])


def test_labels_over_one_period_are_unique_and_labels_over_h_are_so_to_one_h() -> None:
    days = np.arange(100)
    np.testing.assert_array_equal(uniqueness(np.zeros(100, int), days, days + 1), np.ones(100))
    middle = uniqueness(np.zeros(100, int), days, days + 5)[10:90]
    assert middle == pytest.approx(np.full(80, 1 / 5))


def test_the_same_label_twice_is_half_as_unique() -> None:
    assert of((3, 10, 14), (3, 10, 14)) == pytest.approx([0.5, 0.5])


def naive(labels: list[tuple[int, int, int]]) -> list[float]:
    """The book's snippets 4.1 and 4.2: count the events alive on each bar, then average 1 / count over each life."""
    means = []
    for entity, start, end in labels:
        shares = []
        for period in range(start + 1, end + 1):
            shares.append(1 / sum(e == entity and s < period <= t for e, s, t in labels))
        means.append(sum(shares) / len(shares))
    return means


LIVES = st.tuples(st.integers(-2, 3), st.integers(-20, 20), st.integers(1, 9))


@given(st.lists(LIVES, min_size=1, max_size=40))
def test_uniqueness_agrees_with_the_books_loop(lives: list[tuple[int, int, int]]) -> None:
    labels = [(entity, start, start + length) for entity, start, length in lives]
    assert of(*labels) == pytest.approx(naive(labels), rel=1e-12)


@given(st.lists(LIVES, min_size=1, max_size=40))
def test_the_order_of_rows_makes_no_difference(lives: list[tuple[int, int, int]]) -> None:
    labels = [(entity, start, start + length) for entity, start, length in lives]
    order = np.random.default_rng(len(lives)).permutation(len(labels))
    shuffled = of(*(labels[i] for i in order))
    assert shuffled == pytest.approx([of(*labels)[i] for i in order], rel=1e-12)


@given(st.lists(LIVES, min_size=1, max_size=40))
def test_uniqueness_times_length_adds_up_to_the_periods_lived_by_anybody(lives: list[tuple[int, int, int]]) -> None:
    labels = [(entity, start, start + length) for entity, start, length in lives]
    lengths = np.array([length for _, _, length in lives])
    lived = {(entity, period) for entity, start, end in labels for period in range(start + 1, end + 1)}
    assert (np.array(of(*labels)) * lengths).sum() == pytest.approx(len(lived))


def test_a_market_of_a_million_rows_takes_less_than_a_second() -> None:
    entity, start = np.repeat(np.arange(500), 2400), np.tile(np.arange(2400), 500)
    end = start + np.random.default_rng(0).integers(1, 21, start.size)
    began = time.perf_counter()
    found = uniqueness(entity, start, end)
    assert time.perf_counter() - began < 1
    assert found.size == 1_200_000
    assert ((found > 0) & (found <= 1)).all()


@pytest.mark.parametrize("end", [[1, 5], [1, 4]])
def test_labels_that_never_lived_are_refused(end: list[int]) -> None:
    with pytest.raises(TrainingError, match="1 of 2 labels"):
        uniqueness(np.zeros(2, int), np.array([0, 5]), np.array(end))


def test_lives_that_are_not_given_whole_are_refused() -> None:
    with pytest.raises(TrainingError, match="2 entities, 2 starts and 1 ends"):
        uniqueness(np.zeros(2, int), np.array([0, 1]), np.array([1]))


def test_weights_keep_their_proportions_and_have_mean_one() -> None:
    assert mean_one(np.array([0.2, 0.4, 0.6])).tolist() == pytest.approx([0.5, 1.0, 1.5])
    assert mean_one(np.array([0.0, 1.0])).tolist() == [0.0, 2.0]


@pytest.mark.parametrize("weights", [[0.0, 0.0], [-1.0, 2.0], [np.nan, 1.0]])
def test_weights_that_weigh_nothing_are_refused(weights: list[float]) -> None:
    with pytest.raises(TrainingError, match="not all 0"):
        mean_one(np.array(weights))


def test_no_rows_have_no_weights() -> None:
    nobody = np.empty(0, dtype=np.int64)
    assert uniqueness(nobody, nobody, nobody).size == mean_one(np.empty(0)).size == 0
