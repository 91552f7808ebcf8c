"""Market-relative: against the equal-weighted mean return of all symbols of the same date (CAPM, Sharpe 1964)."""

from __future__ import annotations

from ml.equity.features.feature import Feature, family

_LOG = "log return"
_FLAT = "the market stood still in the window"

FEATURES: tuple[Feature, ...] = (
    *family("market_return", "sum(market, {0})", (1, 20), "market", "The market's return over {0} bars", _LOG),
    *family(
        "market_vol", "std(market, {0})", (20,), "market", "Standard deviation of the market's returns",
        "log return per session", (0.0, None),
    ),
    Feature("market_breadth", "cs_mean(ret > 0)", "market", "Share of symbols that rose", "share", (0.0, 1.0)),
    *family(
        "relative_strength", "change(log(close), {0}) - sum(market, {0})", (5, 20, 60), "market",
        "Return over {0} bars less the market's", _LOG,
    ),
    *family(
        "beta_mkt", "beta(ret, market, {0})", (60,), "market", "Slope of the return on the market's", "multiple",
        nan_when=_FLAT,
    ),
    *family(
        "correlation_mkt", "corr(ret, market, {0})", (60,), "market", "Correlation with the market", "correlation",
        (-1.0, 1.0), f"{_FLAT}, or the price did",
    ),
    *family(
        "vol_idiosyncratic", "unexplained(ret, market, {0})", (60,), "market",
        "Standard deviation of what the market does not explain", "log return per session", (0.0, None), _FLAT,
        "Ang, Hodrick, Xing and Zhang 2006",
    ),
)  # fmt: skip
