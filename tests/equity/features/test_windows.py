from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.equity.features import windows

X = np.random.default_rng(3).normal(5, 2, 50)
Y = np.random.default_rng(4).normal(0, 1, 50) + X


def same(got: np.ndarray, expected: pd.Series) -> None:
    np.testing.assert_allclose(got, expected.to_numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("window", [2, 5, 50, 51])
def test_windows_agree_with_pandas(window: int) -> None:
    rolling = pd.Series(X).rolling(window)
    same(windows.rolling_sum(X, window), rolling.sum())
    same(windows.rolling_mean(X, window), rolling.mean())
    same(windows.rolling_std(X, window), rolling.std())
    same(windows.rolling_moment(X, window, 2), rolling.var(ddof=0))
    same(windows.rolling_correlation(X, Y, window), rolling.corr(pd.Series(Y)))


def test_the_third_moment_by_hand() -> None:
    got = windows.rolling_moment(np.array([0.0, 0.0, 3.0, 6.0]), 3, 3)
    assert got[:2].tolist() == pytest.approx([np.nan] * 2, nan_ok=True)
    assert got[2:].tolist() == pytest.approx([(-1 - 1 + 8) / 3, (-27 + 0 + 27) / 3])


def test_a_missing_term_empties_the_windows_that_hold_it_and_no_other() -> None:
    x = np.array([1.0, np.nan, 3.0, 4.0, 5.0])
    assert np.isnan(windows.rolling_sum(x, 2)).tolist() == [True, True, True, False, False]


def test_a_huge_term_leaves_no_trace_once_it_has_left_the_window() -> None:
    x = np.array([1e18, 0.1, 0.2, 0.3, 0.4])
    assert windows.rolling_sum(x, 2)[2:].tolist() == pytest.approx([0.3, 0.5, 0.7], rel=1e-15)
    assert windows.rolling_std(x, 2)[2:].tolist() == pytest.approx([0.1 / np.sqrt(2)] * 3, rel=1e-12)


def test_a_flat_side_has_no_correlation() -> None:
    assert np.isnan(windows.rolling_correlation(X, np.full(50, 0.1), 20)).all()


def test_shifting_and_dividing_leave_nan_where_there_is_nothing() -> None:
    assert windows.shifted(np.array([1.0, 2.0, 3.0]), 2).tolist() == pytest.approx([np.nan, np.nan, 1.0], nan_ok=True)
    assert np.isnan(windows.shifted(np.array([1.0]), 5)).all()
    assert windows.ratio(np.array([1.0, 1.0]), np.array([0.0, 2.0])).tolist() == pytest.approx(
        [np.nan, 0.5], nan_ok=True
    )


@settings(deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30), st.integers(1, 10), st.integers(0, 29))
def test_a_window_depends_on_its_own_terms_alone(values: list[float], window: int, start: int) -> None:
    x = np.array(values)
    part = windows.rolling_sum(x[start:], window)
    whole = windows.rolling_sum(x, window)[start:]
    full = ~np.isnan(part)
    assert np.array_equal(part[full], whole[full])
