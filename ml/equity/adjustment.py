"""Splits and dividends: raw bars made comparable over time, without looking ahead.

The usual "adjusted close" is scaled so that the last price stays as it was; every new dividend then
rewrites the whole past. Here the first price stays, and an action scales what follows it: an adjusted
value depends on nothing that happened later. Returns are the same either way (CRSP Data Description
Guide, "holding period return"; Yahoo and Quandl use the same multipliers).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.equity import sessions
from ml.frames import ACTIONS, ADJUSTED

REVISION = 1
"""Raised by whoever changes what adjusted bars come out: what was made by older code is then made anew."""

Reals = npt.NDArray[np.float64]
Positions = npt.NDArray[np.int64]

_PRICES = ("open", "high", "low", "close")
_KINDS = ("split", "dividend")
_DAYS_APART = 1 << 20
"""Room for one symbol's days in a composite key (2800 years)."""


def adjust(bars: pd.DataFrame, actions: pd.DataFrame, calendar: str) -> pd.DataFrame:
    """ADJUSTED of BARS: price(t) = raw(t) x product of 1/m over the actions with ex_date <= session(t).

    m = 1/ratio for a split, m = 1 - dividend / (raw close of the symbol's last bar before ex_date) for
    a dividend. Several actions on one date multiply, each dividend counted per share held the evening
    before. Volume is divided by the split ratios alone. An action takes effect with the first bar on
    or after its ex_date; one before or on the symbol's first bar has nothing to be compared with and
    is ignored, as are actions of other symbols. So are the actions that `unusable_actions` lists.
    """
    key, placed = _place(bars, actions, calendar)
    good = placed[placed["reason"] == ""]
    splits = good[good["kind"] == "split"]
    price = _running_product(key, good["bar"].to_numpy(), 1.0 / good["m"].to_numpy())
    shares = _running_product(key, splits["bar"].to_numpy(), splits["value"].to_numpy())
    frame = {"symbol": bars["symbol"], "ts": bars["ts"]}
    frame |= {column: bars[column] * price for column in _PRICES}
    frame |= {"volume": bars["volume"] / shares, "raw_close": bars["close"]}
    return ADJUSTED.cast(pd.DataFrame(frame))


def unusable_actions(bars: pd.DataFrame, actions: pd.DataFrame, calendar: str) -> pd.DataFrame:
    """The actions that `adjust` leaves out although they would count, with a column `reason`.

    They are those whose value is not a positive number, whose kind is neither split nor dividend, and
    dividends not below the close of the evening before.
    """
    _, placed = _place(bars, actions, calendar)
    return placed.loc[placed["reason"] != "", [*ACTIONS.columns, "reason"]].reset_index(drop=True)


def _place(bars: pd.DataFrame, actions: pd.DataFrame, calendar: str) -> tuple[Positions, pd.DataFrame]:
    """The bars' keys, and the actions that fall between a symbol's bars.

    Each comes with `bar`, the position of the first bar it affects, its multiplier `m` and the
    `reason` why it cannot be used ("" when it can).
    """
    symbols = pd.Index(bars["symbol"].unique())
    key = _keys(symbols, bars["symbol"], sessions.session_of(calendar, bars["ts"]))
    own = actions[actions["symbol"].isin(symbols)]
    own_key = _keys(symbols, own["symbol"], own["ex_date"])
    bar = np.searchsorted(key, own_key)
    between = (bar < len(key)) & (bar > 0)
    between[between] = _same_symbol(key[bar[between]], own_key[between]) & _same_symbol(
        key[bar[between] - 1], own_key[between]
    )
    own, bar = own[between], bar[between]
    paid_from = bars["close"].to_numpy()[bar - 1]
    value, kind = own["value"].to_numpy(), own["kind"].to_numpy()
    reason = np.select(
        [~(np.isfinite(value) & (value > 0)), ~np.isin(kind, _KINDS), (kind == "dividend") & (value >= paid_from)],
        ["not a positive number", "neither split nor dividend", "not below the close of the evening before"],
        default="",
    )
    with np.errstate(divide="ignore"):
        m = np.where(kind == "dividend", 1.0 - value / paid_from, 1.0 / value)
    return key, own.assign(bar=bar, m=m, reason=reason)


def _keys(symbols: pd.Index, symbol: pd.Series, day: pd.Series) -> Positions:
    """One integer per row that orders rows by symbol (in the order of `symbols`), then by day."""
    code = symbols.get_indexer(pd.Index(symbol)).astype(np.int64)
    return code * _DAYS_APART + day.to_numpy().astype("datetime64[D]").astype(np.int64)


def _same_symbol(one: Positions, other: Positions) -> npt.NDArray[np.bool_]:
    return np.equal(one // _DAYS_APART, other // _DAYS_APART)


def _running_product(key: Positions, bar: Positions, factor: Reals) -> Reals:
    """Per bar, the product of the factors that took effect on it or before it in its own symbol.

    Multiplied in the order of time, one after the other, so that a later action leaves every bit of
    the earlier products alone.
    """
    result = np.ones(len(key))
    if not len(bar):
        return result
    order = np.argsort(bar, kind="stable")
    bar, factor = bar[order], factor[order]
    product = pd.Series(factor).groupby(key[bar] // _DAYS_APART).cumprod().to_numpy()
    last = np.searchsorted(bar, np.arange(len(key)), side="right") - 1
    affected = (last >= 0) & _same_symbol(key[bar[last]], key)
    result[affected] = product[last[affected]]
    return result
