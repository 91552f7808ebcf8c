from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.equity.features import panel as layout
from ml.equity.features.alpha158 import ALPHA158
from ml.equity.features.catalogue import DEFAULT_SET, Feature, FeatureSet
from ml.equity.features.compute import compute
from ml.equity.features.kernels.lanes import LANES, NOWHERE
from ml.equity.features.panel import Panel
from ml.frames import check_features
from tests.equity.panels import CALENDAR, bars_of, closes, random_bars, sectors_of, unadjusted

PANEL = unadjusted(random_bars([f"S{i:02d}" for i in range(8)], 420, seed=2))
COMPUTED = compute(PANEL, DEFAULT_SET, CALENDAR, sector=sectors_of(PANEL))
NAMES = DEFAULT_SET.names
RARE = {"hammer", "shooting_star", "marubozu"}


def default(adjusted: pd.DataFrame) -> pd.DataFrame:
    return compute(adjusted, DEFAULT_SET, CALENDAR, sector=sectors_of(adjusted))


def lively(symbols: int = 4, count: int = 300) -> pd.DataFrame:
    """Bars that move on every day, so that nothing but the lookback makes a value missing."""
    rng = np.random.default_rng(8)
    panel = unadjusted(random_bars([f"S{i}" for i in range(symbols)], count + 7 * symbols, seed=3))
    panel = panel.groupby("symbol").head(count).reset_index(drop=True)
    close = 50 * np.exp(np.cumsum(rng.normal(0, 0.02, len(panel))))
    noise = rng.uniform(0.01, 0.03, (3, len(panel)))
    moves = {"open": close * (1.01 - noise[0]), "high": close * (1 + noise[1]), "low": close * (1 - noise[2])}
    return panel.assign(**moves, close=close, volume=np.floor(close * 1e4), raw_close=close)


LIVELY = {one.name: compute(lively(), one, CALENDAR, sector=sectors_of(lively())) for one in (DEFAULT_SET, ALPHA158)}


def test_one_row_per_bar_keeps_the_contract() -> None:
    check_features(COMPUTED, NAMES)
    assert len(COMPUTED) == len(PANEL)
    assert not np.isinf(COMPUTED[list(NAMES)].to_numpy()).any()


@pytest.mark.parametrize(
    ("feature_set", "feature"),
    [(one.name, feature) for one in (DEFAULT_SET, ALPHA158) for feature in one.features],
    ids=lambda one: getattr(one, "name", one),
)
def test_a_feature_begins_exactly_when_its_lookback_is_full(feature_set: str, feature: Feature) -> None:
    frame = LIVELY[feature_set]
    values = frame.loc[frame["entity"] == "S1", feature.name]
    assert values.isna().tolist() == [t < feature.lookback - 1 for t in range(len(values))]


@pytest.mark.parametrize("feature", DEFAULT_SET.features, ids=lambda feature: feature.name)
def test_a_feature_keeps_its_valid_range_and_is_not_constant(feature: Feature) -> None:
    low, high = feature.valid_range
    values = COMPUTED[feature.name]
    assert low is None or values.min() >= low
    assert high is None or values.max() <= high
    assert values.max() > values.min() or feature.name in RARE


@pytest.mark.parametrize("factor", [2.0**-9, 1024.0])
def test_features_do_not_know_the_scale_of_prices(factor: float) -> None:
    scaled = PANEL.assign(**{column: PANEL[column] * factor for column in ("open", "high", "low", "close")})
    pd.testing.assert_frame_equal(default(scaled), COMPUTED, check_exact=False, rtol=1e-5, atol=1e-6)


def test_features_do_not_know_an_odd_scale_of_prices() -> None:
    # Prices that are not in cents: rounding after scaling may break ties between prices, which candles see.
    panel = lively(2)
    scaled = panel.assign(**{column: panel[column] * 0.7301 for column in ("open", "high", "low", "close")})
    pd.testing.assert_frame_equal(default(scaled), default(panel), check_exact=False, rtol=1e-4, atol=1e-5)


def test_prices_that_stand_still_give_numbers_or_nan_but_no_noise() -> None:
    still = default(unadjusted(bars_of(A=[0.1] * 300, B=[float(i + 9) for i in range(300)]))).iloc[-2]
    for name in ("bollinger_position_20", "return_z_20", "skew_20", "autocorrelation_20_1", "vol_ratio_5_60"):
        assert np.isnan(still[name]), name
    for name in ("close_position", "efficiency_20", "dollar_volume_z_20", "rsi_14", "adx_14", "trend_fit_20"):
        assert np.isnan(still[name]), name
    for name in ("log_return_60", "vol_cc_20", "vol_parkinson_20", "vol_garman_klass_20", "run_length_10"):
        assert still[name] == 0, name
    for name in ("drawdown_252", "trend_slope_20", "macd_12_26", "average_true_range_14", "sma_distance_20"):
        assert still[name] == 0, name


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
    part = FeatureSet("part", 1, DEFAULT_SET.features[5:186:9])
    got = compute(PANEL, part, CALENDAR, sector=sectors_of(PANEL))
    pd.testing.assert_frame_equal(got, COMPUTED[["entity", "ts", *part.names]])


@pytest.mark.parametrize("most", [-1.0, 0.0, 1.0], ids=["each alone", "of one length", "all together"])
def test_values_do_not_depend_on_who_is_computed_beside_whom(monkeypatch: pytest.MonkeyPatch, most: float) -> None:
    monkeypatch.setattr(layout, "MOST_PADDING", most)
    pd.testing.assert_frame_equal(default(PANEL), COMPUTED)


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(1, 60)), min_size=1, max_size=100), st.sampled_from([0.0, 0.25])
)
def test_every_bar_has_one_place_and_few_places_are_empty(histories: list[tuple[int, int]], most: float) -> None:
    """histories: of each symbol the index of its first bar here, and how many there are."""
    names = [f"S{i:03d}" for i in range(len(histories))]
    symbol = pd.Series(np.repeat(names, [bars for _, bars in histories]))
    session = np.concatenate([np.arange(age, age + bars) for age, bars in histories])
    panel = Panel.of(symbol, session, pd.Series([age for age, _ in histories], index=names))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "MOST_PADDING", most)
        groups = list(panel.groups())
    chunks = [panel.chunk(group) for group in groups]
    rows = np.concatenate([chunk.rows[chunk.rows != NOWHERE] for chunk in chunks])
    assert sorted(rows) == list(range(len(symbol)))
    for group, chunk in zip(groups, chunks, strict=True):
        used = chunk.rows[:, : len(group)]
        assert len(group) <= LANES
        assert (used == NOWHERE).mean() <= most
        assert (chunk.rows[:, len(group) :] == NOWHERE).all()
        place = np.argwhere(chunk.rows != NOWHERE)
        assert (session[chunk.rows[tuple(place.T)]] == chunk.age + place[:, 0]).all()


def test_one_formula_under_two_names_gives_two_equal_columns() -> None:
    twice = tuple(Feature(name, "cs_rank(ret)", "price", "", "") for name in ("one", "other"))
    frame = compute(PANEL, FeatureSet("twice", 1, twice), CALENDAR)
    assert frame["one"].notna().any()
    pd.testing.assert_series_equal(frame["one"], frame["other"], check_names=False)


def test_rows_are_ordered_by_instant_then_symbol() -> None:
    assert COMPUTED["entity"].iloc[:9].tolist() == [*(f"S{i:02d}" for i in range(8)), "S00"]
    assert COMPUTED["ts"].iloc[:9].tolist() == [closes(1)[0]] * 8 + [closes(2)[1]]


def test_without_sectors_the_features_by_sector_are_missing_and_all_others_the_same() -> None:
    frame = compute(PANEL, DEFAULT_SET, CALENDAR)
    by_sector = [feature.name for feature in DEFAULT_SET.features if "sector" in feature.inputs]
    assert by_sector == [feature.name for feature in DEFAULT_SET.features if feature.category == "sector"]
    assert frame[by_sector].isna().all(axis=None)
    pd.testing.assert_frame_equal(frame.drop(columns=by_sector), COMPUTED.drop(columns=by_sector))
