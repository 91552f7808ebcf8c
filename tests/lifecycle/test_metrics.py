import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu, pearsonr, spearmanr
from sklearn.calibration import calibration_curve
from sklearn.metrics import f1_score, precision_score, recall_score, roc_auc_score

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
    assert metrics.auc(Y, P) == pytest.approx(roc_auc_score(Y, P))
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


def test_calibration_error_agrees_with_scikit_learn_in_bins_of_equal_count() -> None:
    p = np.random.default_rng(6).permutation(np.linspace(0.05, 0.95, 400))
    rose, said = calibration_curve(Y, p, n_bins=10, strategy="quantile")
    assert metrics.expected_calibration_error(Y, p) == pytest.approx(np.abs(rose - said).mean())
    assert np.bincount(metrics.calibration_bins(p)).tolist() == [40] * 10


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


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([0.1, 0.5, 0.50001, 0.9])), min_size=1, max_size=30))
def test_precision_recall_and_f1_agree_with_scikit_learn(rows: list[tuple[bool, float]]) -> None:
    y, p = np.array([up for up, _ in rows]), np.array([q for _, q in rows])
    for own, reference in (
        (metrics.precision, precision_score),
        (metrics.recall, recall_score),
        (metrics.f1, f1_score),
    ):
        assert own(y, p) == pytest.approx(reference(y, p > 0.5, zero_division=np.nan), nan_ok=True)


def test_precision_without_a_call_and_recall_without_a_rise_are_undefined() -> None:
    rises, falls, low, high = np.ones(3, bool), np.zeros(3, bool), np.full(3, 0.5), np.full(3, 0.6)
    assert np.isnan(metrics.precision(rises, low))
    assert (metrics.recall(rises, low), metrics.f1(rises, low)) == (0.0, 0.0)
    assert np.isnan(metrics.recall(falls, high))
    assert (metrics.precision(falls, high), metrics.f1(falls, high)) == (0.0, 0.0)
    assert np.isnan(metrics.f1(falls, low))


def dates(*counts: int) -> pd.DatetimeIndex:
    """Consecutive days, each repeated so often."""
    return pd.date_range("2024-01-01", periods=len(counts), tz="UTC").repeat(list(counts))


def test_dates_that_can_be_ranked() -> None:
    value = np.array([1.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0])
    assert metrics.has_ranks(value, dates(2, 3, 3)).tolist() == [False, False, True]


def test_icir_by_hand() -> None:
    # Mean 0.02, deviations -0.02, 0, 0.02.
    ic = pd.Series([0.0, 0.02, float("nan"), 0.04])
    assert metrics.icir(ic) == pytest.approx(0.02 / 0.02)
    assert np.isnan(metrics.icir(pd.Series([0.1, float("nan")])))
    assert np.isnan(metrics.icir(np.full(5, 0.1)))


def test_the_tenths_weigh_one_unit_each() -> None:
    ts = dates(20, 5)
    expected = np.r_[np.arange(20.0), [3.0, 1.0, 2.0, 5.0, 4.0]]
    weights = metrics.decile_weights(expected, ts)
    assert weights.tolist() == [-0.5, -0.5, *[0.0] * 16, 0.5, 0.5, 0.0, -1.0, 0.0, 1.0, 0.0]


def test_rows_that_tie_for_the_last_places_of_a_tenth_share_them() -> None:
    # 20 rows, so two places: one is taken by the 9, four rows tie for the other.
    expected = np.r_[[9.0, 8.0, 8.0, 8.0, 8.0], np.arange(15.0) / 10]
    assert metrics.decile_weights(expected, dates(20))[:5].tolist() == [0.5, *[0.125] * 4]


@pytest.mark.parametrize("count", [1, 7, 20])
def test_the_same_forecast_for_all_holds_nothing(count: int) -> None:
    ts = dates(count)
    assert not metrics.decile_weights(np.full(count, 0.1), ts).any()
    assert metrics.portfolio_returns(
        np.arange(float(count)), metrics.decile_weights(np.full(count, 0.1), ts), ts
    ).tolist() == [0.0]


@given(st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=25), min_size=1, max_size=5), st.integers(0, 99))
def test_weights_are_balanced_and_the_same_in_any_order(said: list[list[int]], seed: int) -> None:
    ts, expected = dates(*map(len, said)), np.array([float(x) for date in said for x in date])
    weights = metrics.decile_weights(expected, ts)
    order = np.random.default_rng(seed).permutation(len(ts))
    np.testing.assert_allclose(metrics.decile_weights(expected[order], ts[order]), weights[order])
    for _, own in pd.Series(weights).groupby(ts):
        assert own.sum() == pytest.approx(0, abs=1e-12)
        assert own[own > 0].sum() <= 1 + 1e-12
    # Without ties in the tenths they hold one unit on each side.
    strict = metrics.decile_weights(np.arange(float(len(ts))), ts)
    for _, own in pd.Series(strict).groupby(ts):
        assert own[own > 0].sum() == pytest.approx(1.0 if len(own) > 1 else 0.0)


def test_top_minus_bottom_is_the_difference_of_two_means() -> None:
    rng = np.random.default_rng(3)
    ts, value, expected = dates(37, 50), rng.standard_normal(87), rng.standard_normal(87)
    found = metrics.portfolio_returns(value, metrics.decile_weights(expected, ts), ts)
    for day, places in zip(ts.unique(), (3, 5), strict=True):
        order = value[ts == day][np.argsort(expected[ts == day])]
        assert found[day] == pytest.approx(order[-places:].mean() - order[:places].mean())


def test_turnover_by_hand() -> None:
    entity = np.array(["A", "B", "C"] * 4, dtype=object)
    # Long A short C; the same; long C short A; long B short A.
    expected = np.array([3.0, 2.0, 1.0, 3.0, 2.0, 1.0, 1.0, 2.0, 3.0, 1.0, 3.0, 2.0])
    ts = dates(3, 3, 3, 3)
    weights = metrics.decile_weights(expected, ts)
    assert metrics.portfolio_turnover(entity, weights, ts, 1).tolist() == [2.0, 0.0, 4.0, 2.0]
    # Two sessions ahead, the third date's money is that of the first, the fourth's that of the second.
    assert metrics.portfolio_turnover(entity, weights, ts, 2).tolist() == [2.0, 2.0, 4.0, 4.0]


def test_whoever_leaves_is_sold_and_whoever_comes_is_bought() -> None:
    entity = np.array(["A", "B", "B", "C"], dtype=object)
    weights = metrics.decile_weights(np.array([1.0, 2.0, 2.0, 1.0]), dates(2, 2))
    turnover = metrics.portfolio_turnover(entity, weights, dates(2, 2), 1)
    # Long B throughout; A's short is bought back, C's begun.
    assert turnover.tolist() == [2.0, 2.0]


def test_costs_are_paid_on_everything_traded() -> None:
    days = pd.date_range("2024-01-01", periods=2)
    net = metrics.net_of_costs(pd.Series([0.01, 0.0], days), pd.Series([2.0, 4.0], days), cost_bps=5)
    assert net.tolist() == pytest.approx([0.01 - 0.001, -0.002])


def test_sharpe_ratio_by_hand() -> None:
    returns = np.array([0.01, 0.03])  # mean 0.02, deviation 0.01 sqrt(2)
    assert metrics.sharpe_ratio(returns, 1, 252) == pytest.approx(0.02 / (0.01 * math.sqrt(2)) * math.sqrt(252))
    assert metrics.sharpe_ratio(returns, 4, 252) == pytest.approx(metrics.sharpe_ratio(returns, 1, 252) / 2)
    assert np.isnan(metrics.sharpe_ratio(np.array([0.01]), 1, 252))
    assert np.isnan(metrics.sharpe_ratio(np.full(9, 0.01), 1, 252))


def test_the_overlap_of_returns_does_not_change_the_sharpe_ratio() -> None:
    daily = np.random.default_rng(2).normal(0.001, 0.01, 200_000)
    weekly = np.lib.stride_tricks.sliding_window_view(daily, 5).sum(axis=1)
    assert metrics.sharpe_ratio(weekly, 5, 252) == pytest.approx(metrics.sharpe_ratio(daily, 1, 252), rel=0.02)


def test_maximum_drawdown_by_hand() -> None:
    # Wealth 1, 1.5, 0.75, 0.9, 1.8: down by half from 1.5.
    assert metrics.maximum_drawdown(np.array([0.5, -0.5, 0.2, 1.0]), 1) == pytest.approx(0.5)
    # Half of it in each of two portfolios: 1, 1.25, 0.9375...
    assert metrics.maximum_drawdown(pd.Series([0.5, -0.5, 0.2, 1.0]), 2) == pytest.approx(0.25)
    assert metrics.maximum_drawdown(np.array([-0.1]), 1) == pytest.approx(0.1)
    assert metrics.maximum_drawdown(np.array([0.1, 0.1]), 1) == 0.0
    assert np.isnan(metrics.maximum_drawdown(np.empty(0), 1))
