"""The catalogue: every feature as a declared, named, documented thing. docs/features.md is made from it."""

from __future__ import annotations

from ml.equity.features.declared import (
    cross_sectional,
    indicators,
    market,
    pattern,
    price,
    sector,
    statistical,
    timing,
    volatility,
    volume,
)
from ml.equity.features.feature import Feature, FeatureSet
from ml.equity.features.groups import CATEGORIES, DAILY

__all__ = ["CATEGORIES", "DEFAULT_SET", "MOMENTUM_FEATURE", "REGIME_FEATURES", "SCALE_FEATURE", "Feature", "FeatureSet"]

SCALE_FEATURE = "vol_cc_20"
"""The feature that intervals are scaled by: one session's standard deviation of log returns."""

REGIME_FEATURES = ("market_vol_20", "market_return_20", "vol_cc_20")
"""What the weights of an ensemble's members may depend on, as far as a set has them."""

MOMENTUM_FEATURE = "momentum_252_20"
"""Whose sign the baseline momentum follows: the return of a year without its last month (Jegadeesh and Titman 1993)."""

DEFAULT_SET = FeatureSet(
    DAILY,
    3,
    (
        *price.FEATURES,
        *indicators.FEATURES,
        *volume.FEATURES,
        *timing.FEATURES,
        *volatility.FEATURES,
        *statistical.FEATURES,
        *pattern.FEATURES,
        *market.FEATURES,
        *sector.FEATURES,
        *cross_sectional.FEATURES,
    ),
)
"""The features of the night."""
