import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.errors import FrameError, TrainingError
from ml.estimators.interface import Matrix
from ml.lifecycle import dissimilarity
from ml.lifecycle.dissimilarity import MOST_ROWS, Dissimilarity, fit

NAN = float("nan")


def normal(rows: int, seed: int = 0, features: int = 20) -> Matrix:
    """Features of which the wildest have no variance, and which share a factor."""
    rng = np.random.default_rng(seed)
    shared = rng.standard_t(3, (rows, 1))
    return (shared + rng.standard_t(3, (rows, features))).astype(np.float32)


def test_the_score_by_hand() -> None:
    # The central 99 % of 0..1000 are 5..995, a width of 990.
    X = np.column_stack([np.arange(1001), np.full(1001, 7)]).astype(np.float32)
    fitted = fit(X, seed=0)
    assert (fitted.low, fitted.high) == ((5.0, 7.0), (995.0, 7.0))
    asked = np.array([[5, 7], [995, 7], [995 + 99, 7], [5 - 990 * 3, 7], [500, 7.5], [NAN, 7]], dtype=np.float32)
    assert fitted.strangeness(asked)[:, 0] == pytest.approx([0, 0, 0.1, 1, 0, 1])
    assert fitted.score(asked) == pytest.approx([0, 0, 0.05, 0.5, 0.5, 0.5])


def test_one_in_a_thousand_of_the_training_rows_is_an_outlier_and_about_as_many_of_new_ones() -> None:
    fitted = fit(normal(40_000), seed=0)
    assert fitted.is_outlier(fitted.score(normal(40_000))).mean() == pytest.approx(0.001, abs=0.0002)
    assert fitted.is_outlier(fitted.score(normal(40_000, seed=1))).mean() == pytest.approx(0.001, abs=0.0006)


def test_what_training_never_saw_is_an_outlier_and_its_features_can_be_named() -> None:
    fitted = fit(normal(20_000), seed=0)
    strange = normal(10, seed=2)
    strange[:, :8] += 100
    score = fitted.score(strange)
    assert fitted.is_outlier(score).all()
    assert (score >= 8 / 20).all()
    np.testing.assert_array_equal(fitted.strangeness(strange)[:, :8], 1)
    assert not fitted.is_outlier(fitted.score(np.zeros((1, 20), np.float32))).any()


def test_neither_the_unit_nor_one_wild_training_row_matters() -> None:
    X, asked = normal(5000), normal(50, seed=3) * 3
    wild = X.copy()
    wild[17] = 1e30
    np.testing.assert_allclose(fit(X, 0).score(asked), fit(X * 1000, 0).score(asked * 1000), rtol=1e-4)
    np.testing.assert_allclose(fit(X, 0).score(asked), fit(wild, 0).score(asked), atol=0.02)


def test_a_missing_value_is_strange_only_where_training_rarely_missed_it() -> None:
    X = normal(1000, features=3)
    X[:500, 0] = NAN
    X[:9, 1] = NAN
    X[:, 2] = NAN
    fitted = fit(X, seed=0)
    assert fitted.rarely_missing == (False, True, False)
    assert fitted.score(np.full((1, 3), NAN, np.float32)) == pytest.approx([1 / 3])
    assert fitted.score(np.array([[0, 0, 1e9]], np.float32)) == pytest.approx([0])


def test_the_threshold_says_nothing_when_no_row_is_a_bit_strange() -> None:
    fitted = fit(np.ones((50, 2), np.float32), seed=0)
    assert fitted.threshold == 0
    assert fitted.is_outlier(fitted.score(np.array([[1, 1], [1, 2]], np.float32))).tolist() == [False, True]


def test_many_rows_are_drawn_by_seed() -> None:
    X = normal(MOST_ROWS + 5000, features=3)
    assert fit(X, seed=1) == fit(X, seed=1)
    assert fit(X, seed=1) != fit(X, seed=2)
    np.testing.assert_allclose(fit(X, seed=1).low, fit(X, seed=2).low, rtol=0.1)


@settings(max_examples=50, deadline=None)
@given(
    st.integers(1, 4).flatmap(
        lambda f: st.lists(
            st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False) | st.just(NAN), min_size=f, max_size=f),
            min_size=1,
            max_size=12,
        )
    )
)
def test_of_any_training_rows(rows: list[list[float]]) -> None:
    X = np.array(rows, dtype=np.float32)
    fitted = fit(X, seed=0)
    score = fitted.score(X)
    assert ((score >= 0) & (score <= 1)).all()
    again = Dissimilarity.from_document(json.loads(json.dumps(fitted.to_document(), allow_nan=False)))
    assert again == fitted
    np.testing.assert_array_equal(again.score(X), score)
    np.testing.assert_array_equal(fitted.score(X[-1:]), score[-1:])


def test_many_rows_are_scored_as_each_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted, X = fit(normal(500), seed=0), normal(50, seed=1)
    whole = fitted.score(X)
    monkeypatch.setattr(dissimilarity, "CHUNK", 7)
    np.testing.assert_array_equal(fitted.score(X), whole)
    assert fitted.score(X[:0]).shape == (0,)


def test_no_rows_and_other_features_are_refused() -> None:
    with pytest.raises(TrainingError, match="no training rows"):
        fit(np.empty((0, 3), np.float32), seed=0)
    with pytest.raises(FrameError, match="2 features"):
        fit(normal(10, features=3), seed=0).score(normal(10, features=2))
