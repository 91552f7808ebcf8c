"""Each feature against an independent computation: pandas rolling, a plain loop, or TA-Lib itself."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import talib

from ml.equity.features.catalogue import DEFAULT_SET
from ml.equity.features.compute import compute
from tests.equity.panels import CALENDAR, bars_of, random_bars, unadjusted

PANEL = unadjusted(random_bars(["AAA", "BBB"], 320, seed=4))
OWN = PANEL[PANEL["symbol"] == "BBB"].reset_index(drop=True)
COMPUTED = compute(PANEL, DEFAULT_SET, CALENDAR)
GOT = COMPUTED[COMPUTED["entity"] == "BBB"].reset_index(drop=True)


def log(x: pd.Series) -> pd.Series:
    return pd.Series(np.log(x))


OP, H, L, C, V = (OWN[column] for column in ("open", "high", "low", "close", "volume"))
R = log(C / C.shift())
HLC = tuple(x.to_numpy() for x in (H, L, C))
OHLC = tuple(x.to_numpy() for x in (OP, H, L, C))
DATES = OWN["ts"].dt.tz_convert("America/New_York").dt.tz_localize(None).dt.normalize()
DOLLARS = log((C * V).where(C * V > 0))
UPPER, _, LOWER = talib.BBANDS(C.to_numpy(), 20)


def garman_klass() -> pd.Series:
    day = 0.5 * log(H / L) ** 2 - (2 * np.log(2) - 1) * log(C / OP) ** 2
    return pd.Series(day.rolling(20).mean() ** 0.5)


def run_length() -> list[float]:
    result, run = [np.nan], 0.0
    for before, now in zip(C.tolist(), C.tolist()[1:], strict=False):
        step = float(np.sign(now - before))
        run = run + step if step * run > 0 else step
        result.append(run)
    return result


def skewness() -> list[float]:
    result = [np.nan] * len(R)
    for t in range(20, len(R)):
        window = R.to_numpy()[t - 19 : t + 1]
        result[t] = ((window - window.mean()) ** 3).mean() / window.std() ** 3
    return result


def candle(pattern: np.ndarray, start: int) -> np.ndarray:
    return np.where(np.arange(len(pattern)) < start, np.nan, pattern / 100)


REFERENCES = {
    "log_return_1": R,
    "log_return_5": R.rolling(5).sum(),
    "log_return_10": R.rolling(10).sum(),
    "log_return_20": R.rolling(20).sum(),
    "log_return_60": R.rolling(60).sum(),
    "gap": log(OP) - log(C.shift()),
    "intraday_return": log(C) - log(OP),
    "close_position": ((C - L) / (H - L)).where(H > L),
    "drawdown_252": log(C / H.rolling(252).max()),
    "rsi_14": talib.RSI(C.to_numpy(), 14),
    "macd_histogram_12_26_9": talib.MACD(C.to_numpy())[2] / C,
    "bollinger_position_20": (C - LOWER) / (UPPER - LOWER),
    "average_true_range_14": talib.NATR(*HLC, 14) / 100,
    "adx_14": talib.ADX(*HLC, 14),
    "cci_20": talib.CCI(*HLC, 20),
    "stochastic_14_3": (100 * (C - L.rolling(14).min()) / (H.rolling(14).max() - L.rolling(14).min()))
    .rolling(3)
    .mean(),
    "williams_r_14": -100 * (H.rolling(14).max() - C) / (H.rolling(14).max() - L.rolling(14).min()),
    "volume_ratio_20": V / V.rolling(20).mean().shift(),
    "obv_slope_20": pd.Series(talib.OBV(C.to_numpy(), V.to_numpy())).diff(20) / V.rolling(20).sum(),
    "money_flow_14": talib.MFI(*HLC, V.to_numpy(), 14),
    "dollar_volume_z_20": (DOLLARS - DOLLARS.rolling(20).mean()) / DOLLARS.rolling(20).std(),
    "weekday": DATES.dt.day_of_week,
    "month_sin": np.sin(2 * np.pi * (DATES.dt.month - 1) / 12),
    "month_cos": np.cos(2 * np.pi * (DATES.dt.month - 1) / 12),
    "session_of_month": DATES.groupby(DATES.dt.to_period("M")).cumcount() + 1,
    "days_since_session": DATES.diff().dt.days.fillna(3),  # since Friday 2010-12-31
    "vol_cc_20": R.rolling(20).std(),
    "vol_parkinson_20": (log(H / L).pow(2).rolling(20).mean() / (4 * np.log(2))) ** 0.5,
    "vol_garman_klass_20": garman_klass(),
    "vol_ratio_5_60": R.rolling(5).std() / R.rolling(60).std(),
    "return_z_20": (R - R.rolling(20).mean()) / R.rolling(20).std(),
    "skew_20": skewness(),
    "autocorrelation_20": R.rolling(20).corr(R.shift()),
    "efficiency_20": R.rolling(20).sum().abs() / R.abs().rolling(20).sum(),
    "run_length": run_length(),
    "doji": candle(talib.CDLDOJI(*OHLC), 10),
    "hammer": candle(talib.CDLHAMMER(*OHLC), 11),
    "engulfing": candle(talib.CDLENGULFING(*OHLC), 2),
}


def test_every_feature_has_a_reference() -> None:
    assert tuple(REFERENCES) == DEFAULT_SET.names


@pytest.mark.parametrize("name", DEFAULT_SET.names)
def test_a_feature_agrees_with_its_reference(name: str) -> None:
    expected = np.asarray(REFERENCES[name], dtype=float)
    np.testing.assert_allclose(GOT[name].to_numpy(), expected, rtol=2e-5, atol=2e-6)


def test_days_and_sessions_count_what_has_been_and_not_what_comes() -> None:
    # 2011-01-03 is the first session of its month, three days after Friday 2010-12-31; 2011-01-17 is a holiday.
    frame = compute(unadjusted(bars_of(A=[1.0] * 22)), DEFAULT_SET, CALENDAR)
    assert frame["days_since_session"].tolist() == [3, 1, 1, 1, 1, 3, 1, 1, 1, 1, 4, 1, 1, 1, 3, 1, 1, 1, 1, 3, 1, 1]
    assert frame["session_of_month"].tolist() == [*range(1, 21), 1, 2]
    assert frame["weekday"].tolist()[:6] == [0, 1, 2, 3, 4, 0]


def test_a_run_counts_days_in_one_direction_and_stops_at_twenty() -> None:
    rising = [10.0, 11.0, 12.0, 12.0, 11.0, 10.0, 11.0]
    frame = compute(unadjusted(bars_of(A=rising, B=[float(i + 1) for i in range(30)])), DEFAULT_SET, CALENDAR)
    assert frame.loc[frame["entity"] == "A", "run_length"].tolist()[1:] == [1, 2, 0, -1, -2, 1]
    assert frame.loc[frame["entity"] == "B", "run_length"].iloc[-1] == 20
