"""Volatility, per session (not annualised)."""

from __future__ import annotations

from ml.equity.features.feature import Feature, family

_UNIT = "log return per session"
_POSITIVE = (0.0, None)
_STILL = "the price stood still in the window"

FEATURES: tuple[Feature, ...] = (
    *family(
        "vol_cc", "std(ret, {0})", (5, 20, 60, 120), "volatility", "Standard deviation of the returns of {0} bars",
        _UNIT, _POSITIVE,
    ),
    *family(
        "vol_parkinson", "sqrt(mean(log(high / low) ** 2, {0}) / (4 * log(2)))", (20, 60), "volatility",
        "Volatility from the daily range, {0} bars", _UNIT, _POSITIVE, source="Parkinson 1980",
    ),
    *family(
        "vol_garman_klass", "sqrt(mean(garman_klass, {0}))", (20,), "volatility",
        "Volatility from range, open and close, {0} bars", _UNIT, _POSITIVE, source="Garman and Klass 1980",
    ),
    *family(
        "vol_rogers_satchell", "sqrt(max(mean(rogers_satchell, {0}), 0))", (20,), "volatility",
        "Volatility from range, open and close whatever the drift", _UNIT, _POSITIVE, source="Rogers and Satchell 1991",
    ),
    *family(
        "vol_yang_zhang",
        "sqrt(std(night, {0}) ** 2 + 0.34 / (1.34 + ({0} + 1) / ({0} - 1)) * std(day, {0}) ** 2"
        " + (1 - 0.34 / (1.34 + ({0} + 1) / ({0} - 1))) * max(mean(rogers_satchell, {0}), 0))",
        (20, 60), "volatility", "Volatility from gaps, ranges and bodies, {0} bars", _UNIT, _POSITIVE,
        source="Yang and Zhang 2000",
    ),
    *family(
        "vol_ewma", "sqrt(ema(ret ** 2, {0}))", (32,), "volatility",
        "Exponentially weighted volatility, decay 0.94", _UNIT, _POSITIVE, source="RiskMetrics 1996",
    ),
    *family(
        "vol_overnight", "std(night, {0})", (20,), "volatility", "Standard deviation of the gaps", _UNIT, _POSITIVE
    ),
    *family(
        "vol_down", "sqrt(mean(min(ret, 0) ** 2, {0}))", (20,), "volatility", "Root mean square of the falls",
        _UNIT, _POSITIVE, source="Sortino 1994",
    ),
    *family(
        "vol_ratio", "std(ret, {0}) / std(ret, {1})", ((5, 60), (20, 120)), "volatility",
        "Volatility of {0} bars against that of {1}", "multiple", _POSITIVE, _STILL,
    ),
    *family(
        "vol_of_vol", "std(std(ret, {0}), {1}) / mean(std(ret, {0}), {1})", ((20, 60),), "volatility",
        "How much the volatility itself varied", "multiple", _POSITIVE, _STILL,
    ),
    *family(
        "vol_percentile", "rank(std(ret, {0}), {1})", ((20, 120),), "volatility",
        "Rank of the volatility among its own {1} bars", "share", (0.0, 1.0),
    ),
    *family(
        "range_ratio", "log(high / low) / mean(log(high / low), {0})", (20,), "volatility",
        "Today's range against the mean range", "multiple", _POSITIVE, _STILL,
    ),
    *family(
        "max_return", "highest(ret, {0})", (20,), "volatility", "Best return of {0} bars", "log return",
        source="Bali, Cakici and Whitelaw 2011",
    ),
    *family("min_return", "lowest(ret, {0})", (20,), "volatility", "Worst return of {0} bars", "log return"),
)  # fmt: skip
