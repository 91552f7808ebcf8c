from functools import cache

import numpy as np
import pandas as pd
import pytest

from ml.domain import Target
from ml.equity import sessions
from ml.equity.adjustment import adjust, unusable_actions
from ml.equity.features.catalogue import DEFAULT_SET
from ml.equity.features.compute import compute
from ml.equity.features.feature import FeatureSet
from ml.equity.labels import labels
from ml.frames import ACTIONS, BARS
from ml.lifecycle.metrics import information_coefficient
from ml.lifecycle.significance import ewc_test
from tests.study.market import WINDOW, Market, simulate
from tests.study.returns import CALENDAR, Kind, Plant

SYMBOLS, SESSIONS = 150, 1000


@cache
def market(kind: Kind = "row", horizon: int = 1, ic: float = 0.0) -> Market:
    return simulate(Plant(ic, horizon, kind), 5, SYMBOLS, SESSIONS)


def adjusted(found: Market) -> pd.DataFrame:
    return adjust(found.bars, found.actions, CALENDAR)


def ic_by_date(found: Market, horizon: int, seen: np.ndarray) -> np.ndarray:
    """Of `seen`, one value per bar, with the labels that the product makes of the bars; NaN values are left out."""
    bars = adjusted(found)
    made = labels(bars, (Target("equity", "h", horizon),), CALENDAR)
    rows = pd.DataFrame({"entity": bars["symbol"], "ts": bars["ts"], "seen": seen}).dropna()
    both = made.merge(rows, on=["entity", "ts"])
    return np.asarray(information_coefficient(both["value"].to_numpy(), both["seen"].to_numpy(), both["ts"]))


@pytest.mark.parametrize("horizon", [1, 5, 20])
@pytest.mark.parametrize("kind", ["row", "regime_sign"])
def test_the_mean_ic_with_the_products_labels_is_the_dial(kind: Kind, horizon: int) -> None:
    noise = market(kind, horizon)
    luck = ic_by_date(noise, horizon, noise.signal)
    assert abs(ewc_test(luck, horizon).statistic) < 3
    for ic in (0.03, 0.1):
        planted = market(kind, horizon, ic)
        found = ic_by_date(planted, horizon, planted.signal)
        test = ewc_test(found, horizon)
        assert abs(test.mean - ic) < 3 * test.std_error
        # The same market without the drift has the same luck; what is left is the dial.
        assert np.mean(found - luck) == pytest.approx(ic, rel=0.05)


def test_the_signal_of_a_row_is_what_a_feature_of_the_product_shows() -> None:
    found = market("row", 5, 0.1)
    ratio = next(feature for feature in DEFAULT_SET.features if feature.name == "volume_ratio_20")
    features = compute(adjusted(found), FeatureSet("one", 1, (ratio,)), CALENDAR)
    seen = found.bars[["symbol", "ts"]].assign(signal=found.signal).rename(columns={"symbol": "entity"})
    both = features.merge(seen, on=["entity", "ts"]).dropna()
    assert len(both) == np.isfinite(found.signal).sum() == np.isfinite(features["volume_ratio_20"]).sum()
    shown = np.log(both["volume_ratio_20"].to_numpy(dtype=np.float64))
    # By date the one is a straight line of the other.
    assert information_coefficient(shown, both["signal"].to_numpy(), both["ts"]).min() > 0.999_999


def test_a_regimes_sign_shows_in_the_markets_volatility_and_volume_alone_tells_nothing() -> None:
    found, noise = market("regime_sign", 5, 0.1), market("regime_sign", 5)
    surge = found.signal * np.where(found.calm, 1.0, -1.0)
    gained = np.mean(ic_by_date(found, 5, surge) - ic_by_date(noise, 5, surge))
    assert abs(gained) < 0.015
    returns = adjusted(found).groupby("symbol")["close"].pct_change()
    by_date = returns.groupby(found.bars["ts"]).mean().rolling(20).std()
    calm = pd.Series(found.calm).groupby(found.bars["ts"]).first()
    assert (by_date[calm] < by_date.median()).mean() > 0.75
    assert (by_date[~calm] > by_date.median()).mean() > 0.75


def test_bars_and_actions_keep_their_contracts_and_prices_their_order() -> None:
    found = market("row", 5, 0.1)
    bars = BARS.check(found.bars)
    ACTIONS.check(found.actions)
    assert (bars["low"] <= bars[["open", "close"]].min(axis=1)).all()
    assert (bars["high"] >= bars[["open", "close"]].max(axis=1)).all()
    assert (bars[["low", "volume"]] > 0).all(axis=None)
    assert np.isfinite(bars[["high", "volume"]]).all(axis=None)
    assert len(found.signal) == len(found.calm) == len(bars)


def test_nights_have_gaps_and_volume_goes_with_volatility() -> None:
    bars = adjusted(market())
    by_symbol = bars.groupby("symbol")
    before = by_symbol["close"].shift()
    gap, day = bars["open"] / before - 1, bars["close"] / before - 1
    assert 0.1 < gap.var() / day.var() < 0.5
    assert 0.3 < gap.corr(day) < 0.95
    ratio = bars["volume"] / by_symbol["volume"].transform("mean")
    assert ratio.corr(day.abs()) > 0.2


def test_splits_jump_in_raw_prices_and_adjust_back_to_a_continuous_price() -> None:
    found = market()
    assert len(found.actions) > 50
    assert set(found.actions["kind"]) == {"split"}
    assert unusable_actions(found.bars, found.actions, CALENDAR).empty
    keyed = found.bars.assign(ex_date=sessions.session_of(CALENDAR, found.bars["ts"]))
    keyed["move"] = found.bars.groupby("symbol")["close"].pct_change()
    keyed["adjusted"] = adjusted(found).groupby("symbol")["close"].pct_change()
    split = keyed.merge(found.actions, on=["symbol", "ex_date"])
    assert len(split) == len(found.actions)
    np.testing.assert_allclose((1 + split["move"]) * split["value"], 1 + split["adjusted"])
    assert split["adjusted"].abs().max() < 0.2
    assert split["adjusted"].std() == pytest.approx(keyed["adjusted"].std(), rel=0.5)


def test_some_symbols_start_late_and_some_end_early_without_a_hole() -> None:
    bars = market().bars
    place = pd.Series(sessions.positions(CALENDAR, bars["ts"])).groupby(bars["symbol"]).agg(["min", "max", "count"])
    first, last = place["min"].min(), place["max"].max()
    assert last - first + 1 == SESSIONS
    assert 5 < (place["min"] > first).sum() < 30
    assert 5 < (place["max"] < last).sum() < 30
    assert (place["max"] - place["min"] + 1 == place["count"]).all()
    unseen = np.isnan(market().signal)
    assert (pd.Series(unseen).groupby(bars["symbol"].to_numpy()).sum() == WINDOW).all()


def test_a_seed_decides_every_byte() -> None:
    one, same, other = (simulate(Plant(0.1, 5), seed, 20, 200) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(one.bars, same.bars, check_exact=True)
    pd.testing.assert_frame_equal(one.actions, same.actions, check_exact=True)
    assert one.signal.tobytes() == same.signal.tobytes() != other.signal.tobytes()
    prices = [found.bars["close"].to_numpy()[:100] for found in (one, other)]
    assert (prices[0] != prices[1]).all()


def test_a_sequence_in_bars_is_refused() -> None:
    with pytest.raises(ValueError, match="expected row or regime_sign"):
        simulate(Plant(0.1, 1, "sequence"), 1, 10, 100)
