"""The 158 features of qlib's Alpha158, generated from the same definitions (Yang et al. 2020, arXiv:2009.11189).

Two things differ, both stated on the page. qlib lets a window begin with what there is; here a value is
NaN until its window is full. And daily bars carry no volume-weighted price: VWAP0 takes the typical
price, (high + low + close) / 3, in its place. qlib's 1e-12 in divisors is kept as it is.
"""

from __future__ import annotations

from collections.abc import Mapping

from ml.equity.features import groups
from ml.equity.features.feature import Feature, FeatureSet

WINDOWS = (5, 10, 20, 30, 60)

_BAR: Mapping[str, tuple[str, str]] = {
    "KMID": ("(close - open) / open", "Body over the open"),
    "KLEN": ("(high - low) / open", "Range over the open"),
    "KMID2": ("(close - open) / (high - low + 1e-12)", "Body as a share of the range"),
    "KUP": ("(high - top) / open", "Upper shadow over the open"),
    "KUP2": ("(high - top) / (high - low + 1e-12)", "Upper shadow as a share of the range"),
    "KLOW": ("(bottom - low) / open", "Lower shadow over the open"),
    "KLOW2": ("(bottom - low) / (high - low + 1e-12)", "Lower shadow as a share of the range"),
    "KSFT": ("(2 * close - high - low) / open", "Twice the close's distance from the middle, over the open"),
    "KSFT2": ("(2 * close - high - low) / (high - low + 1e-12)", "The same as a share of the range"),
    "OPEN0": ("open / close", "Open over the close"),
    "HIGH0": ("high / close", "High over the close"),
    "LOW0": ("low / close", "Low over the close"),
    "VWAP0": ("typical / close", "Typical price over the close, for want of a volume-weighted one"),
}

_UP, _DOWN, _MOVE = "max(close - ref(close, 1), 0)", "max(ref(close, 1) - close, 0)", "abs(close - ref(close, 1))"
_VOLUME_UP, _VOLUME_DOWN = "max(volume - ref(volume, 1), 0)", "max(ref(volume, 1) - volume, 0)"
_VOLUME_MOVE = "abs(volume - ref(volume, 1))"
_WEIGHTED = "abs(close / ref(close, 1) - 1) * volume"
_HIGH_AT, _LOW_AT = "({0} - since_highest(high, {0}))", "({0} - since_lowest(low, {0}))"

_WINDOWED: Mapping[str, tuple[str, str]] = {
    "ROC": ("ref(close, {0}) / close", "Close {0} bars ago over the close"),
    "MA": ("mean(close, {0}) / close", "Mean close over the close"),
    "STD": ("std(close, {0}) / close", "Standard deviation of the close over the close"),
    "BETA": ("slope(close, {0}) / close", "Slope of the close per bar over the close"),
    "RSQR": ("rsquare(close, {0})", "R2 of the straight line through the closes"),
    "RESI": ("residual(close, {0}) / close", "Distance of the close from that line, over the close"),
    "MAX": ("highest(high, {0}) / close", "Highest high over the close"),
    "MIN": ("lowest(low, {0}) / close", "Lowest low over the close"),
    "QTLU": ("quantile(close, {0}, 0.8) / close", "80 % quantile of the closes over the close"),
    "QTLD": ("quantile(close, {0}, 0.2) / close", "20 % quantile of the closes over the close"),
    "RANK": ("rank(close, {0})", "Rank of the close among the closes"),
    "RSV": (
        "(close - lowest(low, {0})) / (highest(high, {0}) - lowest(low, {0}) + 1e-12)",
        "Place of the close between lowest low and highest high",
    ),
    "IMAX": (f"{_HIGH_AT} / {{0}}", "Place of the highest high in the window, 1 = last"),
    "IMIN": (f"{_LOW_AT} / {{0}}", "Place of the lowest low in the window, 1 = last"),
    "IMXD": (f"({_HIGH_AT} - {_LOW_AT}) / {{0}}", "How much later the high came than the low"),
    "CORR": ("corr(close, log(volume + 1), {0})", "Correlation of close and log volume"),
    "CORD": (
        "corr(close / ref(close, 1), log(volume / ref(volume, 1) + 1), {0})",
        "Correlation of the changes of close and volume",
    ),
    "CNTP": ("mean(close > ref(close, 1), {0})", "Share of rises"),
    "CNTN": ("mean(close < ref(close, 1), {0})", "Share of falls"),
    "CNTD": (
        "mean(close > ref(close, 1), {0}) - mean(close < ref(close, 1), {0})",
        "Share of rises less that of falls",
    ),
    "SUMP": (f"sum({_UP}, {{0}}) / (sum({_MOVE}, {{0}}) + 1e-12)", "Gains as a share of all moves"),
    "SUMN": (f"sum({_DOWN}, {{0}}) / (sum({_MOVE}, {{0}}) + 1e-12)", "Losses as a share of all moves"),
    "SUMD": (
        f"(sum({_UP}, {{0}}) - sum({_DOWN}, {{0}})) / (sum({_MOVE}, {{0}}) + 1e-12)",
        "Gains less losses as a share of all moves",
    ),
    "VMA": ("mean(volume, {0}) / (volume + 1e-12)", "Mean volume over the volume"),
    "VSTD": ("std(volume, {0}) / (volume + 1e-12)", "Standard deviation of the volume over the volume"),
    "WVMA": (
        f"std({_WEIGHTED}, {{0}}) / (mean({_WEIGHTED}, {{0}}) + 1e-12)",
        "Spread of the volume-weighted moves over their mean",
    ),
    "VSUMP": (f"sum({_VOLUME_UP}, {{0}}) / (sum({_VOLUME_MOVE}, {{0}}) + 1e-12)", "Rises of volume, share of all"),
    "VSUMN": (f"sum({_VOLUME_DOWN}, {{0}}) / (sum({_VOLUME_MOVE}, {{0}}) + 1e-12)", "Falls of volume, share of all"),
    "VSUMD": (
        f"(sum({_VOLUME_UP}, {{0}}) - sum({_VOLUME_DOWN}, {{0}})) / (sum({_VOLUME_MOVE}, {{0}}) + 1e-12)",
        "Rises less falls of volume, share of all",
    ),
}

_SOURCE = "qlib Alpha158"


def _feature(name: str, expression: str, description: str) -> Feature:
    return Feature(name, expression, groups.ALPHA158, description, "none", source=_SOURCE)


ALPHA158 = FeatureSet(
    groups.ALPHA158,
    1,
    (
        *(_feature(name, expression, description) for name, (expression, description) in _BAR.items()),
        *(
            _feature(f"{stem}{window}", expression.format(window), f"{description.format(window)}, {window} bars")
            for stem, (expression, description) in _WINDOWED.items()
            for window in WINDOWS
        ),
    ),
)
"""Features of qlib's names, in qlib's order."""
