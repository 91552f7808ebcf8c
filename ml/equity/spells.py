"""What a table of intervals says about the days on which tickers had bars, and nothing of what it says besides."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ml.equity import sessions
from ml.equity.features.panel import edges_of


def days_before(bars: pd.DataFrame, calendar: str, instant: pd.Timestamp) -> pd.DataFrame:
    """By ticker, sorted: the `first` and the `last` session of BARS that closed before `instant`."""
    past = bars[["symbol", "ts"]][(bars["ts"] < instant).to_numpy()]
    edges = edges_of(past["symbol"].array)
    first, last = (past.take(rows).reset_index(drop=True) for rows in (edges[:-1], edges[1:] - 1))
    found = {"first": sessions.session_of(calendar, first["ts"]), "last": sessions.session_of(calendar, last["ts"])}
    return first[["symbol"]].assign(**found)


def joined(one: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """The days of both."""
    both = pd.concat([one, other], ignore_index=True)
    return both.groupby("symbol", as_index=False).agg(first=("first", "min"), last=("last", "max"))


def within(days: pd.DataFrame, spans: pd.DataFrame, told: str | None = None) -> pd.DataFrame:
    """Those parts of the intervals that lie in the days of their tickers, sorted, with the column `told` of each.

    days: of `days_before`; spans: symbol, valid_from and valid_to, without open ends
    """
    own = spans.merge(days, on="symbol")
    begins = np.maximum(own["valid_from"], own["first"])
    ends = np.minimum(own["valid_to"], own["last"] + pd.Timedelta(days=1))
    parts = pd.DataFrame({"symbol": own["symbol"], "begins": begins, "ends": ends})
    if told is not None:
        parts[told] = own[told].astype("str")
    return parts[begins < ends].sort_values(["symbol", "begins"], ignore_index=True)
