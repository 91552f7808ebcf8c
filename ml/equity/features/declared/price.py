"""Price: where the close came from, and where it stands."""

from __future__ import annotations

from ml.equity.features.feature import Feature, family

_LOG = "log return"
_BELOW = (None, 0.0)
_ABOVE = (0.0, None)
_SHARE = (0.0, 1.0)

FEATURES: tuple[Feature, ...] = (
    *family(
        "log_return", "change(log(close), {0})", (1, 2, 5, 10, 20, 60, 120), "price",
        "Return over {0} bars", _LOG,
    ),
    *family(
        "momentum", "ref(log(close), {1}) - ref(log(close), {0})", ((120, 20), (252, 20)), "price",
        "Return from {0} to {1} bars ago", _LOG, source="Jegadeesh and Titman 1993",
    ),
    Feature("gap", "night", "price", "Overnight gap", _LOG),
    Feature("intraday_return", "day", "price", "Return from open to close", _LOG),
    *family(
        "overnight_return", "sum(night, {0})", (5, 20), "price", "Sum of the overnight gaps of {0} bars", _LOG,
        source="Lou, Polk and Skouras 2019",
    ),
    Feature("range", "log(high / low)", "price", "High over low", _LOG, _ABOVE),
    Feature(
        "close_position", "(close - low) / (high - low)", "price", "Where the close stands in the day's range",
        "share of the range", _SHARE, "high equals low",
    ),
    Feature(
        "body_share", "(close - open) / (high - low)", "price", "Move from open to close in the day's range",
        "share of the range", (-1.0, 1.0), "high equals low",
    ),
    Feature("upper_shadow", "(high - top) / close", "price", "Upper shadow", "share of the price", _ABOVE),
    Feature("lower_shadow", "(bottom - low) / close", "price", "Lower shadow", "share of the price", _ABOVE),
    *family(
        "drawdown", "log(close) - highest(log(high), {0})", (20, 60, 252), "price",
        "Distance from the highest high of {0} bars", _LOG, _BELOW, source="George and Hwang 2004 (252)",
    ),
    *family(
        "drawup", "log(close) - lowest(log(low), {0})", (20, 252), "price", "Distance from the lowest low of {0} bars",
        _LOG, _ABOVE,
    ),
    *family(
        "higher_highs", "mean(high > ref(high, 1), {0})", (20,), "price", "Share of bars with a higher high", "share",
        _SHARE,
    ),
    *family(
        "lower_lows", "mean(low < ref(low, 1), {0})", (20,), "price", "Share of bars with a lower low", "share", _SHARE
    ),
    *family(
        "sma_distance", "close / mean(close, {0}) - 1", (10, 20, 200), "price",
        "Distance from the mean close of {0} bars", "share of the mean",
    ),
    *family(
        "spread_roll", "2 * sqrt(max(-cov(ret, ref(ret, 1), {0}), 0))", (60,), "price",
        "Bid-ask spread estimated from the reversal of returns", _LOG, _ABOVE, source="Roll 1984",
    ),
)  # fmt: skip
