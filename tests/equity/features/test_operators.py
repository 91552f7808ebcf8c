"""Each operator of the language against an independent, slow reference: pandas, numpy, scipy or TA-Lib."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import pytest
import talib
from scipy import stats

from ml.equity.features.compute import compute
from ml.equity.features.feature import Feature, FeatureSet
from ml.equity.features.kernels.recursions import BLOCK
from ml.equity.features.operators import OPERATORS
from tests.equity.panels import CALENDAR, bars_of, random_bars, sectors_of, unadjusted

PANEL = unadjusted(random_bars(["AAA", "BBB", "CCC"], 330, seed=4))
SECTORS = sectors_of(PANEL, seed=3)
OWN = PANEL[PANEL["symbol"] == "BBB"].reset_index(drop=True)
OP, H, L, C, V = (OWN[column] for column in ("open", "high", "low", "close", "volume"))
R = pd.Series(np.log(C)).diff()
Window = Callable[[np.ndarray], float]


def computed(*expressions: str, panel: pd.DataFrame = PANEL, sector: pd.Categorical[str] | None = None) -> pd.DataFrame:
    features = tuple(Feature(f"f{i}", text, "price", "", "") for i, text in enumerate(expressions))
    return compute(panel, FeatureSet("asked", 1, features), CALENDAR, sector=sector)


def value(
    expression: str, panel: pd.DataFrame = PANEL, symbol: str = "BBB", sector: pd.Categorical[str] | None = None
) -> np.ndarray:
    frame = computed(expression, panel=panel, sector=sector)
    return frame.loc[frame["entity"] == symbol, "f0"].to_numpy()


def windowed(x: pd.Series, window: int, function: Window) -> pd.Series:
    return x.rolling(window).apply(function, raw=True)


def line(y: np.ndarray) -> stats._stats_py.LinregressResult:
    return stats.linregress(np.arange(len(y)), y)


def last_residual(y: np.ndarray) -> float:
    fit = line(y)
    return float(y[-1] - fit.intercept - fit.slope * (len(y) - 1))


def unexplained(y: pd.Series, x: pd.Series, window: int) -> pd.Series:
    left = y.rolling(window).var() * (window - 1) - (y.rolling(window).cov(x) * (window - 1)) ** 2 / (
        x.rolling(window).var() * (window - 1)
    )
    return (left / (window - 2)) ** 0.5


def streak(x: pd.Series, window: int) -> list[float]:
    signs, result = np.sign(x.to_numpy()), []
    for t in range(len(signs)):
        own = signs[max(t - window + 1, 0) : t + 1][::-1]
        run = next((i for i, sign in enumerate(own) if sign != own[0]), len(own))
        result.append(own[0] * run if len(own) == window and not np.isnan(own).any() else np.nan)
    return result


def adapted(x: pd.Series, weight: pd.Series) -> list[float]:
    result, state = [], np.nan
    for one, share in zip(x, weight, strict=True):
        if not np.isnan(share):
            state = one if np.isnan(state) else state + share * (one - state)
        result.append(state)
    return result


def flag(x: pd.Series) -> pd.Series:
    return x.astype(float)


def moves(panel: pd.DataFrame) -> pd.Series:
    return panel.groupby("symbol")["close"].transform(lambda c: np.log(c).diff()).astype("float32")


def by_date(function: Callable[[pd.Series], pd.Series]) -> pd.Series:
    found = moves(PANEL).groupby(PANEL["ts"]).transform(function)
    return found[PANEL["symbol"] == "BBB"].reset_index(drop=True)


def by_sector(function: Callable[[pd.Series], pd.Series]) -> pd.Series:
    """As `by_date`, of SECTORS of a date with two returns or more."""
    ret = moves(PANEL)
    group = ret.groupby([PANEL["ts"], SECTORS], observed=True)
    found = group.transform(function).where(group.transform("count") >= 2)
    return found[PANEL["symbol"] == "BBB"].reset_index(drop=True)


REFERENCES = {
    "+": ("close + volume", C + V),
    "-": ("close - open", C - OP),
    "*": ("close * volume", C * V),
    "/": ("close / (high - low)", (C / (H - L)).where(H > L)),
    "negative": ("-close", -C),
    "power": ("(close / open - 1) ** 3", (C / OP - 1) ** 3),
    "abs": ("abs(ret)", R.abs()),
    "sign": ("sign(ret)", np.sign(R)),
    "sqrt": ("sqrt(close)", C**0.5),
    "exp": ("exp(ret)", C / C.shift()),
    "log": ("log(volume)", np.log(V.where(V > 0))),
    "max": ("max(open, close)", np.maximum(OP, C)),
    "min": ("min(ret, 0)", R.clip(upper=0)),
    "<": ("close < open", flag(C < OP)),
    "<=": ("close <= open", flag(C <= OP)),
    ">": ("close > open", flag(C > OP)),
    ">=": ("close >= open", flag(C >= OP)),
    "==": ("close == open", flag(C == OP)),
    "and": ("close > open and high > 40", flag((C > OP) & (H > 40))),
    "or": ("close > open or high > 40 or low > 41", flag((C > OP) | (H > 40) | (L > 41))),
    "not": ("not close > open", flag(C <= OP)),
    "where": ("where(close > open, high, low)", H.where(C > OP, L)),
    "ref": ("ref(close, 3)", C.shift(3)),
    "sum": ("sum(volume, 7)", V.rolling(7).sum()),
    "mean": ("mean(close, 20)", C.rolling(20).mean()),
    "deviation": ("deviation(close, 20)", windowed(C, 20, lambda x: float(np.abs(x - x.mean()).mean()))),
    "std": ("std(ret, 20)", R.rolling(20).std()),
    "skew": ("skew(ret, 20)", windowed(R, 20, stats.skew)),
    "kurt": ("kurt(ret, 20)", windowed(R, 20, stats.kurtosis)),
    "slope": ("slope(close, 10)", windowed(C, 10, lambda y: line(y).slope)),
    "rsquare": ("rsquare(close, 10)", windowed(C, 10, lambda y: line(y).rvalue ** 2)),
    "residual": ("residual(close, 10)", windowed(C, 10, last_residual)),
    "weighted": ("weighted(close, 10)", talib.WMA(C.to_numpy(), 10)),
    "corr": ("corr(ret, volume, 20)", R.rolling(20).corr(V)),
    "cov": ("cov(ret, ref(ret, 1), 20)", R.rolling(20).cov(R.shift())),
    "beta": ("beta(ret, ref(ret, 1), 20)", R.rolling(20).cov(R.shift()) / R.shift().rolling(20).var()),
    "unexplained": ("unexplained(ret, ref(ret, 1), 20)", unexplained(R.iloc[:], R.shift(), 20)),
    "highest": ("highest(high, 20)", H.rolling(20).max()),
    "lowest": ("lowest(low, 20)", L.rolling(20).min()),
    "since_highest": ("since_highest(high, 20)", windowed(H, 20, lambda x: 19.0 - x.argmax())),
    "since_lowest": ("since_lowest(low, 20)", windowed(L, 20, lambda x: 19.0 - x.argmin())),
    "rank": ("rank(close, 20)", C.rolling(20).rank(pct=True)),
    "quantile": ("quantile(close, 20, 0.8)", C.rolling(20).quantile(0.8)),
    "ema": ("ema(close, 12)", talib.EMA(C.to_numpy(), 12)),
    "wilder": ("atr(14)", talib.ATR(H.to_numpy(), L.to_numpy(), C.to_numpy(), 14)),
    "adapt": ("adapt(close, where(ret > 0, 0.5, 0.1))", adapted(C, (R > 0) * 0.4 + 0.1 + R * 0)),
    "streak": ("streak(ret, 5)", streak(R, 5)),
    "cs_mean": ("cs_mean(ret)", by_date(lambda r: r.mean() + r * 0)),
    "cs_rank": ("cs_rank(ret)", by_date(lambda r: r.rank(pct=True))),
    "cs_z": ("cs_z(ret)", by_date(lambda r: (r - r.mean()) / r.std())),
    "sector_mean": ("sector_mean(ret)", by_sector(lambda r: r.mean() + r * 0)),
    "sector_rank": ("sector_rank(ret)", by_sector(lambda r: r.rank(pct=True))),
}


def test_every_operator_has_a_reference() -> None:
    assert set(REFERENCES) == set(OPERATORS)


@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_agrees_with_its_reference(name: str) -> None:
    expression, reference = REFERENCES[name]
    np.testing.assert_allclose(
        value(expression, sector=SECTORS), np.asarray(reference, dtype=float), rtol=3e-6, atol=1e-6
    )


@pytest.mark.parametrize("window", [1, 2, 3, 255, 256, 257, 330, 331])
def test_windows_of_every_length_agree_with_pandas(window: int) -> None:
    got = computed(f"sum(close, {window})", f"mean(close, {window})", f"highest(high, {window})")
    own = got[got["entity"] == "BBB"]
    for name, expected in zip(
        ("f0", "f1", "f2"), (C.rolling(window).sum(), C.rolling(window).mean(), H.rolling(window).max()), strict=True
    ):
        np.testing.assert_allclose(own[name].to_numpy(), expected.to_numpy(), rtol=1e-6)


def test_a_missing_term_empties_the_windows_that_hold_it_and_no_other() -> None:
    # log(close - 10) is NaN on the days at 10.
    panel = unadjusted(bars_of(BBB=[20.0 + i + i % 3 if i != 8 else 10.0 for i in range(24)]))
    x = "log(close - 10)"
    for text in (
        *(f"{name}({x}, 4)" for name in ("sum", "mean", "std", "skew", "kurt", "slope", "rsquare", "residual")),
        *(f"{name}({x}, 4)" for name in ("weighted", "deviation", "highest", "lowest", "since_highest", "rank")),
        *(f"quantile({x}, 4, 0.5)", f"corr({x}, close, 4)", f"since_lowest({x}, 4)", f"streak({x}, 4)"),
    ):
        expected = [t < 3 or 8 <= t < 12 for t in range(24)]
        assert np.isnan(value(text, panel)).tolist() == expected, text


def test_a_huge_term_leaves_no_trace_once_it_has_left_the_window() -> None:
    close = [1e18, 0.1, 0.2, 0.3, 0.4, 0.6]
    panel = unadjusted(bars_of(BBB=close))
    assert value("sum(close, 2)", panel)[2:].tolist() == pytest.approx([0.3, 0.5, 0.7, 1.0], rel=1e-6)
    assert value("std(close, 3)", panel)[3:].tolist() == pytest.approx([0.1, 0.1, 0.1527525], rel=1e-6)


def test_what_stands_still_is_zero_or_missing_but_never_noise() -> None:
    panel = unadjusted(bars_of(BBB=[0.1] * 60))
    for text in ("std(close, 20)", "mean(close, 20) - close", "slope(close, 20)", "deviation(close, 20)"):
        assert value(text, panel)[-1] == 0, text
    for text in ("skew(close, 20)", "kurt(close, 20)", "rsquare(close, 20)", "corr(close, close, 20)"):
        assert np.isnan(value(text, panel)[-1]), text


def test_nothing_is_infinite() -> None:
    panel = unadjusted(bars_of(BBB=[1e30, 1e-30, 0.5]))
    for text in (
        "close ** 4",
        "1 / (close - close)",
        "exp(close)",
        "log(close - close)",
        "close / ref(close, 1) * 1e30",
    ):
        assert not np.isinf(value(text, panel)).any(), text


@pytest.mark.parametrize("count", [12, 26, 50, 64])
def test_a_recursion_that_starts_anew_stays_close_to_one_that_does_not(count: int) -> None:
    panel = unadjusted(random_bars(["BBB"], 1500, seed=6))
    got = value(f"ema(close, {count})", panel)
    endless = talib.EMA(panel["close"].to_numpy(), count)
    np.testing.assert_allclose(got[: 2 * BLOCK], endless[: 2 * BLOCK], rtol=1e-6)
    forgotten = (1 - 2 / (count + 1)) ** BLOCK
    np.testing.assert_allclose(got, endless, rtol=1e-6 + forgotten)


def test_wilders_average_agrees_with_talib_once_warm() -> None:
    panel = unadjusted(random_bars(["BBB"], 1200, seed=6))
    bars = [panel[column].to_numpy() for column in ("high", "low", "close")]
    np.testing.assert_allclose(value("rsi(close, 14)", panel), talib.RSI(bars[2], 14), rtol=2e-6, atol=1e-5)
    np.testing.assert_allclose(value("adx(14)", panel)[200:], talib.ADX(*bars, 14)[200:], rtol=1e-4)


def by_hand(**rows: tuple[str | None, Sequence[float | None]]) -> tuple[pd.DataFrame, pd.Categorical[str]]:
    """ADJUSTED bars and their sectors from the sector and the closes of each symbol."""
    panel = unadjusted(bars_of(**{symbol: closes for symbol, (_, closes) in rows.items()}))
    return panel, pd.Categorical(panel["symbol"].map({symbol: sector for symbol, (sector, _) in rows.items()}))


def test_a_sector_is_those_of_the_same_date_that_are_known_to_be_of_it() -> None:
    panel, sector = by_hand(
        A=("steel", [2.0, 2.0]),
        B=("steel", [4.0, 2.0]),
        C=("steel", [9.0, None]),
        D=("rail", [7.0, 8.0]),
        E=("rail", [None, 6.0]),
        F=(None, [1.0, 1.0]),
        G=(None, [3.0, 1.0]),
    )
    got = computed("sector_mean(close)", "sector_rank(close)", panel=panel, sector=sector)
    found = {symbol: own[["f0", "f1"]].to_numpy().tolist() for symbol, own in got.fillna(-1).groupby("entity")}
    third, nothing = np.float32(1 / 3).item(), [-1.0, -1.0]
    assert found == {
        "A": [[5.0, third], [2.0, 0.75]],
        "B": [[5.0, np.float32(2 / 3).item()], [2.0, 0.75]],
        "C": [[5.0, 1.0]],
        "D": [nothing, [7.0, 1.0]],
        "E": [[7.0, 0.5]],
        "F": [nothing, nothing],
        "G": [nothing, nothing],
    }


@pytest.mark.parametrize("seed", range(3))
def test_sectors_agree_with_pandas_whatever_is_missing_and_equal(seed: int) -> None:
    rng = np.random.default_rng(seed)
    panel = unadjusted(random_bars([f"S{i:02d}" for i in range(40)], 120, seed))
    panel = panel[rng.random(len(panel)) > 0.1].reset_index(drop=True)
    panel = panel.assign(close=rng.integers(1, 6, len(panel)), open=1.0)
    sector = pd.Categorical.from_codes(rng.integers(-1, 9, len(panel)), pd.Index([*"abcdefghij"]))  # nobody is in j
    missing = "log(close - 1) * 0 + close"
    got = computed(f"sector_mean({missing})", f"sector_rank({missing})", panel=panel, sector=sector)
    x = panel["close"].where(panel["close"] > 1)
    group = x.groupby([panel["ts"], sector], observed=True)
    enough = group.transform("count") >= 2
    expected = pd.DataFrame({"f0": group.transform("mean").where(x.notna()), "f1": group.rank(pct=True)}).where(enough)
    expected = expected.assign(ts=panel["ts"], entity=panel["symbol"]).sort_values(["ts", "entity"], ignore_index=True)
    assert 0.2 < expected["f1"].isna().mean() < 0.8
    for name in ("f0", "f1"):
        np.testing.assert_allclose(got[name].to_numpy(), expected[name].to_numpy(), rtol=1e-6)


def test_without_sectors_there_is_no_value_of_one() -> None:
    assert np.isnan(value("sector_mean(close)")).all()
    assert np.isnan(value("sector_rank(close)")).all()
    assert np.isnan(value("close - sum(sector_ret, 2)")).all()
