import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.estimators.baselines import Climatology
from ml.estimators.panel import only_rows
from ml.lifecycle.explanation import LEVELS, Percentiles, contributions, importance, reasons

NAMES = tuple("abcdefgh")


class Fixed(Climatology):
    """Moves each feature by its own value times a factor."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self._factor = factor

    def contributions(self, panel, at):  # type: ignore[no-untyped-def]
        return panel.X[at] * np.float32(self._factor)


def test_a_members_contributions_count_by_its_share_in_the_answer() -> None:
    panel, at = only_rows(np.array([[1, 2], [3, 4]], dtype=np.float32))
    shares = np.array([[1.0, 0.0], [0.25, 0.75]])
    found = contributions((Fixed(1), Fixed(-1)), shares, panel, at)
    assert found.tolist() == [[1, 2], [-1.5, -2]]


def test_reasons_are_the_strongest_pushes_up_then_down_with_where_the_value_lies() -> None:
    effect = np.array([[0.3, -0.1, 0.0, 0.2, -0.4, 0.1, 0.05, 0.02]], dtype=np.float32)
    X = np.array([[50, 0, 0, np.nan, 100, 25, 10, 5]], dtype=np.float32)
    percentiles = Percentiles.of(np.repeat(np.arange(101, dtype=np.float32)[:, None], 8, axis=1))
    (told,) = (json.loads(text) for text in reasons(effect, X, NAMES, percentiles))
    assert [each["feature"] for each in told] == ["a", "d", "f", "g", "h", "e", "b"]
    assert [each["effect"] for each in told] == pytest.approx([0.3, 0.2, 0.1, 0.05, 0.02, -0.4, -0.1])
    assert told[0] == {"feature": "a", "effect": 0.3, "value": 50.0, "share_below": 0.5}
    assert (told[1]["value"], told[1]["share_below"]) == (None, None)


def test_at_most_five_either_way() -> None:
    effect = np.array([[1, 2, 3, 4, 5, 6, -1, -2]], dtype=np.float32)
    percentiles = Percentiles(((0.0,) * LEVELS,) * 8)
    (told,) = (json.loads(text) for text in reasons(effect, effect, NAMES, percentiles))
    assert [each["feature"] for each in told] == ["f", "e", "d", "c", "b", "h", "g"]


def test_importance_is_the_mean_of_what_was_moved_either_way() -> None:
    moved = np.array([[1, -3, 0], [-1, -1, 0]], dtype=np.float32)
    assert importance(moved, ("a", "b", "c")) == [
        {"feature": "b", "importance": 2.0},
        {"feature": "a", "importance": 1.0},
    ]


@given(st.lists(st.floats(-100, 100, width=32), min_size=50, max_size=200), st.floats(-120, 120, width=32))
def test_the_share_below_agrees_with_counting(values: list[float], asked: float) -> None:
    column = np.array(values, dtype=np.float32)
    found = Percentiles.of(column[:, None]).share_below(0, asked)
    lower, upper = (column < asked).mean(), (column <= asked).mean()
    assert lower - 2 / LEVELS <= found <= upper + 2 / LEVELS


def test_a_feature_that_no_row_has_is_no_reason_to_fail() -> None:
    percentiles = Percentiles.of(np.full((10, 1), np.nan, dtype=np.float32))
    assert 0 <= percentiles.share_below(0, 3.0) <= 1
