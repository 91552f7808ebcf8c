"""Features of the catalogue against independent computations: TA-Lib, pandas rolling, a plain loop, the calendar."""

from __future__ import annotations

from collections.abc import Callable

import exchange_calendars
import numpy as np
import pandas as pd
import pytest
import talib

from ml.equity.features.catalogue import DEFAULT_SET
from ml.equity.features.compute import compute
from tests.equity.panels import CALENDAR, bars_of, random_bars, sectors_of, unadjusted

# Prices that are not in cents: TA-Lib's running sums break ties that we keep.
PANEL = unadjusted(random_bars(["AAA", "BBB", "CCC"], 500, seed=4, digits=10))
OWN = PANEL[PANEL["symbol"] == "BBB"].reset_index(drop=True)
SECTORS = sectors_of(PANEL)  # AAA and CCC are of one; BBB moves to theirs in the middle
SECTORS = pd.Categorical(pd.Series(SECTORS).mask(PANEL["ts"] >= PANEL["ts"].iloc[100], "even"))
COMPUTED = compute(PANEL, DEFAULT_SET, CALENDAR, sector=SECTORS)
GOT = COMPUTED[COMPUTED["entity"] == "BBB"].reset_index(drop=True)


def in_company(x: pd.Series) -> pd.Series:
    """BBB's values of x, which are those of PANEL, on days on which another symbol of its sector has a return."""
    return x.where(SECTOR.transform("count") >= 2)[PANEL["symbol"] == "BBB"].reset_index(drop=True)


def log(x: pd.Series) -> pd.Series:
    return pd.Series(np.log(x))


OP, H, L, C, V = (OWN[column] for column in ("open", "high", "low", "close", "volume"))
R = log(C / C.shift())
OHLC = tuple(x.to_numpy() for x in (OP, H, L, C))
HLC = OHLC[1:]
CLOSE, VOLUME = C.to_numpy(), V.to_numpy()
TYPICAL = (H + L + C) / 3
RETURNS = PANEL.groupby("symbol")["close"].transform(lambda c: log(c).diff())
MARKET = OWN["ts"].map(RETURNS.groupby(PANEL["ts"]).mean())
SECTOR = RETURNS.groupby([PANEL["ts"], SECTORS], observed=True)
SECTOR_RET = in_company(SECTOR.transform("mean"))
EXTENT = H.rolling(14).max() - L.rolling(14).min()
NIGHT, DAY = log(OP / C.shift()), log(C / OP)
ROGERS = log(H / C) * log(H / OP) + log(L / C) * log(L / OP)


def yang_zhang(n: int) -> pd.Series:
    k = 0.34 / (1.34 + (n + 1) / (n - 1))
    return pd.Series((NIGHT.rolling(n).var() + k * DAY.rolling(n).var() + (1 - k) * ROGERS.rolling(n).mean()) ** 0.5)


def hurst(n: int, span: int) -> pd.Series:
    spread = log(C / C.shift(span)).rolling(n).std() / R.rolling(n).std()
    return pd.Series(log(spread) / np.log(span))


def entropy(x: np.ndarray) -> float:
    share = np.bincount((x > 0).astype(int), minlength=2) / len(x)
    return float(-sum(p * np.log2(p) for p in share if p > 0))


def candle(pattern: Callable[..., np.ndarray]) -> np.ndarray:
    return np.asarray(np.sign(pattern(*OHLC)))


def ranked(x: pd.Series) -> pd.Series:
    """The rank of BBB's values of x, which are those of PANEL, among the symbols of the date."""
    return x.groupby(PANEL["ts"]).rank(pct=True)[PANEL["symbol"] == "BBB"].reset_index(drop=True)


REFERENCES = {
    "log_return_5": R.rolling(5).sum(),
    "momentum_252_20": log(C.shift(20) / C.shift(252)),
    "gap": NIGHT,
    "close_position": ((C - L) / (H - L)).where(H > L),
    "drawdown_252": log(C / H.rolling(252).max()),
    "sma_distance_20": C / C.rolling(20).mean() - 1,
    "higher_highs_20": (H.shift() < H).where(H.shift().notna()).astype(float).rolling(20).mean(),
    "rsi_14": talib.RSI(CLOSE, 14),
    "ema_distance_20": C / talib.EMA(CLOSE, 20) - 1,
    "bollinger_width_20": 4 * C.rolling(20).std() / C.rolling(20).mean(),
    "average_true_range_14": talib.NATR(*HLC, 14) / 100,
    "cci_20": talib.CCI(*HLC, 20),
    "stochastic_14_3": (100 * (C - L.rolling(14).min()) / EXTENT).rolling(3).mean(),
    "williams_r_14": talib.WILLR(*HLC, 14),
    "aroon_25": talib.AROONOSC(H.to_numpy(), L.to_numpy(), 25),
    "trix_15": talib.TRIX(CLOSE, 15) / 100,
    "ultimate_oscillator_7_14_28": talib.ULTOSC(*HLC, 7, 14, 28),
    "money_flow_14": talib.MFI(*HLC, VOLUME, 14),
    "obv_slope_20": pd.Series(talib.OBV(CLOSE, VOLUME)).diff(20) / V.rolling(20).sum(),
    "volume_ratio_20": V / V.rolling(20).mean().shift(),
    "vwap_distance_20": C / ((TYPICAL * V).rolling(20).sum() / V.rolling(20).sum()) - 1,
    "vol_cc_20": R.rolling(20).std(),
    "vol_parkinson_20": (log(H / L).pow(2).rolling(20).mean() / (4 * np.log(2))) ** 0.5,
    "vol_garman_klass_20": (0.5 * log(H / L) ** 2 - (2 * np.log(2) - 1) * DAY**2).rolling(20).mean() ** 0.5,
    "vol_rogers_satchell_20": ROGERS.rolling(20).mean() ** 0.5,
    "vol_yang_zhang_20": yang_zhang(20),
    "vol_percentile_20_120": R.rolling(20).std().rolling(120).rank(pct=True),
    "return_z_20": (R - R.rolling(20).mean()) / R.rolling(20).std(),
    "autocorrelation_60_5": R.rolling(60).corr(R.shift(5)),
    "variance_ratio_60_5": log(C / C.shift(5)).rolling(60).var() / (5 * R.rolling(60).var()),
    "hurst_120_16": hurst(120, 16),
    "entropy_20": R.rolling(20).apply(entropy, raw=True),
    "efficiency_20": R.rolling(20).sum().abs() / R.abs().rolling(20).sum(),
    "trend_slope_20": talib.LINEARREG_SLOPE(np.log(CLOSE), 20),
    "bars_since_high_20": 19 - H.rolling(20).apply(np.argmax, raw=True),
    "doji": candle(talib.CDLDOJI),
    "hammer": candle(talib.CDLHAMMER),
    "shooting_star": np.abs(candle(talib.CDLSHOOTINGSTAR)),
    "marubozu": candle(talib.CDLMARUBOZU),
    "engulfing": candle(talib.CDLENGULFING),
    "harami": candle(talib.CDLHARAMI),
    "market_return_1": MARKET,
    "relative_strength_20": (R - MARKET).rolling(20).sum(),
    "beta_mkt_60": R.rolling(60).cov(MARKET) / MARKET.rolling(60).var(),
    "correlation_mkt_60": R.rolling(60).corr(MARKET),
    "relative_strength_sector_20": (R - SECTOR_RET).rolling(20).sum(),
    "sector_strength_20": (SECTOR_RET - MARKET).rolling(20).sum(),
    "sector_breadth": in_company((RETURNS > 0).groupby([PANEL["ts"], SECTORS], observed=True).transform("mean")),
    "beta_sector_60": R.rolling(60).cov(SECTOR_RET) / SECTOR_RET.rolling(60).var(),
    "sector_rank_log_return_5": in_company(
        PANEL.groupby("symbol")["close"]
        .transform(lambda c: log(c).diff(5))
        .groupby([PANEL["ts"], SECTORS], observed=True)
        .rank(pct=True)
    ),
    "cs_rank_log_return_1": ranked(RETURNS),
}

WARM = {
    "macd_12_26": talib.MACD(CLOSE)[0] / CLOSE,
    "macd_histogram_12_26_9": talib.MACD(CLOSE)[2] / CLOSE,
    "adx_14": talib.ADX(*HLC, 14),
    "directional_14": talib.PLUS_DI(*HLC, 14) - talib.MINUS_DI(*HLC, 14),
    "kama_distance_10": CLOSE / talib.KAMA(CLOSE, 10) - 1,
}
"""TA-Lib begins these recursions otherwise; they meet once the beginning is forgotten."""


@pytest.mark.parametrize("name", REFERENCES)
def test_a_feature_agrees_with_its_reference(name: str) -> None:
    expected = np.array(REFERENCES[name], dtype=float)
    if GOT[name].isin([-1.0, 0.0, 1.0]).any() and not np.isnan(expected).any():
        expected[GOT[name].isna()] = np.nan  # candles: TA-Lib answers 0 for want of bars
    np.testing.assert_allclose(GOT[name].to_numpy(), expected, rtol=3e-5, atol=3e-6)


@pytest.mark.parametrize("name", WARM)
def test_a_recursive_feature_agrees_with_talib_once_warm(name: str) -> None:
    np.testing.assert_allclose(GOT[name].to_numpy()[220:], WARM[name][220:], rtol=1e-4, atol=1e-5)


def test_days_and_sessions_count_what_has_been_and_what_was_planned() -> None:
    # 2011-01-03 is the first session of its month, three days after Friday 2010-12-31; 2011-01-17 is a holiday.
    frame = compute(unadjusted(bars_of(A=[1.0] * 22)), DEFAULT_SET, CALENDAR)
    assert frame["days_since_session"].tolist() == [3, 1, 1, 1, 1, 3, 1, 1, 1, 1, 4, 1, 1, 1, 3, 1, 1, 1, 1, 3, 1, 1]
    assert frame["days_until_session"].tolist()[:11] == [1, 1, 1, 1, 3, 1, 1, 1, 1, 4, 1]
    assert frame["session_of_month"].tolist() == [*range(1, 21), 1, 2]
    assert frame["sessions_left"].tolist()[:20] == [*range(19, -1, -1)]
    assert frame["until_holiday"].tolist()[:11] == [10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 24]
    assert frame["since_holiday"].tolist()[9:12] == [15, 1, 2]
    assert frame["turn_of_month"].tolist()[:4] == [1, 1, 1, 0]
    assert frame["weekday"].tolist()[:6] == [0, 1, 2, 3, 4, 0]


def test_a_closure_that_nobody_could_plan_is_not_known_before() -> None:
    # Hurricane Sandy closed New York on 2012-10-29 and 30; on the Friday before, Monday was the next session.
    closes = exchange_calendars.get_calendar(CALENDAR).closes
    ts = closes["2012-10-24":"2012-11-01"].array
    bars = bars_of(A=[1.0] * len(ts)).assign(ts=pd.DatetimeIndex(ts).as_unit("us"))
    frame = compute(unadjusted(bars), DEFAULT_SET, CALENDAR)
    assert frame["days_until_session"].tolist() == [1, 1, 3, 1, 1]
    assert frame["days_since_session"].tolist() == [1, 1, 1, 5, 1]


def test_a_run_counts_days_in_one_direction_and_stops_at_ten() -> None:
    rising = [*(10.0 + i for i in range(12)), 21.0, 20.0, 19.0, 20.0]
    run = compute(unadjusted(bars_of(A=rising)), DEFAULT_SET, CALENDAR)["run_length_10"]
    assert run.tolist()[10:] == [10, 10, 0, -1, -2, 1]
