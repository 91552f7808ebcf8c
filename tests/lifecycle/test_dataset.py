import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.domain import Target
from ml.errors import FrameError, TrainingError
from ml.frames import LABELS
from ml.lifecycle.dataset import Dataset, build

TARGET = Target("toy", "2d", 2)
DAYS = pd.date_range("2024-01-01 21:00", periods=12, freq="D", tz="UTC").as_unit("us")
NAN = float("nan")


def features(rows: list[tuple[str, int, float, float]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["entity", "ts", "a", "b"])
    frame["ts"] = DAYS[frame["ts"].to_numpy(dtype=int)]
    frame = frame.sort_values(["ts", "entity"], ignore_index=True)
    return frame.astype({"entity": "str", "a": "float32", "b": "float32"})


def labels(rows: list[tuple[str, int, float]], target: str = "2d") -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["entity", "ts", "value"]).assign(target=target)
    frame["matures_at"] = DAYS[frame["ts"].to_numpy() + 2]
    frame["ts"] = DAYS[frame["ts"].to_numpy()]
    return LABELS.cast(frame.sort_values(["target", "ts", "entity"], ignore_index=True))


def test_rows_meet_by_entity_and_instant_for_one_target_only() -> None:
    left = features([("A", 0, 1, 10), ("B", 0, 2, 20), ("A", 1, 3, 30), ("B", 1, 4, 40), ("A", 9, 5, 50)])
    right = pd.concat([labels([("A", 0, 0.5), ("A", 1, 0.0), ("B", 1, -1.0)]), labels([("B", 0, 9.0)], "5d")])
    built = build(left, right.reset_index(drop=True), TARGET, ("a", "b"))
    assert built.entity.tolist() == ["A", "B", "A", "B", "A"]
    assert built.known.tolist() == [0, 2, 3]
    days = DAYS.to_numpy(dtype="datetime64[us]")
    assert built.ts.tolist() == days[[0, 0, 1, 1, 9]].tolist()
    assert built.matures_at[built.known].tolist() == days[[2, 3, 3]].tolist()
    np.testing.assert_array_equal(built.X, np.array([[1, 10], [2, 20], [3, 30], [4, 40], [5, 50]], dtype="float32"))
    np.testing.assert_array_equal(built.value, [0.5, NAN, 0.0, -1.0, NAN])
    assert built.X.dtype == np.float32


def test_a_row_without_a_label_is_the_past_of_later_ones() -> None:
    left = features([("A", 0, 1, 1), ("A", 1, 2, 2), ("A", 3, 3, 3), ("B", 3, 4, 4)])
    built = build(left, labels([("A", 0, 0.5), ("A", 3, 0.5)]), TARGET, ("a", "b"))
    sample = built.sample(built.dates)
    assert sample.at.tolist() == [0, 2]
    # Day 2 is no instant of the panel, so nobody has a gap there.
    assert built.panel.windows(sample.at, 3).tolist() == [[-1, -1, 0], [0, 1, 2]]


def test_a_sample_is_a_seeded_draw_weighted_by_uniqueness() -> None:
    rows = [("A", day, 1.0, 1.0) for day in range(10)]
    built = build(features(rows), labels([("A", day, 1.0) for day in range(8)]), TARGET, ("a", "b"))
    whole = built.sample(built.dates)
    # Each label lives in two periods; all but the first and the last share both with a neighbour.
    assert whole.weight.tolist() == pytest.approx(np.array([0.75, *[0.5] * 6, 0.75]) / 0.5625)
    drawn = built.sample(built.dates, 3, seed=4)
    assert drawn.at.tolist() == built.sample(built.dates, 3, seed=4).at.tolist()
    assert drawn.at.tolist() != built.sample(built.dates, 3, seed=5).at.tolist()
    assert len(drawn) == 3
    assert drawn.weight.mean() == pytest.approx(1)


def test_infinite_features_become_missing_and_rows_without_any_finite_feature_go() -> None:
    rows = [("A", day, 1.0, 1.0) for day in range(8)]
    left = features([*rows, ("A", 8, np.inf, NAN), ("A", 9, -np.inf, 2.0)])
    built = build(left, labels([("A", day, 1.0) for day in range(10)]), TARGET, ("a", "b"))
    assert len(built) == built.known.size == 9
    assert np.isnan(built.X[-1, 0])
    assert built.X[-1, 1] == 2.0


def test_losing_more_labels_than_the_budget_is_an_error() -> None:
    left = features([("A", 0, 1, 1), ("A", 9, 1, 1)])
    with pytest.raises(FrameError, match="8 of 10 labels"):
        build(left, labels([("A", day, 1.0) for day in range(10)]), TARGET, ("a", "b"))


def test_labels_outside_the_features_span_cost_nothing() -> None:
    left = features([("A", 8, 1, 1), ("A", 9, 1, 1)])
    assert build(left, labels([("A", day, 1.0) for day in range(10)]), TARGET, ("a", "b")).known.size == 2


def test_labels_that_are_not_finite_are_refused() -> None:
    with pytest.raises(FrameError, match="not finite"):
        build(features([("A", 0, 1, 1)]), labels([("A", 0, NAN)]), TARGET, ("a", "b"))


def test_no_common_row_is_a_training_error() -> None:
    with pytest.raises(TrainingError, match="no row"):
        build(features([]), labels([("A", 0, 1.0)]), TARGET, ("a", "b"))


@given(st.sets(st.tuples(st.sampled_from("ABCDE"), st.integers(0, 9)), min_size=1))
def test_the_join_equals_pandas_merge(keys: set[tuple[str, int]]) -> None:
    every = [(entity, day) for entity in "ABCDE" for day in range(10)]
    left = features([(entity, day, float(i), 1.0) for i, (entity, day) in enumerate(sorted(keys))])
    chosen = [key for key in every if key in keys or (ord(key[0]) + key[1]) % 17 == 0]
    right = labels([(entity, day, ord(entity) + day / 10) for entity, day in chosen if (day * 3) % 5 or len(keys) < 3])
    reference = left.merge(right, on=["entity", "ts"]).sort_values(["ts", "entity"], ignore_index=True)
    within = right["ts"].between(left["ts"].iloc[0], left["ts"].iloc[-1]).sum()
    if reference.empty or within - len(reference) > 0.2 * within:
        with pytest.raises((FrameError, TrainingError)):
            build(left, right, TARGET, ("a", "b"))
        return
    built = build(left, right, TARGET, ("a", "b"))
    assert built.entity[built.known].tolist() == reference["entity"].tolist()
    np.testing.assert_array_equal(built.X[built.known], reference[["a", "b"]].to_numpy())
    np.testing.assert_array_equal(built.value[built.known], reference["value"])
    np.testing.assert_array_equal(built.X, left[["a", "b"]].to_numpy())


def ragged() -> Dataset:
    """Dates 0, 1, 2 with 2, 1 and 3 entities."""
    ts = DAYS[[0, 0, 1, 2, 2, 2]].to_numpy(dtype="datetime64[us]")
    late = DAYS[[2, 5, 3, 4, 4, 4]].to_numpy(dtype="datetime64[us]")
    entity = np.array(list("ABAABC"), dtype=object)
    return Dataset(entity, ts, late, np.zeros((6, 1), "float32"), np.zeros(6), ("a",))


def test_dates_and_their_latest_maturities() -> None:
    dataset = ragged()
    days = DAYS.to_numpy(dtype="datetime64[us]")
    np.testing.assert_array_equal(dataset.dates, days[:3])
    np.testing.assert_array_equal(dataset.date_maturities, days[[5, 3, 4]])


@pytest.mark.parametrize(
    ("days", "expected"), [([0], [0, 1]), ([1, 2], [2, 3, 4, 5]), ([0, 2], [0, 1, 3, 4, 5]), ([7], [])]
)
def test_rows_of_dates(days: list[int], expected: list[int]) -> None:
    dataset = ragged()
    found = dataset.rows(DAYS[days].to_numpy(dtype="datetime64[us]"))
    assert found.tolist() == expected


def test_features_of_neighbouring_dates_are_a_view_so_that_nothing_is_copied() -> None:
    dataset = ragged()
    assert np.shares_memory(dataset.sample(dataset.dates[1:]).X, dataset.X)
    assert not np.shares_memory(dataset.sample(dataset.dates[[0, 2]]).X, dataset.X)
