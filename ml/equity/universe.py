"""Who belongs: members by their dates, and rules on what was traded, both as one could have known then."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.equity import sessions
from ml.errors import FrameError

Mask = npt.NDArray[np.bool_]

TRAILING = 20
"""Sessions over which the dollar volume is judged."""

_KEYS_APART = 1 << 20
"""Room for one symbol's sessions, or days, in a composite key."""


@dataclass(frozen=True)
class Rules:
    """What a symbol must cost and trade to belong, in the raw price's unit; 0 asks nothing."""

    min_price: float = 0.0
    min_dollar_volume: float = 0.0


def is_member(bars: pd.DataFrame, members: pd.DataFrame, calendar: str) -> Mask:
    """Per row of BARS, whether its symbol was a member on its session, by MEMBERS.

    Without any member at all nobody is one. FrameError when a symbol's intervals overlap or end before
    they begin.
    """
    spans = _checked(members)
    code, symbols = pd.factorize(bars["symbol"])
    spans = spans[spans["symbol"].isin(symbols)]
    start = pd.Index(symbols).get_indexer(pd.Index(spans["symbol"])) * _KEYS_APART + _day(spans["valid_from"], 0)
    key = code * _KEYS_APART + _day(sessions.session_of(calendar, bars["ts"]), 0)
    order = np.argsort(start)
    start, end = start[order], _day(spans["valid_to"], _KEYS_APART)[order]
    place = np.searchsorted(start, key, side="right") - 1
    inside: Mask = place >= 0
    inside[inside] = start[place[inside]] // _KEYS_APART == code[inside]
    inside[inside] = key[inside] % _KEYS_APART < end[place[inside]]
    return inside


def is_liquid(bars: pd.DataFrame, rules: Rules, calendar: str) -> Mask:
    """Per row of BARS, whether its raw close and its trailing dollar volume keep the rules at its own close.

    The dollar volume is the lower median of raw close x raw volume over the last TRAILING sessions of
    the calendar, this one included; a session without a bar counts as nothing traded, so a new symbol
    needs some two weeks. Nothing later than the row's close is looked at.
    """
    close = bars["close"].to_numpy()
    cheap: Mask = close < rules.min_price
    if not rules.min_dollar_volume or bars.empty:
        return ~cheap
    enough = close * bars["volume"].to_numpy() >= rules.min_dollar_volume
    code = pd.factorize(bars["symbol"])[0].astype(np.int64)
    key = code * _KEYS_APART + sessions.positions(calendar, bars["ts"])
    first = np.searchsorted(key, np.maximum(key - (TRAILING - 1), code * _KEYS_APART))
    so_far = np.append(0, np.cumsum(enough))
    sessions_with_enough = so_far[1:] - so_far[first]
    # The lower median of 20 is the 10th smallest: at least 11 must reach the least.
    liquid: Mask = ~cheap & (sessions_with_enough > TRAILING // 2)
    return liquid


def _checked(members: pd.DataFrame) -> pd.DataFrame:
    spans = members.sort_values(["symbol", "valid_from"], na_position="first").reset_index(drop=True)
    follows = (spans["symbol"] == spans["symbol"].shift(-1)).to_numpy()
    later = spans["valid_from"].shift(-1)
    overlap = follows & (spans["valid_to"].isna() | later.isna() | (spans["valid_to"] > later)).to_numpy()
    wrong = overlap | (spans["valid_from"] >= spans["valid_to"]).to_numpy()
    if wrong.any():
        row = spans[wrong].iloc[0]
        raise FrameError(
            f"the membership of {row['symbol']} from {row['valid_from']} to {row['valid_to']}, which ends before it"
            " begins or overlaps another",
            "intervals of a symbol that follow each other",
            "Correct the file of AFTERBELL_UNIVERSE_PATH",
        )
    return spans


def _day(days: pd.Series, missing: int) -> npt.NDArray[np.int64]:
    """Days since 1600, `missing` where there is none."""
    number = days.to_numpy().astype("datetime64[D]").astype(np.int64) - np.datetime64("1600-01-01", "D").astype(
        np.int64
    )
    return np.where(days.isna().to_numpy(), missing, number)
