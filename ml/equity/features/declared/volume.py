"""Volume: how much was traded, and on which side of the price."""

from __future__ import annotations

from ml.equity.features.feature import Feature, family

_NONE = "nothing was traded in the window"
_IDLE = "a bar of the window was not traded"
_EITHER = (-1.0, 1.0)
_VOLUME = "share of the volume"

FEATURES: tuple[Feature, ...] = (
    *family(
        "volume_ratio", "volume / ref(mean(volume, {0}), 1)", (5, 20, 60), "volume",
        "Volume against the mean of the {0} bars before", "multiple", (0.0, None), "nothing was traded in those bars",
    ),
    *family(
        "volume_trend", "mean(volume, {0}) / mean(volume, {1})", ((5, 20), (20, 120)), "volume",
        "Volume of late against that of before", "multiple", (0.0, None), nan_when=_NONE,
    ),
    *family(
        "volume_spread", "std(volume, {0}) / mean(volume, {0})", (20,), "volume",
        "Standard deviation of the volume over its mean", "multiple", (0.0, None), _NONE,
    ),
    *family(
        "dollar_volume_z", "z(log(dollars), {0})", (20, 60), "volume", "Dollar volume against its own {0} bars",
        "standard deviations", nan_when=f"{_IDLE}, or all traded the same",
    ),
    *family(
        "dollar_volume_slope", "slope(log(dollars), {0})", (20,), "volume", "Growth of the dollar volume per bar",
        "log ratio", nan_when=_IDLE,
    ),
    *family(
        "obv_slope", "share(sign(ret) * volume, volume, {0})", (20, 60), "volume",
        "Change of on-balance volume", _VOLUME, _EITHER, _NONE, "Granville 1963",
    ),
    *family(
        "vwap_distance", "close / share(money, volume, {0}) - 1", (5, 20), "volume",
        "Distance from the volume-weighted typical price of {0} bars", "share of that price", nan_when=_NONE,
    ),
    *family(
        "money_flow", "100 * money_up({0}) / (money_up({0}) + money_down({0}))", (14,), "volume", "Money flow index",
        "points", (0.0, 100.0), "no traded bar moved in the window", "Quong and Soudack 1989",
    ),
    *family(
        "chaikin_money_flow", "share(accumulation, volume, {0})", (20,), "volume",
        "Volume by where the close stood in the range", _VOLUME, _EITHER, _NONE, "Chaikin",
    ),
    *family(
        "ease_of_movement", "mean(change(middle, 1) * (high - low) / (close ** 2 * volume), {0}) * mean(volume, {0})",
        (14,), "volume", "How far the price went for its volume", "squared share of the price", nan_when=_IDLE,
        source="Arms 1971",
    ),
    *family(
        "force_index", "ema(change(close, 1) * volume, {0}) / (close * mean(volume, {0}))", (13,), "volume",
        "Move times volume, averaged", "share of the price", nan_when=_NONE, source="Elder 1993",
    ),
    *family(
        "amihud", "mean(abs(ret) / dollars, {0}) / mean(abs(ret) / dollars, {1})", ((20, 120),), "volume",
        "Illiquidity (move per dollar) of late against that of before", "multiple", (0.0, None),
        nan_when=f"{_IDLE}, or the price stood still", source="Amihud 2002",
    ),
    *family(
        "volume_return_corr", "corr(ret, volume, {0})", (20,), "volume", "Correlation of return and volume",
        "correlation", _EITHER, "either stood still in the window",
    ),
)  # fmt: skip
