import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu, pearsonr, spearmanr

from ml.lifecycle import metrics

RNG = np.random.default_rng(5)
Y = RNG.random(400) < 0.4
P = np.round(RNG.uniform(0.05, 0.95, 400), 2)


def test_losses_by_hand() -> None:
    y, p = np.array([True, False, True, False]), np.array([0.8, 0.3, 0.5, 0.9])
    assert metrics.log_loss_rows(y, p) == pytest.approx([-math.log(q) for q in (0.8, 0.7, 0.5, 0.1)])
    assert metrics.brier_rows(y, p) == pytest.approx([0.04, 0.09, 0.25, 0.81])
    assert metrics.accuracy_rows(y, p).tolist() == [1.0, 1.0, 0.0, 0.0]


def test_auc_is_the_share_of_pairs_in_the_right_order() -> None:
    assert metrics.auc(Y, P) == pytest.approx(mannwhitneyu(P[Y], P[~Y]).statistic / (Y.sum() * (~Y).sum()))
    pairs = [(rise > fall) + 0.5 * (rise == fall) for rise in P[Y] for fall in P[~Y]]
    assert metrics.auc(Y, P) == pytest.approx(np.mean(pairs))


def test_certain_and_wrong_costs_a_finite_loss() -> None:
    assert metrics.log_loss_rows(np.array([True, False]), np.array([0.0, 1.0])) == pytest.approx(-np.log(1e-6))


def test_auc_of_one_class_is_undefined() -> None:
    assert np.isnan(metrics.auc(np.ones(3, bool), np.array([0.1, 0.2, 0.3])))


def test_dates_count_alike_however_many_rows_they_hold() -> None:
    ts = pd.DatetimeIndex(["2024-01-02", "2024-01-01", "2024-01-02", "2024-01-02"])
    means = metrics.per_date_mean(np.array([1.0, 5.0, 2.0, 3.0]), ts)
    assert means.tolist() == [5.0, 2.0]
    assert means.mean() == 3.5


def test_calibration_error_of_a_constant_forecast_is_its_distance_from_the_base_rate() -> None:
    up = np.array([True] * 30 + [False] * 70)
    assert metrics.expected_calibration_error(up, np.full(100, 0.5)) == pytest.approx(0.2)
    assert metrics.expected_calibration_error(up, np.full(100, 0.3)) == pytest.approx(0.0)


def test_calibration_error_by_hand_in_two_bins() -> None:
    up = np.array([True, False, True, True])
    # Bins {0.2, 0.4} and {0.6, 0.9}: |1 - 0.6| and |2 - 1.5| over four rows.
    assert metrics.expected_calibration_error(up, np.array([0.2, 0.4, 0.6, 0.9]), bins=2) == pytest.approx(0.9 / 4)


@given(st.integers(0, 10_000))
def test_information_coefficients_agree_with_scipy_on_every_date(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ts = np.repeat(pd.date_range("2024-01-01", periods=3).to_numpy("datetime64[us]"), [4, 9, 30])
    value, expected = rng.standard_normal(43), np.round(rng.standard_normal(43), 1)
    ic = metrics.information_coefficient(value, expected, ts)
    rank_ic = metrics.rank_information_coefficient(value, expected, ts)
    for i, date in enumerate(np.unique(ts)):
        on = ts == date
        if np.ptp(expected[on]) == 0:
            assert np.isnan(ic.iloc[i])
            continue
        assert ic.iloc[i] == pytest.approx(pearsonr(value[on], expected[on])[0])
        assert rank_ic.iloc[i] == pytest.approx(spearmanr(value[on], expected[on])[0])


def test_the_same_forecast_for_all_has_no_information_coefficient() -> None:
    ts = np.repeat(np.array(["2024-01-01"], "datetime64[us]"), 3)
    flat = np.full(3, 0.1)
    assert metrics.information_coefficient(np.array([1.0, 2.0, 3.0]), flat, ts).isna().all()
    assert metrics.rank_information_coefficient(np.array([1.0, 2.0, 3.0]), flat, ts).isna().all()


def test_scores_show_the_baseline_beside_the_model_and_leave_out_what_is_undefined() -> None:
    ts = pd.to_datetime(["2024-01-01", "2024-01-01", "2024-01-02"], utc=True).as_unit("us")
    oof = pd.DataFrame(
        {
            "entity": pd.array(["A", "B", "A"], dtype="str"),
            "ts": ts,
            "value": [1.0, 2.0, 3.0],
            "p_up": [0.9, 0.8, 0.4],
            "expected": [0.0, 0.0, 0.0],
            "scale": 1.0,
            "baseline_p_up": 0.5,
        }
    )
    found = metrics.scores(oof)
    assert found["n_dates"] == 2
    assert found["brier"] == pytest.approx((np.mean([0.01, 0.04]) + 0.36) / 2)
    assert found["baseline_brier"] == pytest.approx(0.25)
    assert found["baseline_log_loss"] == pytest.approx(np.log(2))
    assert found["accuracy"] == pytest.approx(0.5)
    assert not {"auc", "ic", "rank_ic"} & set(found)
