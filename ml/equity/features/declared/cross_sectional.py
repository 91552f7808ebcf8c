"""Cross-sectional: chosen features beside those of the other symbols of the same date.

Ranks and z-scores read their feature as it stands in its own column, in float32.
"""

from __future__ import annotations

from collections.abc import Iterable

from ml.equity.features.declared import indicators, price, statistical, volatility, volume
from ml.equity.features.feature import Feature

_RANKED = (
    *("log_return_1", "log_return_5", "log_return_20", "momentum_252_20"),
    *("vol_cc_20", "volume_ratio_20", "rsi_14"),
)
_SCALED = ("log_return_1", "log_return_5", "vol_cc_20", "range")


def _of(names: Iterable[str]) -> list[Feature]:
    known = (*price.FEATURES, *indicators.FEATURES, *volume.FEATURES, *volatility.FEATURES, *statistical.FEATURES)
    found = {feature.name: feature for feature in known}
    return [found[name] for name in names]


def _lacking(feature: Feature) -> str:
    return f"`{feature.name}` is"


FEATURES: tuple[Feature, ...] = (
    *(
        Feature(
            f"cs_rank_{one.name}", f"cs_rank({one.expression})", "cross_sectional",
            f"Rank of `{one.name}` among the symbols of the date", "share", (0.0, 1.0), _lacking(one),
        )
        for one in _of(_RANKED)
    ),
    *(
        Feature(
            f"cs_z_{one.name}", f"cs_z({one.expression})", "cross_sectional",
            f"`{one.name}` against its mean over the symbols of the date", "standard deviations",
            nan_when=f"{_lacking(one)}, or all symbols agree",
        )
        for one in _of(_SCALED)
    ),
)  # fmt: skip
