"""No feature sees the future, and the check of it catches those that do."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.equity.adjustment import adjust
from ml.equity.features.alpha158 import ALPHA158
from ml.equity.features.catalogue import DEFAULT_SET
from ml.equity.features.compute import compute
from ml.equity.features.feature import FeatureSet
from ml.equity.features.inputs import SECTOR
from ml.equity.features.lookahead import leaks
from ml.frames import ACTIONS
from tests.equity.panels import CALENDAR, actions_of, random_bars, sectors_of, unadjusted

EVERYTHING = FeatureSet("everything", 1, (*DEFAULT_SET.features, *ALPHA158.features))
ACROSS = frozenset(feature.name for feature in EVERYTHING.features if feature.cross_sectional)
BY_SECTOR = [feature.name for feature in EVERYTHING.features if "sector" in feature.inputs]
PANEL = unadjusted(random_bars(["AAA", "BBB", "CCC"], 200, seed=2))
PANEL = PANEL.assign(**{SECTOR: sectors_of(PANEL, seed=2).astype("str")})
SPLITS = actions_of(
    ("AAA", "2011-03-01", "split", 2.0), ("BBB", "2011-09-01", "split", 0.1), ("AAA", "2011-12-01", "split", 3.0)
)


def everything(adjusted: pd.DataFrame) -> pd.DataFrame:
    return compute(adjusted, EVERYTHING, CALENDAR, sector=pd.Categorical(adjusted[SECTOR]))


def with_sectors(panel: pd.DataFrame, seed: int) -> pd.DataFrame:
    return panel.assign(**{SECTOR: sectors_of(panel, seed).astype("str")})


def with_halts(panel: pd.DataFrame, seed: int) -> pd.DataFrame:
    kept = np.random.default_rng(seed).random(len(panel)) > 0.05
    return panel[kept].reset_index(drop=True)


@pytest.mark.parametrize("seed", range(2))
def test_no_feature_sees_the_future_or_what_it_may_not(seed: int) -> None:
    panel = with_halts(unadjusted(random_bars(["AAA", "BBB", "CCC", "DDD"], 560, seed=seed)), seed)
    panel = with_sectors(panel, seed)
    assert everything(panel)[BY_SECTOR].notna().any().all()
    assert leaks(everything, panel, seed, cuts=2, across=ACROSS) == {}


def test_no_feature_sees_a_split_to_come() -> None:
    def of_raw(bars: pd.DataFrame) -> pd.DataFrame:
        return everything(adjust(bars, SPLITS, CALENDAR).assign(**{SECTOR: bars[SECTOR]}))

    panel = with_sectors(unadjusted(random_bars(["AAA", "BBB"], 300, seed=5)), 5)
    assert leaks(of_raw, panel, 5, cuts=1, across=ACROSS) == {}


@settings(max_examples=3, deadline=None)
@given(count=st.integers(12, 120), seed=st.integers(0, 10_000))
def test_no_feature_sees_the_future_in_short_histories(count: int, seed: int) -> None:
    panel = with_sectors(unadjusted(random_bars(["AAA", "BBB", "CCC"], count, seed)), seed)
    assert leaks(everything, panel, seed, cuts=1, across=ACROSS) == {}


def test_a_cross_sectional_feature_sees_the_others_of_its_date_and_no_other_date() -> None:
    whole = compute(PANEL, DEFAULT_SET, CALENDAR)
    day = whole["ts"].iloc[-30]
    altered = PANEL.copy()
    altered.loc[(altered["ts"] == day) & (altered["symbol"] == "CCC"), ["high", "close"]] *= 1.5
    got = compute(altered, DEFAULT_SET, CALENDAR)
    name = "cs_rank_log_return_1"
    changed = whole.loc[(whole[name].fillna(-1) != got[name].fillna(-1)) & (whole["entity"] != "CCC"), "ts"]
    assert set(changed) <= {day, whole.loc[whole["ts"] > day, "ts"].iloc[0]}  # the move, and the move back


@settings(max_examples=4, deadline=None)
@given(cut=st.integers(1, 700), seed=st.integers(0, 10_000))
def test_a_tail_gives_the_bits_of_the_whole_history(cut: int, seed: int) -> None:
    panel = with_halts(unadjusted(random_bars(["AAA", "BBB"], 2400, seed)), seed)
    age = panel.groupby("symbol").cumcount()
    last = panel.groupby("symbol")["ts"].transform("size") - age
    first = panel["symbol"].map({"AAA": EVERYTHING.warm_up + 100 + cut, "BBB": EVERYTHING.warm_up + 99 + cut // 2})
    tail = panel[last <= first].reset_index(drop=True)
    begun = age[last <= first].groupby(panel["symbol"][last <= first]).first()
    alone = FeatureSet("own", 1, tuple(f for f in EVERYTHING.features if not f.cross_sectional))
    whole = compute(panel, alone, CALENDAR)
    got = compute(tail, alone, CALENDAR, first_index=begun)
    both = got.merge(whole, on=["entity", "ts"], suffixes=("", "_whole"))
    both = both[both.groupby("entity").cumcount() >= alone.warm_up - 1]
    assert len(both) >= 100
    for name in alone.names:
        expected = both[f"{name}_whole"].to_numpy()
        assert np.array_equal(both[name].to_numpy().view(np.uint32), expected.view(np.uint32)), name


Leak = Callable[[pd.DataFrame], pd.Series]


def own(function: Callable[[pd.Series], pd.Series]) -> Leak:
    """A leak within each symbol's closes."""
    return lambda bars: bars.groupby("symbol")["close"].transform(function)


def of_week(bars: pd.DataFrame) -> pd.Series:
    return bars.groupby(["symbol", bars["ts"].dt.strftime("%G-%V")])["close"].transform("last")


def of_month(bars: pd.DataFrame) -> pd.Series:
    return bars.groupby(["symbol", bars["ts"].dt.strftime("%Y-%m")])["close"].transform("std")


def split_to_come(bars: pd.DataFrame) -> pd.Series:
    """Prices divided by every split, past or future, as a vendor's adjusted close is; splits told from the prices."""
    jump = bars.groupby("symbol")["close"].pct_change().abs() > 0.055
    return bars["close"] / bars.assign(jump=jump).groupby("symbol")["jump"].transform("sum")


def until_halt(bars: pd.DataFrame) -> pd.Series:
    """Days to the symbol's next bar."""
    return (bars.groupby("symbol")["ts"].shift(-1) - bars["ts"]).dt.days


def first_component(bars: pd.DataFrame) -> pd.Series:
    """The score on the first principal component of all days."""
    moves = bars.pivot_table(index="ts", columns="symbol", values="close").ffill().pct_change().fillna(0.0)
    direction = np.linalg.svd(moves - moves.mean(), full_matrices=False)[2][0]
    return bars["ts"].map(pd.Series(moves.to_numpy() @ direction, index=moves.index))


def best_lag(x: pd.Series) -> pd.Series:
    """The lag that predicted best over all days."""
    moves = x.pct_change()
    return moves.shift(max(range(1, 6), key=lambda lag: abs(moves.autocorr(lag))))


def smoothed_twice(x: pd.Series) -> pd.Series:
    return x.ewm(span=5).mean()[::-1].ewm(span=5).mean()[::-1]


def low_frequencies(x: pd.Series) -> pd.Series:
    spectrum = np.fft.rfft(x)
    spectrum[10:] = 0
    return pd.Series(np.fft.irfft(spectrum, len(x)), index=x.index)


def detrended(x: pd.Series) -> pd.Series:
    if len(x) < 3:
        return x
    return x - np.polyval(np.polyfit(np.arange(len(x)), x, 1), np.arange(len(x)))


def sector_to_come(bars: pd.DataFrame) -> pd.Series:
    """The mean of the sector's returns, by the last sector that each symbol will have been in."""
    sector = bars.groupby("symbol")[SECTOR].transform("last")
    return bars.groupby("symbol")["close"].pct_change().groupby([bars["ts"], sector]).transform("mean")


def sector_today(bars: pd.DataFrame) -> pd.Series:
    """The same by the sector of the day."""
    return bars.groupby("symbol")["close"].pct_change().groupby([bars["ts"], bars[SECTOR]]).transform("mean")


def rank_of_tomorrow(bars: pd.DataFrame) -> pd.Series:
    tomorrow = bars.groupby("symbol")["close"].pct_change().groupby(bars["symbol"]).shift(-1)
    return tomorrow.groupby(bars["ts"]).rank()


PLANTED: dict[str, Leak] = {
    "tomorrow": own(lambda x: x.shift(-1)),
    "centred window": own(lambda x: x.rolling(5, center=True, min_periods=1).mean()),
    "global normalisation": own(lambda x: (x - x.mean()) / x.std()),
    "normalisation over all symbols": lambda bars: (bars["close"] - bars["close"].mean()) / bars["close"].std(),
    "scaling between least and greatest": own(lambda x: (x - x.min()) / (x.max() - x.min())),
    "clipping at whole-sample quantiles": own(lambda x: x.clip(float(x.quantile(0.05)), float(x.quantile(0.95)))),
    "rank over all time": own(lambda x: x.rank(pct=True)),
    "peak over all time": own(lambda x: x / x.max()),
    "backward fill": own(lambda x: x.where(x.diff() > 0).bfill()),
    "interpolation": own(lambda x: x.where(x.diff() > 0).interpolate()),
    "adjustment by a split to come": split_to_come,
    "label overlap": own(lambda x: x.pct_change().rolling(5).mean().shift(-2)),
    "the week's close": of_week,
    "the month's volatility": of_month,
    "calendar of halts to come": until_halt,
    "whole-sample components": first_component,
    "whole-sample regression": own(detrended),
    "lag chosen on all days": own(best_lag),
    "filter in both directions": own(smoothed_twice),
    "whole-sample spectrum": own(low_frequencies),
    "one bit of the end": own(lambda x: x * (1 + 1e-6 * np.sign(x.iloc[-1] - x))),
    "length of the history": own(lambda x: x * 0 + len(x)),
    "shift across symbols": lambda bars: bars["close"].shift(1),
    "a sector of the future": sector_to_come,
    "undeclared rank among symbols": lambda bars: bars.groupby("ts")["close"].rank(),
}


def planted(leak: Leak) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """A sound column beside a leaking one."""

    def both(bars: pd.DataFrame) -> pd.DataFrame:
        sound = bars.groupby("symbol")["close"].pct_change().astype("float32")
        return pd.DataFrame(
            {"entity": bars["symbol"], "ts": bars["ts"], "sound": sound, "leak": leak(bars).astype("float32")}
        )

    return both


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_leak_is_caught(name: str) -> None:
    assert set(leaks(planted(PLANTED[name]), PANEL, seed=1)) == {"leak"}


def test_a_leak_is_told_with_what_gave_it_away() -> None:
    def caught(name: str) -> str:
        return leaks(planted(PLANTED[name]), PANEL, seed=1)["leak"]

    assert caught("undeclared rank among symbols") == "other symbols added"
    assert caught("tomorrow") == f"rows after {PANEL['ts'].min():%Y-%m-%d} removed"


def test_what_may_see_its_date_is_caught_when_it_sees_the_next() -> None:
    assert set(leaks(planted(rank_of_tomorrow), PANEL, seed=1, across={"leak"})) == {"leak"}
    today = planted(PLANTED["undeclared rank among symbols"])
    assert leaks(today, PANEL, seed=1, across={"leak"}) == {}


def test_a_sector_of_the_future_is_told_from_one_of_the_day_and_from_none_declared() -> None:
    assert set(leaks(planted(sector_to_come), PANEL, seed=1, across={"leak"})) == {"leak"}
    assert leaks(planted(sector_today), PANEL, seed=1, across={"leak"}) == {}
    assert leaks(planted(sector_today), PANEL, seed=1) == {"leak": "other symbols added"}


def test_an_action_that_scales_the_past_is_caught() -> None:
    def backward(bars: pd.DataFrame) -> pd.DataFrame:
        adjusted = adjust(bars.drop(columns="raw_close"), SPLITS, CALENDAR)
        scale = adjusted.groupby("symbol")["close"].transform("last") / bars.groupby("symbol")["close"].transform(
            "last"
        )
        return planted(lambda rows: rows["close"] / scale)(adjusted)

    assert set(leaks(backward, unadjusted(random_bars(["AAA", "BBB"], 300, seed=5)), seed=5)) == {"leak"}
    assert not ACTIONS.check(SPLITS).empty
