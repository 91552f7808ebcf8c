"""Statistics of returns and log prices in a trailing window."""

from __future__ import annotations

from ml.equity.features.feature import Feature, family

_STILL = "the price stood still in the window"
_CORRELATION = (-1.0, 1.0)
_SHARE = (0.0, 1.0)

FEATURES: tuple[Feature, ...] = (
    *family(
        "return_z", "z(ret, {0})", (20,), "statistical", "The last return against its own {0} bars",
        "standard deviations", nan_when=_STILL,
    ),
    *family(
        "price_z", "z(log(close), {0})", (20, 60), "statistical", "The log price against its own {0} bars",
        "standard deviations", nan_when=_STILL,
    ),
    *family(
        "sharpe", "mean(ret, {0}) / std(ret, {0})", (60,), "statistical", "Mean return over its spread",
        "standard deviations", nan_when=_STILL, source="Sharpe 1966",
    ),
    *family(
        "skew", "skew(ret, {0})", (20, 60), "statistical", "Skewness of the returns of {0} bars", "none",
        nan_when=_STILL,
    ),
    *family(
        "kurt", "kurt(ret, {0})", (60,), "statistical", "Excess kurtosis of the returns of {0} bars", "none",
        nan_when=_STILL,
    ),
    *family(
        "autocorrelation", "corr(ret, ref(ret, {1}), {0})", ((20, 1), (60, 5)), "statistical",
        "Correlation of {0} returns with those {1} bars before", "correlation", _CORRELATION, _STILL,
    ),
    *family(
        "variance_ratio", "std(change(log(close), {1}), {0}) ** 2 / ({1} * std(ret, {0}) ** 2)", ((60, 5),),
        "statistical", "Variance of {1}-bar returns over {1} times that of one bar", "multiple", (0.0, None), _STILL,
        "Lo and MacKinlay 1988",
    ),
    *family(
        "hurst", "log(std(change(log(close), {1}), {0}) / std(ret, {0})) / log({1})", ((120, 16),), "statistical",
        "Hurst exponent from how the spread grows with the span, 0.5 for a random walk", "none", nan_when=_STILL,
        source="Hurst 1951; Mandelbrot 1968",
    ),
    *family(
        "entropy", "entropy_of(mean(ret > 0, {0}))", (20,), "statistical", "Entropy of rises and others", "bits",
        _SHARE, source="Shannon 1948",
    ),
    *family(
        "efficiency", "efficiency(log(close), {0})", (10, 20, 60), "statistical",
        "How straight the way of {0} bars was", "share", _SHARE, _STILL, "Kaufman 1995",
    ),
    *family(
        "trend_slope", "slope(log(close), {0})", (20, 60), "statistical", "Slope of the log price per bar",
        "log return per session",
    ),
    *family(
        "trend_fit", "rsquare(log(close), {0})", (20, 60), "statistical", "R2 of the straight line", "share", _SHARE,
        _STILL,
    ),
    *family(
        "trend_residual", "residual(log(close), {0})", (20,), "statistical", "Distance from the straight line",
        "log return",
    ),
)  # fmt: skip
