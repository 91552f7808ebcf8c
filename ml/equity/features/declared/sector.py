"""Sector-relative: against the equal-weighted mean of the symbols of the same sector and date.

NaN where nobody knows the symbol's sector, and while a date in the window had nobody else of it with a value. Ranks
read their feature as it stands in its own column, in float32.
"""

from __future__ import annotations

from ml.equity.features.declared import price, volatility
from ml.equity.features.feature import Feature, family

_LOG = "log return"
_UNKNOWN = "no sector is known, or nobody else of it has a value"
_FLAT = f"{_UNKNOWN}; the sector stood still in the window"
_RANKED = ("log_return_5", "log_return_20", "vol_cc_20")

FEATURES: tuple[Feature, ...] = (
    *family(
        "relative_strength_sector", "change(log(close), {0}) - sum(sector_ret, {0})", (1, 5, 20, 60), "sector",
        "Return over {0} bars less the sector's", _LOG, nan_when=_UNKNOWN,
    ),
    *family(
        "sector_strength", "sum(sector_ret, {0}) - sum(market, {0})", (20, 60), "sector",
        "The sector's return over {0} bars less the market's", _LOG, nan_when=_UNKNOWN,
        source="Moskowitz and Grinblatt 1999",
    ),
    Feature(
        "sector_breadth", "sector_mean(ret > 0)", "sector", "Share of the sector's symbols that rose", "share",
        (0.0, 1.0), _UNKNOWN,
    ),
    *family(
        "beta_sector", "beta(ret, sector_ret, {0})", (60,), "sector", "Slope of the return on the sector's",
        "multiple", nan_when=_FLAT,
    ),
    *family(
        "vol_idiosyncratic_sector", "unexplained(ret, sector_ret, {0})", (60,), "sector",
        "Standard deviation of what the sector does not explain", "log return per session", (0.0, None), _FLAT,
    ),
    *(
        Feature(
            f"sector_rank_{one.name}", f"sector_rank({one.expression})", "sector",
            f"Rank of `{one.name}` among the symbols of the sector and date", "share", (0.0, 1.0), _UNKNOWN,
        )
        for one in (*price.FEATURES, *volatility.FEATURES)
        if one.name in _RANKED
    ),
)  # fmt: skip
