"""A date's part is what the score would lose without the date; all parts together are the score."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from ml.estimators.interface import Flags, Vector
from ml.evaluation import linearised
from ml.lifecycle import metrics

OF_EVENTS: list[tuple[Callable[..., pd.Series[float]], Callable[..., float]]] = [
    (linearised.precision, metrics.precision),
    (linearised.recall, metrics.recall),
    (linearised.f1, metrics.f1),
    (linearised.auc, metrics.auc),
    (linearised.expected_calibration_error, metrics.expected_calibration_error),
]


def forecasts(dates: int, rows: int, seed: int = 3) -> tuple[Flags, Vector, pd.DatetimeIndex]:
    """Rows of dates that share a shock, so dates differ by more than luck of rows; unequal numbers of rows."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(rows // 2, rows, dates)
    ts = pd.date_range("2024-01-01", periods=dates, tz="UTC").repeat(counts)
    shock = rng.normal(0, 0.15, dates).repeat(counts)
    p = rng.uniform(0.2, 0.8, len(ts))
    return rng.random(len(ts)) < np.clip(p + shock, 0, 1), p, ts


@pytest.mark.parametrize(("parts", "score"), OF_EVENTS)
@given(rows=st.lists(st.tuples(st.booleans(), st.sampled_from([0.2, 0.5, 0.51, 0.7])), min_size=1, max_size=40))
def test_the_mean_of_the_parts_is_the_score(
    parts: Callable[..., pd.Series[float]], score: Callable[..., float], rows: list[tuple[bool, float]]
) -> None:
    up, p = np.array([r for r, _ in rows]), np.array([q for _, q in rows])
    ts = pd.date_range("2024-01-01", periods=5, tz="UTC")[np.arange(len(rows)) % 5]
    found = parts(up, p, ts)
    assert found.index.is_monotonic_increasing
    assert len(found) == min(5, len(rows))
    assert found.mean() == pytest.approx(score(up, p), nan_ok=True)
    assert found.isna().all() or found.notna().all()


@pytest.mark.parametrize(("parts", "score"), OF_EVENTS)
def test_parts_vary_as_the_score_does_when_dates_are_left_out(
    parts: Callable[..., pd.Series[float]], score: Callable[..., float]
) -> None:
    up, p, ts = forecasts(60, 60)
    without = np.array([score(up[ts != day], p[ts != day]) for day in ts.unique()])
    jackknife = np.sqrt(59 / 60 * ((without - without.mean()) ** 2).sum())
    found = parts(up, p, ts)
    # The bins of the calibration error move when dates are left out, and are given here.
    within = 0.25 if parts is linearised.expected_calibration_error else 0.03
    assert found.std() / np.sqrt(60) == pytest.approx(jackknife, rel=within)
    if parts is not linearised.expected_calibration_error:
        assert np.corrcoef(found, -without)[0, 1] > 0.99


def test_the_auc_is_that_of_scikit_learn() -> None:
    up, p, ts = forecasts(20, 30)
    assert linearised.auc(up, np.round(p, 1), ts).mean() == pytest.approx(roc_auc_score(up, np.round(p, 1)))


def test_the_ratio_of_mean_to_deviation_varies_as_without_a_date() -> None:
    series = pd.Series(np.random.default_rng(4).gamma(2, 1, 200) - 1.5)  # skewed
    found = linearised.mean_to_deviation(series)
    assert found.mean() == pytest.approx(series.mean() / series.std())
    without = np.array([series.drop(at).mean() / series.drop(at).std() for at in series.index])
    jackknife = np.sqrt(199 / 200 * ((without - without.mean()) ** 2).sum())
    assert found.std() / np.sqrt(200) == pytest.approx(jackknife, rel=0.03)


def test_what_never_varies_has_no_ratio() -> None:
    assert linearised.mean_to_deviation(pd.Series(np.zeros(9))).isna().all()
