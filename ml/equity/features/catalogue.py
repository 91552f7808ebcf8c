"""The catalogue: every feature as a declared, named, documented thing.

All features are scale-free: a constant factor on a symbol's adjusted prices changes nothing, so it
does not matter from which day adjustment counts. docs/features.md is made from this file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from ml.equity.features import indicators, pattern, price, statistical, timing, volatility, volume
from ml.equity.features.bars import Reals

CATEGORIES = ("price", "indicator", "volume", "time", "volatility", "statistical", "pattern")


@dataclass(frozen=True)
class Feature:
    """One column: `function(bars, *params)` over one symbol's history.

    lookback: bars needed for the first value; all before it are NaN, nothing is filled forward
    unit: what one unit of the value means
    valid_range: least and greatest possible value, None where there is no bound
    nan_when: where else the value is NaN ("" for nowhere)
    revision: raised when the function changes its values under an unchanged declaration
    """

    function: Callable[..., Reals]
    params: tuple[int, ...]
    category: str
    description: str
    formula: str
    lookback: int
    unit: str
    valid_range: tuple[float | None, float | None] = (None, None)
    nan_when: str = ""
    revision: int = 1

    @property
    def name(self) -> str:
        """The function's name and its parameters, e.g. `log_return_5`."""
        return "_".join([self.function.__name__, *map(str, self.params)])

    @property
    def definition(self) -> dict[str, object]:
        """All that decides its values, as plain JSON: not its words, which may be bettered at any time."""
        return {"name": self.name, "params": list(self.params), "lookback": self.lookback, "revision": self.revision}


@dataclass(frozen=True)
class FeatureSet:
    """A named, versioned choice of features; the order is that of the columns."""

    name: str
    version: int
    features: tuple[Feature, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The column names in order."""
        return tuple(feature.name for feature in self.features)

    @cached_property
    def digest(self) -> str:
        """sha256 (hex) over the canonical JSON of name, version and all definitions."""
        content = {
            "name": self.name,
            "version": self.version,
            "features": [feature.definition for feature in self.features],
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


_LOG = "log return"
_YES_NO = (-1.0, 1.0)
_NOT_NEGATIVE = (0.0, None)
_STILL = "the price stood still in the window"


def _log_return(sessions: int) -> Feature:
    return Feature(
        price.log_return,
        (sessions,),
        "price",
        f"Return over {sessions} bars",
        f"log(close[t] / close[t-{sessions}])",
        sessions + 1,
        _LOG,
    )


_PRICE = (
    *(_log_return(sessions) for sessions in (1, 5, 10, 20, 60)),
    Feature(price.gap, (), "price", "Overnight gap", "log(open[t] / close[t-1])", 2, _LOG),
    Feature(price.intraday_return, (), "price", "Return from open to close", "log(close / open)", 1, _LOG),
    Feature(
        price.close_position,
        (),
        "price",
        "Where the close stands in the day's range",
        "(close - low) / (high - low)",
        1,
        "share of the range",
        (0.0, 1.0),
        "high equals low",
    ),
    Feature(
        price.drawdown,
        (252,),
        "price",
        "Distance from the 52-week high",
        "log(close / max(high over 252 bars))",
        252,
        _LOG,
        (None, 0.0),
    ),
)

_INDICATORS = (
    Feature(
        indicators.rsi,
        (14,),
        "indicator",
        "Relative strength index (Wilder 1978)",
        "TA-Lib RSI(close, 14)",
        15,
        "points",
        (0.0, 100.0),
    ),
    Feature(
        indicators.macd_histogram,
        (12, 26, 9),
        "indicator",
        "MACD histogram over the close (Appel)",
        "TA-Lib MACD(close, 12, 26, 9) histogram / close",
        34,
        "share of the price",
    ),
    Feature(
        indicators.bollinger_position,
        (20,),
        "indicator",
        "Bollinger %b: place between the bands at two standard deviations",
        "(close - lower) / (upper - lower), bands = mean -+ 2 population standard deviations over 20 bars",
        20,
        "share of the band",
        nan_when=_STILL,
    ),
    Feature(
        indicators.average_true_range,
        (14,),
        "indicator",
        "Average true range over the close (Wilder 1978)",
        "TA-Lib ATR(high, low, close, 14) / close",
        15,
        "share of the price",
        _NOT_NEGATIVE,
    ),
    Feature(
        indicators.adx,
        (14,),
        "indicator",
        "Average directional index: strength of the trend, whatever its sign (Wilder 1978)",
        "TA-Lib ADX(high, low, close, 14)",
        28,
        "points",
        (0.0, 100.0),
    ),
    Feature(
        indicators.cci,
        (20,),
        "indicator",
        "Commodity channel index (Lambert 1980)",
        "TA-Lib CCI(high, low, close, 20)",
        20,
        "points",
    ),
    Feature(
        indicators.stochastic,
        (14, 3),
        "indicator",
        "Stochastic %K, smoothed (Lane)",
        "TA-Lib STOCH slow %K(high, low, close, 14, 3)",
        16,
        "points",
        (0.0, 100.0),
    ),
    Feature(
        indicators.williams_r,
        (14,),
        "indicator",
        "Williams %R",
        "TA-Lib WILLR(high, low, close, 14)",
        14,
        "points",
        (-100.0, 0.0),
    ),
)

_VOLUME = (
    Feature(
        volume.volume_ratio,
        (20,),
        "volume",
        "Volume against the 20 bars before",
        "volume[t] / mean(volume[t-20 .. t-1])",
        21,
        "multiple",
        _NOT_NEGATIVE,
        "nothing was traded in those 20 bars",
    ),
    Feature(
        volume.obv_slope,
        (20,),
        "volume",
        "Change of on-balance volume (Granville 1963) as a share of the volume",
        "sum(sign(return) x volume over 20 bars) / sum(volume over 20 bars)",
        21,
        "share of the volume",
        _YES_NO,
        "nothing was traded in the window",
    ),
    Feature(
        volume.money_flow,
        (14,),
        "volume",
        "Money flow index",
        "TA-Lib MFI(high, low, close, volume, 14)",
        15,
        "points",
        (0.0, 100.0),
    ),
    Feature(
        volume.dollar_volume_z,
        (20,),
        "volume",
        "Dollar volume against its own last 20 bars",
        "z-score over 20 bars of log(close x volume)",
        20,
        "standard deviations",
        nan_when="a bar of the window was not traded, or all traded the same",
    ),
)

_TIME = (
    Feature(timing.weekday, (), "time", "Day of the week", "0 = Monday to 6 = Sunday", 1, "day", (0.0, 6.0)),
    Feature(
        timing.month_sin, (), "time", "Month on a circle, first axis", "sin(2 pi (month - 1) / 12)", 1, "none", _YES_NO
    ),
    Feature(
        timing.month_cos, (), "time", "Month on a circle, second axis", "cos(2 pi (month - 1) / 12)", 1, "none", _YES_NO
    ),
    Feature(
        timing.session_of_month,
        (),
        "time",
        "Sessions of the exchange in this month so far (turn of the month)",
        "1 on the first session of a month",
        1,
        "sessions",
        (1.0, 31.0),
    ),
    Feature(
        timing.days_since_session,
        (),
        "time",
        "Calendar days since the exchange's session before (weekends, holidays)",
        "date[t] - date of the session before",
        1,
        "days",
        (1.0, None),
    ),
)

SCALE_FEATURE = "vol_cc_20"
"""The feature that intervals are scaled by: one session's standard deviation of log returns."""

_VOLATILITY = (
    Feature(
        volatility.vol_cc,
        (20,),
        "volatility",
        "Standard deviation of the daily returns over 20 bars",
        "sample standard deviation of log(close[t] / close[t-1])",
        21,
        "log return per session",
        _NOT_NEGATIVE,
    ),
    Feature(
        volatility.vol_parkinson,
        (20,),
        "volatility",
        "Volatility from the daily range (Parkinson 1980)",
        "sqrt(mean(log(high / low)^2 over 20 bars) / (4 log 2))",
        20,
        "log return per session",
        _NOT_NEGATIVE,
    ),
    Feature(
        volatility.vol_garman_klass,
        (20,),
        "volatility",
        "Volatility from range, open and close (Garman and Klass 1980)",
        "sqrt(mean(log(high / low)^2 / 2 - (2 log 2 - 1) log(close / open)^2 over 20 bars))",
        20,
        "log return per session",
        _NOT_NEGATIVE,
    ),
    Feature(
        volatility.vol_ratio,
        (5, 60),
        "volatility",
        "This week's volatility against this quarter's",
        "standard deviation of returns over 5 bars / over 60 bars",
        61,
        "multiple",
        _NOT_NEGATIVE,
        _STILL,
    ),
)

_STATISTICAL = (
    Feature(
        statistical.return_z,
        (20,),
        "statistical",
        "The last return against its own last 20 bars",
        "(return - mean) / sample standard deviation over 20 bars",
        21,
        "standard deviations",
        nan_when=_STILL,
    ),
    Feature(
        statistical.skew,
        (20,),
        "statistical",
        "Skewness of the returns over 20 bars",
        "mean((return - mean)^3) / population standard deviation^3",
        21,
        "none",
        nan_when=_STILL,
    ),
    Feature(
        statistical.autocorrelation,
        (20,),
        "statistical",
        "Correlation of 20 returns with the returns one bar before",
        "Pearson correlation of return[t] and return[t-1] over 20 bars",
        22,
        "correlation",
        _YES_NO,
        _STILL,
    ),
    Feature(
        statistical.efficiency,
        (20,),
        "statistical",
        "How straight the way was (Kaufman 1995)",
        "|sum(return)| / sum(|return|) over 20 bars",
        21,
        "share",
        (0.0, 1.0),
        _STILL,
    ),
)

_PATTERN = (
    Feature(
        pattern.run_length,
        (),
        "pattern",
        "Bars in a row in one direction",
        "+ count of rises in a row or - count of falls, 0 when unchanged, at most 20 either way",
        2,
        "bars",
        (-20.0, 20.0),
    ),
    Feature(pattern.doji, (), "pattern", "Doji candle", "TA-Lib CDLDOJI / 100", 11, "flag", _YES_NO),
    Feature(pattern.hammer, (), "pattern", "Hammer candle", "TA-Lib CDLHAMMER / 100", 12, "flag", _YES_NO),
    Feature(
        pattern.engulfing,
        (),
        "pattern",
        "Engulfing candles: + bullish, - bearish",
        "TA-Lib CDLENGULFING / 100",
        3,
        "flag",
        _YES_NO,
    ),
)

DEFAULT_SET = FeatureSet("daily", 1, (*_PRICE, *_INDICATORS, *_VOLUME, *_TIME, *_VOLATILITY, *_STATISTICAL, *_PATTERN))
"""The features of the night."""
