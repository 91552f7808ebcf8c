"""Technical indicators, divided by the close where they carry a price's unit."""

from __future__ import annotations

from ml.equity.features.feature import Feature, family

_POINTS = (0.0, 100.0)
_EITHER = (-100.0, 100.0)
_PRICE = "share of the price"
_STILL = "the price stood still in the window"
_UNMOVED = "no price moved for as long as the average remembers"
_WILDER = "Wilder 1978"

FEATURES: tuple[Feature, ...] = (
    *family(
        "rsi", "rsi(close, {0})", (7, 14), "indicator", "Relative strength index, {0} bars", "points", _POINTS,
        _UNMOVED, _WILDER,
    ),
    *family(
        "macd", "macd(close, {0}, {1}) / close", ((12, 26),), "indicator", "Fast less slow average of the close",
        _PRICE, source="Appel 1979",
    ),
    *family(
        "macd_histogram", "(macd(close, {0}, {1}) - ema(macd(close, {0}, {1}), {2})) / close", ((12, 26, 9),),
        "indicator", "MACD less its own average", _PRICE, source="Appel 1979",
    ),
    *family(
        "ema_distance", "close / ema(close, {0}) - 1", (10, 20, 50), "indicator",
        "Distance from the exponential average of {0} bars", "share of the average",
    ),
    *family(
        "ema_cross", "ema(close, {0}) / ema(close, {1}) - 1", ((10, 50),), "indicator",
        "Fast over slow exponential average", "share of the slow one",
    ),
    *family(
        "bollinger_position", "0.5 + (close - mean(close, {0})) / (4 * std(close, {0}))", (20, 50), "indicator",
        "Place between the bands at two sample standard deviations", "share of the band", nan_when=_STILL,
        source="Bollinger 2001",
    ),
    *family(
        "bollinger_width", "4 * std(close, {0}) / mean(close, {0})", (20,), "indicator", "Distance of the bands",
        _PRICE, (0.0, None), source="Bollinger 2001",
    ),
    *family(
        "average_true_range", "atr({0}) / close", (14,), "indicator", "Average true range", _PRICE, (0.0, None),
        source=_WILDER,
    ),
    *family(
        "adx", "adx({0})", (14,), "indicator", "Strength of the trend, whatever its sign", "points", _POINTS,
        _UNMOVED, _WILDER,
    ),
    *family(
        "directional", "plus_di({0}) - minus_di({0})", (14,), "indicator", "Directional movement, up less down",
        "points", _EITHER, _UNMOVED, _WILDER,
    ),
    *family(
        "cci", "(typical - mean(typical, {0})) / (0.015 * deviation(typical, {0}))", (20,), "indicator",
        "Commodity channel index", "points", nan_when=_STILL, source="Lambert 1980",
    ),
    *family(
        "stochastic", "100 * mean(place(close, {0}), {1})", ((14, 3),), "indicator", "Stochastic %K, smoothed",
        "points", _POINTS, _STILL, "Lane 1984",
    ),
    *family(
        "williams_r", "-100 * (highest(high, {0}) - close) / (highest(high, {0}) - lowest(low, {0}))", (14,),
        "indicator", "Williams %R", "points", (-100.0, 0.0), _STILL, "Williams 1973",
    ),
    *family(
        "aroon", "100 * (since_lowest(low, {0} + 1) - since_highest(high, {0} + 1)) / {0}", (25,), "indicator",
        "Aroon oscillator: how much fresher the high is than the low", "points", _EITHER, source="Chande 1995",
    ),
    *family(
        "ichimoku_base", "close / centre({0}) - 1", (9, 26), "indicator", "Distance from the centre of {0} bars",
        "share of the centre", source="Hosoda 1969",
    ),
    Feature(
        "ichimoku_cloud", "close / ref((centre(9) + centre(26)) / 2, 26) - 1", "indicator",
        "Distance from the cloud's first line", "share of the line", source="Hosoda 1969",
    ),
    *family(
        "keltner_position", "(close - ema(close, {0})) / (2 * atr({0}))", (20,), "indicator",
        "Place in the Keltner channel, 1 = its upper edge", "half channel", nan_when=_UNMOVED, source="Keltner 1960",
    ),
    *family(
        "donchian_position", "place(close, {0})", (55,), "indicator", "Place in the Donchian channel",
        "share of the channel", (0.0, 1.0), _STILL, "Donchian 1960",
    ),
    *family(
        "kama_distance", "close / kama(close, {0}) - 1", (10,), "indicator",
        "Distance from Kaufman's adaptive average", "share of the average", nan_when=_UNMOVED, source="Kaufman 1995",
    ),
    *family(
        "trix", "thrice(close, {0}) / ref(thrice(close, {0}), 1) - 1", (15,), "indicator",
        "Change of the threefold exponential average", "share per session", source="Hutson 1983",
    ),
    *family(
        "ultimate_oscillator",
        "100 * (4 * share(pressure, true_range, {0}) + 2 * share(pressure, true_range, {1})"
        " + share(pressure, true_range, {2})) / 7",
        ((7, 14, 28),), "indicator", "Buying pressure over three windows", "points", _POINTS, _STILL, "Williams 1985",
    ),
    *family(
        "choppiness", "100 * log(sum(true_range, {0}) / (highest(high, {0}) - lowest(low, {0}))) / log({0})",
        (14,), "indicator", "Choppiness: how much of the way led nowhere", "points", nan_when=_STILL,
        source="Dreiss 1993",
    ),
    *family(
        "bull_power", "(high - ema(close, {0})) / close", (13,), "indicator", "High less the average", _PRICE,
        source="Elder 1993",
    ),
)  # fmt: skip
