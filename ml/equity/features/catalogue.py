"""The catalogue: every feature as a declared, named, documented thing. docs/features.md is made from it."""

from __future__ import annotations

from ml.equity.features.declared import (
    cross_sectional,
    indicators,
    market,
    pattern,
    price,
    statistical,
    timing,
    volatility,
    volume,
)
from ml.equity.features.feature import Feature, FeatureSet

__all__ = ["CATEGORIES", "DEFAULT_SET", "SCALE_FEATURE", "Feature", "FeatureSet"]

CATEGORIES = (
    *("price", "indicator", "volume", "time", "volatility", "statistical", "pattern", "market", "cross_sectional"),
)

SCALE_FEATURE = "vol_cc_20"
"""The feature that intervals are scaled by: one session's standard deviation of log returns."""

DEFAULT_SET = FeatureSet(
    "daily",
    2,
    (
        *price.FEATURES,
        *indicators.FEATURES,
        *volume.FEATURES,
        *timing.FEATURES,
        *volatility.FEATURES,
        *statistical.FEATURES,
        *pattern.FEATURES,
        *market.FEATURES,
        *cross_sectional.FEATURES,
    ),
)
"""The features of the night."""
