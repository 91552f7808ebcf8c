from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.equity.features.bars import Bars, Reals
from ml.equity.features.catalogue import DEFAULT_SET, Feature, FeatureSet
from ml.equity.features.compute import compute
from ml.frames import check_features
from tests.equity.lookahead import leaks
from tests.equity.panels import CALENDAR, bars_of, closes, random_bars, unadjusted

PANEL = unadjusted(random_bars(["AAA", "BBB", "CCC"], 320, seed=2))
COMPUTED = compute(PANEL, DEFAULT_SET, CALENDAR)
NAMES = DEFAULT_SET.names


def default(adjusted: pd.DataFrame) -> pd.DataFrame:
    return compute(adjusted, DEFAULT_SET, CALENDAR)


def of_symbol(frame: pd.DataFrame, symbol: str) -> pd.DataFrame:
    return frame[frame["entity"] == symbol].reset_index(drop=True)


def test_one_row_per_bar_keeps_the_contract() -> None:
    check_features(COMPUTED, NAMES)
    assert len(COMPUTED) == len(PANEL)
    assert not np.isinf(COMPUTED[list(NAMES)].to_numpy()).any()


@pytest.mark.parametrize("feature", DEFAULT_SET.features, ids=lambda feature: feature.name)
def test_a_feature_begins_exactly_when_its_lookback_is_full(feature: Feature) -> None:
    # Without idle days nothing but the lookback makes a value missing.
    lively = PANEL[PANEL["symbol"] == "AAA"].reset_index(drop=True)
    rng = np.random.default_rng(8)
    close = 50 * np.exp(np.cumsum(rng.normal(0, 0.02, len(lively))))
    lively = lively.assign(open=close * 1.001, high=close * 1.01, low=close * 0.98, close=close, volume=close * 1e4)
    values = default(lively)[feature.name]
    assert values.isna().tolist() == [t < feature.lookback - 1 for t in range(len(values))]


@pytest.mark.parametrize("feature", DEFAULT_SET.features, ids=lambda feature: feature.name)
def test_a_feature_keeps_its_valid_range_and_is_not_constant(feature: Feature) -> None:
    low, high = feature.valid_range
    values = COMPUTED[feature.name]
    assert low is None or values.min() >= low
    assert high is None or values.max() <= high
    if feature.name != "hammer":  # too rare for a small panel
        assert values.max() > values.min()


@pytest.mark.parametrize("seed", range(3))
def test_no_feature_sees_the_future_or_other_symbols(seed: int) -> None:
    panel = unadjusted(random_bars(["AAA", "BBB"], 300, seed=seed))
    assert leaks(default, panel, seed) == set()


@settings(max_examples=15, deadline=None)
@given(count=st.integers(12, 120), seed=st.integers(0, 10_000))
def test_no_feature_sees_the_future_in_short_histories(count: int, seed: int) -> None:
    assert leaks(default, unadjusted(random_bars(["AAA", "BBB"], count, seed)), seed, cuts=2) == set()


def tomorrow(bars: Bars) -> Reals:
    return np.append(bars.close[1:], np.nan) / bars.close


def whole_history_z(bars: Bars) -> Reals:
    return np.asarray((bars.close - bars.close.mean()) / bars.close.std())


def centred_mean(bars: Bars) -> Reals:
    return np.asarray(pd.Series(bars.close).rolling(5, center=True, min_periods=1).mean(), dtype=np.float64) * 0.1


def filled_backward(bars: Bars) -> Reals:
    return np.asarray(pd.Series(bars.log_return).bfill())


def one_bit_of_the_end(bars: Bars) -> Reals:
    return np.asarray(bars.close / bars.close[0] * (1.0 + 1e-6 * np.sign(bars.close[-1] - bars.close)))


@pytest.mark.parametrize("leak", [tomorrow, whole_history_z, centred_mean, filled_backward, one_bit_of_the_end])
def test_the_checker_catches_a_planted_leak(leak: object) -> None:
    planted = Feature(leak, (), "price", "planted", "leak", 1, "none")  # type: ignore[arg-type]
    tainted = replace(DEFAULT_SET, features=(*DEFAULT_SET.features[:3], planted))
    found = leaks(lambda adjusted: compute(adjusted, tainted, CALENDAR), PANEL, seed=1)
    assert found == {planted.name}


def test_the_checker_catches_a_value_taken_from_other_symbols() -> None:
    def ranked(adjusted: pd.DataFrame) -> pd.DataFrame:
        frame = default(adjusted)[["entity", "ts", "log_return_1"]]
        return frame.assign(rank=frame.groupby("ts")["log_return_1"].rank().astype("float32"))

    assert leaks(ranked, PANEL, seed=1) == {"rank"}


def test_the_checker_catches_a_shift_across_symbols() -> None:
    def careless(adjusted: pd.DataFrame) -> pd.DataFrame:
        frame = pd.DataFrame({"entity": adjusted["symbol"], "ts": adjusted["ts"]})
        return frame.assign(last=adjusted["close"].shift(1).astype("float32"))

    assert leaks(careless, PANEL, seed=1) == {"last"}


@pytest.mark.parametrize("factor", [2.0**-9, 1024.0])
def test_features_do_not_know_the_scale_of_prices(factor: float) -> None:
    scaled = PANEL.assign(**{column: PANEL[column] * factor for column in ("open", "high", "low", "close")})
    pd.testing.assert_frame_equal(default(scaled), COMPUTED, check_exact=False, rtol=1e-5, atol=1e-6)


def test_features_do_not_know_an_odd_scale_of_prices() -> None:
    # Prices that are not in cents: rounding after scaling may break ties between prices, which ADX and candles see.
    panel = unadjusted(random_bars(["AAA", "BBB"], 320, seed=2, digits=10))
    scaled = panel.assign(**{column: panel[column] * 0.7301 for column in ("open", "high", "low", "close")})
    pd.testing.assert_frame_equal(default(scaled), default(panel), check_exact=False, rtol=1e-4, atol=1e-5)


def test_prices_that_stand_still_give_numbers_or_nan_but_no_noise() -> None:
    still = default(unadjusted(bars_of(A=[0.1] * 300))).iloc[-1]
    for name in ("bollinger_position_20", "return_z_20", "skew_20", "autocorrelation_20", "vol_ratio_5_60"):
        assert np.isnan(still[name])
    for name in ("close_position", "efficiency_20", "dollar_volume_z_20"):
        assert np.isnan(still[name])
    for name in ("log_return_60", "vol_cc_20", "vol_parkinson_20", "vol_garman_klass_20", "run_length", "drawdown_252"):
        assert still[name] == 0


@pytest.mark.parametrize("count", [1, 2, 10])
def test_a_symbol_with_few_bars_has_rows_and_the_features_it_can_have(count: int) -> None:
    frame = default(unadjusted(random_bars(["A"], count)))
    assert len(frame) == count
    for feature in DEFAULT_SET.features:
        if feature.lookback > count:
            assert frame[feature.name].isna().all()
    assert frame["weekday"].notna().all()


def test_no_bars_give_an_empty_frame_of_the_right_form() -> None:
    nothing = PANEL.iloc[:0].reset_index(drop=True)
    assert check_features(default(nothing), NAMES).empty


def test_a_part_of_the_catalogue_gives_the_same_values() -> None:
    part = FeatureSet("part", 1, DEFAULT_SET.features[10:15])
    pd.testing.assert_frame_equal(compute(PANEL, part, CALENDAR), COMPUTED[["entity", "ts", *part.names]])


def test_rows_are_ordered_by_instant_then_symbol() -> None:
    assert COMPUTED["entity"].iloc[:4].tolist() == ["AAA", "BBB", "CCC", "AAA"]
    assert COMPUTED["ts"].iloc[:4].tolist() == [closes(1)[0]] * 3 + [closes(2)[1]]
