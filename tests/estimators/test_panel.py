import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ml.estimators.panel import NO_ROW, Codes, Panel, Sample, only_rows, rows_of

# Entity 0 has a row in each of five periods, entity 1 begins in period 2, entity 2 has none in periods 1 and 3.
KEYS = [(0, 0), (2, 0), (0, 1), (0, 2), (1, 2), (2, 2), (0, 3), (1, 3), (0, 4), (1, 4), (2, 4)]


def panel(keys: list[tuple[int, int]]) -> Panel:
    entity, period = np.array(keys, dtype=np.int64).reshape(-1, 2).T
    return Panel(np.arange(len(keys), dtype="float32")[:, None], entity, period)


def test_a_window_is_the_entitys_own_past_oldest_first() -> None:
    assert panel(KEYS).windows(np.array([8]), 3).tolist() == [[3, 6, 8]]


def test_before_the_panel_before_an_entitys_start_and_in_a_gap_there_is_no_row() -> None:
    windows = panel(KEYS).windows(np.array([0, 5, 7, 10]), 4)
    assert windows.tolist() == [
        [NO_ROW, NO_ROW, NO_ROW, 0],
        [NO_ROW, 1, NO_ROW, 5],
        [NO_ROW, NO_ROW, 4, 7],
        [NO_ROW, 5, NO_ROW, 10],
    ]
    assert windows.dtype == np.int32


def test_a_window_of_one_is_the_row_itself() -> None:
    rows = np.arange(len(KEYS))
    assert panel(KEYS).windows(rows, 1).ravel().tolist() == rows.tolist()


def test_no_row_asks_for_no_window() -> None:
    nothing = np.empty(0, dtype=np.int64)
    assert panel(KEYS).windows(nothing, 3).shape == (0, 3)
    assert panel([]).windows(nothing, 3).shape == (0, 3)


def one_by_one(keys: list[tuple[int, int]], at: Codes, length: int) -> list[list[int]]:
    row_of = {key: row for row, key in enumerate(keys)}
    return [
        [row_of.get((keys[row][0], period), NO_ROW) for period in range(keys[row][1] - length + 1, keys[row][1] + 1)]
        for row in at
    ]


@given(
    keys=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9)), min_size=1, max_size=40, unique=True),
    length=st.integers(1, 12),
)
def test_windows_are_those_of_a_loop_over_rows_in_any_order(keys: list[tuple[int, int]], length: int) -> None:
    at = np.arange(len(keys))[::-1]
    assert panel(keys).windows(at, length).tolist() == one_by_one(keys, at, length)


def test_unrelated_rows_have_no_past() -> None:
    rows, at = only_rows(np.zeros((3, 2), "float32"))
    assert rows.windows(at, 3).tolist() == [[NO_ROW, NO_ROW, row] for row in at]


def test_rows_that_follow_each_other_are_not_copied() -> None:
    X = np.arange(10.0)
    assert np.shares_memory(rows_of(X, np.array([2, 3, 4])), X)
    assert rows_of(X, np.array([2, 4])).tolist() == [2.0, 4.0]
    assert rows_of(X, np.empty(0, np.int64)).size == 0


def test_the_rate_of_a_sample_counts_rows_by_their_weight() -> None:
    sample = Sample(panel(KEYS), np.array([0, 1, 2]), np.array([0.1, 0.0, -0.2]), np.array([1.5, 1.0, 0.5]))
    assert sample.up.tolist() == [True, False, False]
    assert sample.rate == 0.5
    assert sample.X.ravel().tolist() == [0.0, 1.0, 2.0]


def test_a_thinned_sample_is_a_seeded_draw_whose_weights_have_a_mean_of_one_again() -> None:
    whole = Sample(panel(KEYS), np.arange(8), np.arange(8.0), np.linspace(0.5, 1.5, 8))
    some = whole.thinned(3, seed=4)
    assert some.at.tolist() == sorted(set(some.at.tolist()))
    assert some.value.tolist() == some.at.tolist()
    np.testing.assert_allclose(some.weight, whole.weight[some.at] / whole.weight[some.at].mean())
    assert whole.thinned(3, seed=4).at.tolist() == some.at.tolist()
    assert whole.thinned(8, seed=4) is whole
