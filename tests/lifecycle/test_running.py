"""The running band of a comparison against the gate's own test and against simulated truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t as student_t

from ml.lifecycle.running import MOST_PLACES, running_band, running_mean
from ml.lifecycle.significance import ewc_test


def differences(dates: int, seed: int, mean: float = 0.0) -> np.ndarray:
    return mean + np.random.default_rng(seed).normal(size=dates)


@pytest.mark.parametrize("horizon", [1, 5, 20])
def test_the_last_point_is_what_the_gate_says(horizon: int) -> None:
    d = differences(504, 1, 0.02)
    test, band = ewc_test(d, horizon), running_band(d, horizon)
    quantile = student_t.ppf(0.975, test.dof)
    assert running_mean(d)[-1] == pytest.approx(test.mean)
    assert band.places[-1] == 503
    assert band.lower[-1] == pytest.approx(test.mean - quantile * test.std_error)
    assert band.upper[-1] == pytest.approx(test.mean + quantile * test.std_error)


def test_each_point_knows_only_the_dates_before_it() -> None:
    d = differences(300, 2)
    changed = np.concatenate([d[:200], d[200:] + 100.0])
    before, after = running_band(d, 1), running_band(changed, 1)
    early = before.places < 200
    assert np.array_equal(before.places, after.places)
    assert np.array_equal(before.lower[early], after.lower[early])
    assert not np.any(before.lower[~early] == after.lower[~early])


@pytest.mark.parametrize(("dates", "horizon", "first"), [(252, 1, 59), (252, 20, 119), (59, 1, None), (119, 20, None)])
def test_it_begins_where_the_test_may_be_made(dates: int, horizon: int, first: int | None) -> None:
    places = running_band(differences(dates, 3), horizon).places
    assert (places[0] if places.size else None) == first


def test_many_years_have_no_more_places_than_a_plot_can_show() -> None:
    band = running_band(differences(5_000, 4), 1)
    assert band.places.size == MOST_PLACES
    assert band.places[-1] == 4_999


def test_the_band_holds_the_truth_as_often_as_it_says() -> None:
    held = []
    for seed in range(400):
        band = running_band(differences(252, seed, 0.1), 1)
        held.append(band.lower[-1] < 0.1 < band.upper[-1])
    assert 0.92 < np.mean(held) < 0.98
