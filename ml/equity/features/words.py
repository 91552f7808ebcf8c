"""Features in words, and a prediction's reasons as sentences: where a feature stands, and which way it pushes."""

from __future__ import annotations

from collections.abc import Callable

from ml.equity.features.feature import Feature, FeatureSet

HALF = 0.5


def descriptions(feature_set: FeatureSet) -> dict[str, str]:
    """What each feature of a set is, by its name: `Relative strength index, 14 bars (rsi_14)`."""
    return {feature.name: _what(feature) for feature in feature_set.features}


def words(feature_set: FeatureSet) -> Callable[..., str]:
    """How reasons that look at the features of a set are told."""
    known = descriptions(feature_set)

    def told(feature: str, effect: float, value: float | None, share_below: float | None) -> str:
        """`Relative strength index, 14 bars (rsi_14) at 23.1, lower than 95 % of the training rows: pushes up`."""
        return f"{known[feature]} {_where(value, share_below)}: pushes {'up' if effect > 0 else 'down'}"

    return told


def _what(feature: Feature) -> str:
    return f"{feature.description} ({feature.name})" if feature.description else feature.name


def _where(value: float | None, share_below: float | None) -> str:
    if value is None or share_below is None:
        return "is not known"
    side, share = ("higher", share_below) if share_below >= HALF else ("lower", 1 - share_below)
    return f"at {value:.4g}, {side} than {share:.0%} of the training rows".replace("%", " %")
