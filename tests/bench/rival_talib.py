"""Those of our features that TA-Lib has: a function of its own, and at most a line of arithmetic around it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import talib

Floats = npt.NDArray[np.float64]


def indicators(opening: Floats, high: Floats, low: Floats, close: Floats, volume: Floats) -> dict[str, Floats]:
    """Of one symbol's bars, by our names."""
    log_high, log_low, log_close = np.log(high), np.log(low), np.log(close)
    returns, pair = np.log(talib.ROCR(close, 1)), (high, low)
    bar, candle = (high, low, close), (opening, high, low, close)
    ema = {n: talib.EMA(close, n) for n in (10, 13, 20, 50)}
    macd, _, histogram = talib.MACD(close, 12, 26, 9)
    upper, middle, lower = _bands(close, 20)
    upper_50, _, lower_50 = _bands(close, 50)
    lowest, place = talib.MIN(low, 55), np.arange(len(close))
    return {
        **{f"log_return_{n}": np.log(talib.ROCR(close, n)) for n in (1, 2, 5, 10, 20, 60, 120)},
        **{f"drawdown_{n}": log_close - talib.MAX(log_high, n) for n in (20, 60, 252)},
        **{f"drawup_{n}": log_close - talib.MIN(log_low, n) for n in (20, 252)},
        **{f"sma_distance_{n}": close / talib.SMA(close, n) - 1 for n in (10, 20, 200)},
        **{f"rsi_{n}": talib.RSI(close, n) for n in (7, 14)},
        "macd_12_26": macd / close,
        "macd_histogram_12_26_9": histogram / close,
        **{f"ema_distance_{n}": close / ema[n] - 1 for n in (10, 20, 50)},
        "ema_cross_10_50": ema[10] / ema[50] - 1,
        "bollinger_position_20": (close - lower) / (upper - lower),
        "bollinger_position_50": (close - lower_50) / (upper_50 - lower_50),
        "bollinger_width_20": (upper - lower) / middle,
        "average_true_range_14": talib.NATR(*bar, 14) / 100,
        "adx_14": talib.ADX(*bar, 14),
        "directional_14": talib.PLUS_DI(*bar, 14) - talib.MINUS_DI(*bar, 14),
        "cci_20": talib.CCI(*bar, 20),
        "stochastic_14_3": talib.STOCH(*bar, 14, 3, 0, 1, 0)[0],
        "williams_r_14": talib.WILLR(*bar, 14),
        "aroon_25": talib.AROONOSC(*pair, 25),
        **{f"ichimoku_base_{n}": close / talib.MIDPRICE(*pair, n) - 1 for n in (9, 26)},
        "keltner_position_20": (close - ema[20]) / (2 * talib.ATR(*bar, 20)),
        "donchian_position_55": (close - lowest) / (talib.MAX(high, 55) - lowest),
        "kama_distance_10": close / talib.KAMA(close, 10) - 1,
        "trix_15": talib.TRIX(close, 15) / 100,
        "ultimate_oscillator_7_14_28": talib.ULTOSC(*bar, 7, 14, 28),
        "bull_power_13": (high - ema[13]) / close,
        "money_flow_14": talib.MFI(*bar, volume, 14),
        **{f"obv_slope_{n}": talib.MOM(talib.OBV(close, volume), n) / talib.SUM(volume, n) for n in (20, 60)},
        "volume_return_corr_20": talib.CORREL(returns, volume, 20),
        **{f"vol_cc_{n}": talib.STDDEV(returns, n, _sample(n)) for n in (5, 20, 60, 120)},
        "max_return_20": talib.MAX(returns, 20),
        "min_return_20": talib.MIN(returns, 20),
        **{f"trend_slope_{n}": talib.LINEARREG_SLOPE(log_close, n) for n in (20, 60)},
        "trend_residual_20": log_close - talib.LINEARREG(log_close, 20),
        **{f"bars_since_high_{n}": place - talib.MAXINDEX(high, n) for n in (20, 252)},
        **{f"bars_since_low_{n}": place - talib.MININDEX(low, n) for n in (20, 252)},
        "doji": talib.CDLDOJI(*candle) / 100,
        "hammer": talib.CDLHAMMER(*candle) / 100,
        "shooting_star": talib.CDLSHOOTINGSTAR(*candle) / -100,
        "marubozu": talib.CDLMARUBOZU(*candle) / 100,
        "engulfing": np.sign(talib.CDLENGULFING(*candle)),
        "harami": np.sign(talib.CDLHARAMI(*candle)),
    }


def _sample(n: int) -> float:
    """From TA-Lib's deviation of a population to ours of a sample."""
    return float(np.sqrt(n / (n - 1)))


def _bands(close: Floats, n: int) -> tuple[Floats, Floats, Floats]:
    upper, middle, lower = talib.BBANDS(close, n, 2 * _sample(n), 2 * _sample(n))
    return upper, middle, lower
