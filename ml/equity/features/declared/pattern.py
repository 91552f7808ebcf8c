"""Pattern: runs, swings, and candlesticks as TA-Lib defines them (Nison 1991).

Long, short, near and "nearly nothing" are measured against the ten or five candles before.
"""

from __future__ import annotations

from ml.equity.features.feature import Feature, family

_FLAG = (0.0, 1.0)
_SIGNED = (-1.0, 1.0)
_NISON = "Nison 1991"
_COLOUR = "(2 * (close >= open) - 1)"
_SMALL = "body < ref(mean(body, 10), 1)"
_LARGE = "body > ref(mean(body, 10), 1)"
_NEARLY_NOTHING = "0.1 * ref(mean(high - low, 10), 1)"
_NO_UPPER = f"high - top < {_NEARLY_NOTHING}"
_NO_LOWER = f"bottom - low < {_NEARLY_NOTHING}"


def _candle(name: str, expression: str, description: str, signed: bool = False) -> Feature:
    return Feature(name, expression, "pattern", description, "flag", _SIGNED if signed else _FLAG, source=_NISON)


FEATURES: tuple[Feature, ...] = (
    *family(
        "run_length", "streak(ret, {0})", (10,), "pattern",
        "Bars in a row in one direction, falls negative, 0 when unchanged, at most {0} either way", "bars",
        (-10.0, 10.0),
    ),
    *family(
        "bars_since_high", "since_highest(high, {0})", (20, 252), "pattern", "Bars since the highest high of {0}",
        "bars", (0.0, 251.0),
    ),
    *family(
        "bars_since_low", "since_lowest(low, {0})", (20, 252), "pattern", "Bars since the lowest low of {0}", "bars",
        (0.0, 251.0),
    ),
    *family(
        "swing_high", "log(close) - ref(highest(log(high), {0}), {1})", ((20, 5),), "pattern",
        "Distance from the highest high of the {0} bars that ended {1} bars ago", "log return",
    ),
    *family(
        "swing_low", "log(close) - ref(lowest(log(low), {0}), {1})", ((20, 5),), "pattern",
        "Distance from the lowest low of the {0} bars that ended {1} bars ago", "log return",
    ),
    _candle("doji", f"body <= {_NEARLY_NOTHING}", "Doji: nearly no body"),
    _candle(
        "hammer",
        f"{_SMALL} and bottom - low > body and {_NO_UPPER}"
        " and bottom <= ref(low, 1) + 0.2 * ref(mean(high - low, 5), 2)",
        "Hammer: small body over a long lower shadow, near the low before",
    ),
    _candle(
        "shooting_star",
        f"{_SMALL} and high - top > body and {_NO_LOWER} and bottom > ref(top, 1)",
        "Shooting star: small body below a long upper shadow, above the body before",
    ),
    _candle("marubozu", f"where({_LARGE} and {_NO_UPPER} and {_NO_LOWER}, {_COLOUR}, 0)",
            "Marubozu: long body without shadows; + rising, - falling", True),
    _candle(
        "engulfing",
        f"where({_COLOUR} * ref({_COLOUR}, 1) < 0 and top >= ref(top, 1) and bottom <= ref(bottom, 1)"
        f" and (top > ref(top, 1) or bottom < ref(bottom, 1)), {_COLOUR}, 0)",
        "Engulfing: the body holds the one before, of the other colour; + rising, - falling", True,
    ),
    _candle(
        "harami",
        f"where(ref({_LARGE}, 1) and body <= ref(mean(body, 10), 1) and top <= ref(top, 1)"
        f" and bottom >= ref(bottom, 1), -ref({_COLOUR}, 1), 0)",
        "Harami: a small body inside the long one before; the sign is against that one", True,
    ),
    _candle("inside_bar", "high < ref(high, 1) and low > ref(low, 1)", "Inside bar: its range lies in the one before"),
    _candle("outside_bar", "high > ref(high, 1) and low < ref(low, 1)", "Outside bar: its range holds the one before"),
)  # fmt: skip
