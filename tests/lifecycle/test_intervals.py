import json

import numpy as np
import pandas as pd
import pytest

from ml.errors import TrainingError
from ml.estimators.interface import Vector
from ml.lifecycle.intervals import (
    COVERAGES,
    GRID,
    Intervals,
    calibrate,
    calibrate_adaptively,
    conformal_quantile,
    dispersion,
    typical,
)
from ml.lifecycle.metrics import date_weights
from ml.lifecycle.significance import standard_error

DAY = np.timedelta64(1, "D")


def oof(residuals: Vector, scale: float = 1.0) -> pd.DataFrame:
    """What of an OUT_OF_FOLD frame counts here. residuals: (dates, rows of each)."""
    ts = np.repeat(pd.date_range("2024-01-01", periods=len(residuals), tz="UTC"), residuals.shape[1])
    return pd.DataFrame({"ts": ts, "value": residuals.ravel(), "expected": 0.0, "scale": scale})


def known(frame: pd.DataFrame, horizon: int) -> np.ndarray:
    return frame["ts"].to_numpy("datetime64[us]") + horizon * DAY


def draw(dates: int, rows: int = 30, *, seed: int = 0, common: float = 0.5) -> Vector:
    """Normal residuals of variance 1, of which all rows of a date share a part."""
    rng = np.random.default_rng(seed)
    shared = rng.standard_normal((dates, 1))
    own = rng.standard_normal((dates, rows))
    return np.asarray(np.sqrt(common) * shared + np.sqrt(1 - common) * own)


def test_the_quantile_by_hand() -> None:
    # Of 9 residuals the ceil(10 x 0.8) = 8th smallest.
    assert conformal_quantile(np.array([9.0, 1, 8, 2, 7, 3, 6, 4, 5]), 0.8) == 8.0


def test_the_quantile_of_dates_by_hand() -> None:
    # Four dates and the one to come: 80 % are all four. 60 % are three: (1, 2, 3) all, half of (4, 5), half of (0, 6).
    residuals, date = np.array([1.0, 2, 3, 4, 5, 0, 6, 7]), np.array([0, 0, 0, 1, 1, 2, 2, 3])
    weight = date_weights(date.astype("datetime64[us]"))
    assert weight.tolist() == pytest.approx([1 / 3] * 3 + [0.5] * 4 + [1])
    assert conformal_quantile(residuals, 0.8, weight) == 7.0
    assert conformal_quantile(residuals, 0.6, weight) == 6.0
    assert conformal_quantile(residuals, 0.4, weight) == 4.0


def test_four_dates_carry_eighty_percent_and_three_do_not() -> None:
    assert conformal_quantile(np.array([1.0, 2, 3, 4]), 0.8) == 4.0
    with pytest.raises(TrainingError, match="at least 4"):
        conformal_quantile(np.array([1.0, 2, 3]), 0.8)
    with pytest.raises(TrainingError, match="0 out-of-fold dates"):
        conformal_quantile(np.empty(0), 0.8)


def test_new_exchangeable_rows_are_covered_at_least_as_often_as_promised() -> None:
    rng = np.random.default_rng(0)
    covered = [rng.standard_exponential() <= conformal_quantile(rng.standard_exponential(19), 0.8) for _ in range(4000)]
    assert np.mean(covered) == pytest.approx(0.8, abs=0.025)


def test_new_exchangeable_dates_are_covered_however_many_rows_they_hold() -> None:
    """A third of the dates hold few rows and wild ones; pooled rows hardly see them, and cover too little."""
    rng = np.random.default_rng(1)
    by_date, pooled = [], []
    for _ in range(600):
        wild = rng.random(41) < 0.33
        rows = [(5.0 if w else 1.0) * rng.standard_normal(3 if w else 30) for w in wild]
        *seen, new = rows
        residuals = np.concatenate(seen)
        weight = np.concatenate([np.full(len(r), 1 / len(r)) for r in seen])
        by_date.append(np.mean(new <= conformal_quantile(residuals, 0.8, weight)))
        pooled.append(np.mean(new <= conformal_quantile(residuals, 0.8)))
    error = np.std(by_date) / np.sqrt(len(by_date))
    assert 0.8 - 2 * error < np.mean(by_date) < 0.8 + 0.03 + 2 * error
    assert np.mean(pooled) < 0.77


def test_measured_coverage_is_of_the_last_quarter_of_dates_only() -> None:
    calm = np.tile(np.linspace(-1, 1, 10), (60, 1))
    wild = np.tile([0.5, 5.0] * 5, (20, 1))
    intervals = calibrate(oof(np.vstack([calm, wild])))
    assert intervals.measured == pytest.approx((0.5, 0.5))
    assert intervals.coverages == (0.8, 0.95)


def test_bounds_are_the_quantiles_of_signed_residuals() -> None:
    skewed = np.random.default_rng(2).standard_exponential((4000, 1)) - 1
    intervals = calibrate(oof(skewed))
    quantiles = -np.log1p(-np.array([0.1, 0.025, 0.9, 0.975])) - 1
    assert [*intervals.lower, *intervals.upper] == pytest.approx(quantiles, abs=0.2)
    assert intervals.lower[0] == pytest.approx(quantiles[0], abs=0.02)


def test_bounds_are_measured_in_units_of_scale_and_put_around_the_expected_value() -> None:
    residuals = draw(60)
    wide, narrow = calibrate(oof(residuals)), calibrate(oof(residuals, scale=2.0))
    assert [2 * bound for bound in narrow.upper] == pytest.approx(wide.upper)
    expected, scale = np.array([0.0, 1.0]), np.array([1.0, 3.0])
    columns = wide.around(expected, scale)
    assert list(columns) == ["lower", "upper", "lower_95", "upper_95"]
    np.testing.assert_array_equal(columns["upper"], [wide.upper[0], 1 + 3 * wide.upper[0]])
    np.testing.assert_array_equal(columns["lower_95"], [wide.lower[1], 1 + 3 * wide.lower[1]])
    assert (columns["lower_95"] <= columns["lower"]).all()
    assert (columns["upper"] <= columns["upper_95"]).all()


def test_the_expected_value_lies_in_its_interval_even_when_it_was_always_too_low() -> None:
    intervals = calibrate(oof(np.abs(draw(60)) + 1))
    assert intervals.lower == (0.0, 0.0)


def test_the_share_of_residuals_above() -> None:
    intervals = calibrate(oof(np.tile(np.linspace(-1, 1, 201), (60, 1))))
    assert len(intervals.residuals) == GRID
    at = np.array([-9, -1, -0.5, 0, 0.5, 1.01, 9])
    assert intervals.share_above(at) == pytest.approx([1, 1, 0.75, 0.5, 0.25, 0, 0], abs=0.01)


@pytest.mark.parametrize("dates", [1, 50])
def test_too_few_dates_are_refused(dates: int) -> None:
    with pytest.raises(TrainingError, match="out-of-fold dates"):
        calibrate(oof(draw(dates)))


def test_fifty_one_dates_carry_both_coverages_and_their_measure() -> None:
    calibrate(oof(draw(51)))


@pytest.mark.parametrize("horizon", [1, 5])
def test_coverage_on_later_dependent_dates_is_within_its_standard_error(horizon: int) -> None:
    """Volatility in clusters that the scale knows, a common factor, and labels that overlap."""
    rng = np.random.default_rng(3)
    volatility = np.exp(0.1 * np.cumsum(rng.standard_normal(1600)) / np.sqrt(1 + 0.01 * np.arange(1600)))
    daily = draw(1600 + horizon, seed=4)
    values = sum(daily[k : 1600 + k] for k in range(horizon)) * volatility[:, None]
    frame = oof(np.asarray(values)).assign(scale=np.repeat(volatility, 30))
    intervals = calibrate(frame)
    late = frame[frame["ts"] >= frame["ts"].iloc[1200 * 30]]
    for coverage, measured in zip(COVERAGES, intervals.measured, strict=True):
        limit = conformal_quantile(np.abs(late["value"] / late["scale"]).to_numpy(), coverage)
        inside = (np.abs(late["value"] / late["scale"]) <= limit).to_numpy().reshape(400, 30).mean(axis=1)
        assert abs(measured - coverage) < 3 * standard_error(inside, horizon) + 0.01


def jump() -> Vector:
    """From the middle on, residuals are twice as wide: the scale did not see it coming."""
    return np.vstack([draw(400, common=0.2), 2 * draw(400, seed=1, common=0.2)])


@pytest.mark.parametrize("horizon", [1, 20])
def test_adaptive_bounds_regain_the_coverage_after_a_jump_of_volatility(horizon: int) -> None:
    frame = oof(jump())
    split, adaptive = calibrate(frame), calibrate_adaptively(frame, known(frame, horizon))
    assert split.measured[0] < 0.75
    assert adaptive.measured == pytest.approx(tuple(COVERAGES), abs=0.03)
    assert adaptive.upper[0] > split.upper[0], "the nights to come are told of it"


@pytest.mark.parametrize("horizon", [1, 20])
def test_where_nothing_changes_adaptive_bounds_are_those_of_split(horizon: int) -> None:
    frame = oof(draw(800, common=0.2))
    split, adaptive = calibrate(frame), calibrate_adaptively(frame, known(frame, horizon))
    assert adaptive.measured == pytest.approx(tuple(COVERAGES), abs=0.03)
    np.testing.assert_allclose(adaptive.upper, split.upper, rtol=0.15)


def test_an_error_is_known_only_when_it_has_matured() -> None:
    """Nothing of the wild half matures within the history, so no date's bounds may have learned from it."""
    residuals = jump()
    frame = oof(residuals)
    never = np.where(np.arange(800).repeat(30) < 400, known(frame, 1), np.datetime64("2100-01-01", "us"))
    calm = residuals[:400].ravel()
    weight = np.full(calm.size, 1 / 30)
    expected = []
    for coverage in COVERAGES:
        level = 1 - (1 - coverage) / 2
        lower, upper = -conformal_quantile(-calm, level, weight), conformal_quantile(calm, level, weight)
        expected.append(np.mean((residuals[600:] >= lower) & (residuals[600:] <= upper)))
    # Within the calm half levels have moved a little.
    assert calibrate_adaptively(frame, never).measured == pytest.approx(expected, abs=0.02)
    with pytest.raises(TrainingError, match="0 out-of-fold dates"):
        calibrate_adaptively(frame, np.full(len(frame), np.datetime64("2100-01-01", "us")))


@pytest.mark.parametrize("adaptive", [False, True])
def test_intervals_survive_json(adaptive: bool) -> None:
    frame = oof(draw(80))
    intervals = calibrate_adaptively(frame, known(frame, 1)) if adaptive else calibrate(frame)
    again = Intervals.from_document(json.loads(json.dumps(intervals.to_document(), allow_nan=False)))
    assert again == intervals
    assert again.method == ("adaptive" if adaptive else "split")


def test_an_unusable_dispersion_falls_back_on_the_typical_one() -> None:
    column = np.array([1.0, np.nan, 3.0, 0.0, -2.0, np.inf, 2.0])
    assert typical(column) == 2.0
    np.testing.assert_array_equal(dispersion(column, 2.0), [1, 2, 3, 2, 2, 2, 2])
    assert typical(np.array([np.nan, 0.0])) == 1.0
