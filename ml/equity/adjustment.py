"""Corporate actions: raw bars made comparable over time, without looking ahead.

The usual "adjusted close" is scaled so that the last price stays as it was; every new dividend then
rewrites the whole past. Here the first price stays, and an action scales what follows it: an adjusted
value depends on nothing that happened later. Returns are the same either way.

A return over an ex-date is what a holder got: (new shares x close + cash) / close before (CRSP Data
Description Guide, "holding period return"; Quandl's and Tiingo's adjusted closes are made so, Yahoo's
scale the past by 1 - cash / close before, which overstates the return's distance from zero).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.equity import sessions
from ml.frames import ACTIONS, ADJUSTED

Adjustment = Literal["none", "splits", "total_return"]
Reals = npt.NDArray[np.float64]
Positions = npt.NDArray[np.int64]

PAYMENTS = ("dividend", "special_dividend", "spin_off")
"""The kinds that hand out a value per share; a `split` changes the number of shares."""

_PRICES = ("open", "high", "low", "close")
TWICE_WITHIN = 5
"""Bars within which an equal split may be the same one, recorded twice."""
_DAYS_APART = 1 << 20
"""Room for one symbol's days in a composite key (2800 years)."""


@dataclass(frozen=True)
class Factors:
    """What raw values are adjusted by, per bar: prices are multiplied by `price`, volumes divided by `shares`."""

    price: Reals
    shares: Reals


@dataclass(frozen=True)
class Carried:
    """From where an adjustment goes on, when of each symbol only the last bars before it are at hand.

    old: per bar, whether it is one of those; there are at least TWICE_WITHIN + 1 of a symbol, or all
    price, shares: per symbol, in the order of the bars, the factors of its last old bar; 1 without any
    """

    old: npt.NDArray[np.bool_]
    price: Reals
    shares: Reals


def adjust(
    bars: pd.DataFrame, actions: pd.DataFrame, calendar: str, adjustment: Adjustment = "total_return"
) -> pd.DataFrame:
    """ADJUSTED of BARS: price(t) = raw(t) x product of f over the actions with ex_date <= session(t).

    f = shares + cash / raw close, of the bar with which the actions take effect: `shares` is what one
    share of the symbol's last bar before became (splits multiply), `cash` what it was paid (dividends,
    special ones and spin-offs add up, each a value per share held the evening before its ex_date).
    "splits" leaves the payments out, "none" the splits too. Volume is divided by the split ratios alone.
    An action takes effect with the first bar on or after its ex_date; one before or on the symbol's
    first bar has nothing to be compared with and is ignored, as are actions of other symbols. So are
    the actions that `unusable_actions` lists.
    """
    return adjusted(bars, factors(bars, actions, calendar, adjustment))


def factors(
    bars: pd.DataFrame,
    actions: pd.DataFrame,
    calendar: str,
    adjustment: Adjustment = "total_return",
    carried: Carried | None = None,
) -> Factors:
    """What `adjust` adjusts by; with `carried` the new bars' are those of the whole history, to the bit.

    Of the old bars, then, only the last one of each symbol has its own.
    """
    key, placed = _place(bars, actions, calendar)
    good = placed[placed["reason"] == ""] if adjustment != "none" else placed.iloc[:0]
    if adjustment == "splits":
        good = good[good["kind"] == "split"]
    if carried is not None:
        good = good[~carried.old[good["bar"].to_numpy()]]
    by_bar = good.groupby("bar").agg(shares=("ratio", "prod"), cash=("paid", "sum"))
    bar, ratio = by_bar.index.to_numpy(), by_bar["shares"].to_numpy()
    worth = ratio + by_bar["cash"].to_numpy() / bars["close"].to_numpy()[bar]
    price = _running_product(key, bar, worth, None if carried is None else carried.price)
    return Factors(price, _running_product(key, bar, ratio, None if carried is None else carried.shares))


def adjusted(bars: pd.DataFrame, by: Factors) -> pd.DataFrame:
    """ADJUSTED of BARS."""
    frame = {"symbol": bars["symbol"], "ts": bars["ts"]}
    frame |= {column: bars[column] * by.price for column in _PRICES}
    frame |= {"volume": bars["volume"] / by.shares, "raw_close": bars["close"]}
    return ADJUSTED.cast(pd.DataFrame(frame, copy=False))


def unusable_actions(bars: pd.DataFrame, actions: pd.DataFrame, calendar: str) -> pd.DataFrame:
    """The actions that `adjust` leaves out although they would count, with a column `reason`.

    They are those whose value is not a positive number, those of an unknown kind, payments that are
    not below the close of the evening before, each alone or all of one bar together, and splits that
    are recorded twice: an equal one took effect at most TWICE_WITHIN bars before, and from the bar
    before that one to its own the raw close moved as by one of them rather than by both.
    """
    _, placed = _place(bars, actions, calendar)
    return placed.loc[placed["reason"] != "", [*ACTIONS.columns, "reason"]].reset_index(drop=True)


def _place(bars: pd.DataFrame, actions: pd.DataFrame, calendar: str) -> tuple[Positions, pd.DataFrame]:
    """The bars' keys, and the actions that fall between a symbol's bars.

    Each comes with `bar`, the position of the first bar it affects, `ratio` (1 for a payment), `paid`,
    the cash per share of the bar before (0 for a split), and the `reason` why it cannot be used ("" when
    it can).
    """
    code, symbols = pd.factorize(bars["symbol"])
    key = _keys(code, sessions.session_of(calendar, bars["ts"]))
    own = actions[actions["symbol"].isin(symbols)]
    own_key = _keys(pd.Index(symbols).get_indexer(pd.Index(own["symbol"])), own["ex_date"])
    bar = np.searchsorted(key, own_key)
    between = (bar < len(key)) & (bar > 0)
    between[between] = _same_symbol(key[bar[between]], own_key[between]) & _same_symbol(
        key[bar[between] - 1], own_key[between]
    )
    own = own[between].assign(bar=bar[between]).sort_values(["bar", "ex_date"], kind="stable")
    return key, _judged(own, bars["close"].to_numpy())


def _judged(own: pd.DataFrame, close: Reals) -> pd.DataFrame:
    """Placed actions, sorted by bar and ex_date, with `ratio`, `paid` and `reason`."""
    value, kind, last_close = own["value"].to_numpy(), own["kind"].to_numpy(), close[own["bar"].to_numpy() - 1]
    positive = np.isfinite(value) & (value > 0)
    pays, twice = np.isin(kind, PAYMENTS), _recorded_twice(own[positive & (kind == "split")], close)
    again = own.index.isin(twice)
    ratio = pd.Series(np.where(positive & (kind == "split") & ~again, value, 1.0), index=own.index)
    paid = np.where(positive & pays, value * _shares_the_evening_before(own, ratio), 0.0)
    sound = pd.Series(np.where(paid < last_close, paid, 0.0), index=own.index)
    together = sound.groupby(own["bar"]).transform("sum").to_numpy()
    reason = np.select(
        [~positive, ~(pays | (kind == "split")), again, paid >= last_close, pays & (together >= last_close)],
        [
            "not a positive number",
            f"none of split, {', '.join(PAYMENTS)}",
            f"equal to one of at most {TWICE_WITHIN} bars before, and the price moved once",
            "not below the close of the evening before",
            "together not below the close of the evening before",
        ],
        default="",
    )
    return own.assign(ratio=ratio, paid=paid, reason=reason)


def _recorded_twice(splits: pd.DataFrame, close: Reals) -> pd.Index:
    """Labels of the placed splits that repeat another; looks at no bar after their own."""
    before = splits.groupby(["symbol", "value"])["bar"].shift()
    pairs = splits[splits["bar"] - before <= TWICE_WITHIN]
    moved = np.log(close[pairs["bar"].to_numpy()] / close[before[pairs.index].to_numpy(dtype=np.int64) - 1])
    split = np.log(pairs["value"].to_numpy())
    again: pd.Index = pairs.index[moved * split > -1.5 * split**2]
    return again


def _shares_the_evening_before(own: pd.DataFrame, ratio: pd.Series) -> Reals:
    """Per action, what one share of the last bar had become by the evening before the ex_date.

    1 unless the symbol did not trade for a while and was split meanwhile.
    """
    by_day = ratio.groupby([own["bar"], own["ex_date"]]).prod()
    before = by_day.groupby(level=0).cumprod() / by_day
    return before.reindex(pd.MultiIndex.from_frame(own[["bar", "ex_date"]])).to_numpy()


def _keys(code: npt.NDArray[np.intp], day: pd.Series) -> Positions:
    """One integer per row that orders rows by the number of their symbol, then by day."""
    return code.astype(np.int64) * _DAYS_APART + day.to_numpy().astype("datetime64[D]").astype(np.int64)


def _same_symbol(one: Positions, other: Positions) -> npt.NDArray[np.bool_]:
    return np.equal(one // _DAYS_APART, other // _DAYS_APART)


def _running_product(key: Positions, bar: Positions, factor: Reals, start: Reals | None) -> Reals:
    """Per bar, the product of the factors that took effect on it or before it in its own symbol.

    `bar` is ascending. Multiplied in the order of time, one after the other, so that a later action
    leaves every bit of the earlier products alone.
    start: per symbol, what is multiplied first
    """
    result = np.ones(len(key)) if start is None else start[key // _DAYS_APART]
    if not len(bar):
        return result
    symbol = key[bar] // _DAYS_APART
    if start is not None:
        first = np.flatnonzero(np.diff(symbol, prepend=-1))
        factor = factor.copy()
        factor[first] = start[symbol[first]] * factor[first]
    product = pd.Series(factor).groupby(symbol).cumprod().to_numpy()
    last = np.repeat(np.arange(-1, len(bar)), np.diff([0, *bar, len(key)]))
    affected = (last >= 0) & _same_symbol(key[bar[last]], key)
    result[affected] = product[last[affected]]
    return result
