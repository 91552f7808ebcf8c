"""Sessions on which a symbol has no bar, told apart: trading was halted, nobody traded, or the bar is missing."""

from __future__ import annotations

from datetime import date
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.equity import sessions
from ml.frames import DATE, TEXT, Contract

GAPS = Contract("gaps", {"symbol": TEXT, "session": DATE, "kind": TEXT}, key=("symbol", "session"))
"""kind: `halt` (the source sent a row without trading), `market` (nearly no symbol has a bar), else `missing`."""

NEARLY_NOBODY = 0.1
"""A session on which a smaller share of the symbols expected has a bar was none for the market."""
ENOUGH_SYMBOLS = 5
"""Of fewer symbols, none can be told from a market that stood still."""

_PRICES = ["open", "high", "low"]


def gaps(bars: pd.DataFrame, quarantined: pd.DataFrame, calendar: str) -> pd.DataFrame:
    """GAPS of BARS: every session between a symbol's first and last bar without one.

    quarantined: QUARANTINE; rows without volume, or with open, high and low all 0 or missing, are the
    evidence of a halt. Holidays and weekends are no sessions and so no gaps (`why_no_bar` names them).
    """
    if bars.empty:
        return GAPS.empty()
    place = sessions.positions(calendar, bars["ts"])
    symbol = bars["symbol"].reset_index(drop=True)
    follows = (symbol == symbol.shift()).to_numpy()
    lacking = np.where(follows, np.diff(place, prepend=place[0]) - 1, 0)
    row = np.repeat(np.arange(len(bars)), lacking)
    nth = np.arange(len(row)) - np.repeat(np.cumsum(lacking) - lacking, lacking)
    absent = place[row] - lacking[row] + nth
    found = pd.DataFrame({"symbol": symbol.take(row).array, "session": sessions.at(calendar, absent)})
    halted = _is_in(found, halts(quarantined))
    still = np.isin(absent, _standing_still(place, absent))
    return GAPS.cast(found.assign(kind=np.select([halted, still], ["halt", "market"], default="missing")))


def halts(quarantined: pd.DataFrame) -> pd.DataFrame:
    """Columns symbol and session of the QUARANTINE rows that say that a symbol did not trade."""
    no_prices = (quarantined[_PRICES].fillna(0) == 0).all(axis=1)
    known = quarantined["symbol"].notna() & quarantined["date"].notna()
    rows = quarantined.loc[known & (no_prices | (quarantined["volume"] == 0)), ["symbol", "date"]]
    return rows.rename(columns={"date": "session"}).drop_duplicates(ignore_index=True)


def why_no_bar(
    calendar: str, day: date, symbol: str, found: pd.DataFrame
) -> Literal["weekend", "holiday", "halt", "market", "missing"] | None:
    """Why `symbol` has no bar on `day`, by the calendar and by GAPS `found`; None when none of them tells.

    None means that there is a bar, or that the day lies before the symbol's first bar or after its last.
    """
    closed = sessions.why_closed(calendar, day)
    if closed is not None:
        return closed
    own = found[(found["symbol"] == symbol) & (found["session"] == pd.Timestamp(day))]
    return None if own.empty else own["kind"].iloc[0]


def _is_in(found: pd.DataFrame, others: pd.DataFrame) -> npt.NDArray[np.bool_]:
    return pd.MultiIndex.from_frame(found).isin(pd.MultiIndex.from_frame(others))


def _standing_still(place: npt.NDArray[np.int64], absent: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The places of the sessions on which nearly none of the symbols between their first and last bars has one."""
    first = min(place.min(), absent.min(initial=place.min()))
    length = int(place.max() - first + 1)
    there = np.bincount(place - first, minlength=length)
    lacking = np.bincount(absent - first, minlength=length)
    expected = there + lacking
    still = (expected >= ENOUGH_SYMBOLS) & (there < NEARLY_NOBODY * expected)
    numbers: npt.NDArray[np.int64] = np.flatnonzero(still) + int(first)
    return numbers
