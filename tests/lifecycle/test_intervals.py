import numpy as np
import pandas as pd
import pytest

from ml.errors import TrainingError
from ml.lifecycle.intervals import calibrate, conformal_quantile, dispersion, typical


def oof(residuals: list[float], per_date: int, scale: float = 1.0) -> pd.DataFrame:
    ts = np.repeat(pd.date_range("2024-01-01", periods=len(residuals) // per_date, tz="UTC"), per_date)
    return pd.DataFrame({"ts": ts, "value": residuals, "expected": 0.0, "scale": scale})


def test_the_quantile_by_hand() -> None:
    # Of 9 residuals the ceil(10 x 0.8) = 8th smallest.
    assert conformal_quantile(np.array([9.0, 1, 8, 2, 7, 3, 6, 4, 5]), 0.8) == 8.0


def test_four_residuals_carry_eighty_percent_and_three_do_not() -> None:
    assert conformal_quantile(np.array([1.0, 2, 3, 4]), 0.8) == 4.0
    with pytest.raises(TrainingError, match="at least 4"):
        conformal_quantile(np.array([1.0, 2, 3]), 0.8)


def test_new_exchangeable_rows_are_covered_at_least_as_often_as_promised() -> None:
    rng = np.random.default_rng(0)
    covered = [rng.standard_exponential() <= conformal_quantile(rng.standard_exponential(19), 0.8) for _ in range(4000)]
    assert np.mean(covered) == pytest.approx(0.8, abs=0.025)


def test_measured_coverage_is_of_the_last_quarter_of_dates_only() -> None:
    # Eight dates of ten rows; the earlier six have residuals up to 1, the last two: half above.
    calm = list(np.linspace(0.1, 1.0, 10)) * 6
    wild = [0.5, 5.0] * 10
    interval = calibrate(oof(calm + wild, 10))
    assert interval.measured_coverage == 0.5
    assert interval.quantile >= 1.0
    assert interval.coverage == 0.8


def test_the_half_width_is_measured_in_units_of_scale() -> None:
    residuals = list(np.linspace(-1, 1, 40))
    assert calibrate(oof(residuals, 10, scale=0.5)).quantile == pytest.approx(
        2 * calibrate(oof(residuals, 10)).quantile
    )


def test_one_date_cannot_be_calibrated_and_checked() -> None:
    with pytest.raises(TrainingError, match="at least two"):
        calibrate(oof([0.1] * 10, 10))


def test_an_unusable_dispersion_falls_back_on_the_typical_one() -> None:
    column = np.array([1.0, np.nan, 3.0, 0.0, -2.0, np.inf, 2.0])
    assert typical(column) == 2.0
    np.testing.assert_array_equal(dispersion(column, 2.0), [1, 2, 3, 2, 2, 2, 2])
    assert typical(np.array([np.nan, 0.0])) == 1.0
