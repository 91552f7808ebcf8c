"""What every source of bars gives, and how it is asked."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Protocol

import pandas as pd

from ml.frames import ACTIONS, DATE, REAL, TEXT, Contract

ADJ_CLOSE = Contract(
    "adjusted closes",
    {"symbol": TEXT, "date": DATE, "close": REAL, "adj_close": REAL},
    key=("symbol", "date"),
    strict_keys=False,
)
"""The raw close beside the close that the source adjusted for splits and dividends, as received."""


SPOKEN = Contract("days spoken of", {"symbol": TEXT, "first": DATE, "last": DATE})
"""Of whose actions with ex-dates on which days a delivery says all that there is; no symbol means every one."""


@dataclass(frozen=True)
class Request:
    """What a delivery is to hold: all bars from `start` to `end`, both included; of every symbol when none is named.

    strays_after: rows of later days than this one are wanted too, where the source has such; no bar can be that late
    yet, so the checks refuse them and a person sees them.
    actions_start: from when a source that is asked for actions by themselves gives them; None for `start`.
    """

    start: date
    end: date
    symbols: tuple[str, ...] = ()
    strays_after: date | None = None
    actions_start: date | None = None


@dataclass(frozen=True)
class Part:
    """One piece of a delivery, whole in itself: no symbol's session is split over two parts.

    name: unique within the delivery and the same whenever it is asked for again, e.g. "2012", "2024-01-05", "actions".
    bars: RECEIVED, raw prices, in the source's order, mistakes and duplicates included.
    actions: ACTIONS with their ex-dates in the request's span (or what `spoken` says), where the source knows them;
        else None.
    adj_close: ADJ_CLOSE where that is all the source knows of splits and dividends; else None. Of each symbol the
        row before the request's first is among them where there is one: an action shows beside the bar before.
    spoken: SPOKEN where `actions` speaks of more than the request's span and the symbols of its bars; else None.
    reference: REFERENCE where the source knows who was behind a ticker; else None.
    members: MEMBERS where this part says who belonged to the universe; else None.
    """

    name: str
    bars: pd.DataFrame
    actions: pd.DataFrame | None = field(default=None)
    adj_close: pd.DataFrame | None = field(default=None)
    reference: pd.DataFrame | None = field(default=None)
    members: pd.DataFrame | None = field(default=None)
    spoken: pd.DataFrame | None = field(default=None)


class Provider(Protocol):
    """A source of daily bars."""

    @property
    def name(self) -> str:
        """The name in AFTERBELL_PROVIDER."""

    @property
    def source(self) -> str:
        """Where the bars come from, for logs and records; never with a key in it."""

    def last_session(self, until: date = date.max) -> date:
        """The last day up to `until` that the source has bars of; ProviderError when it has none."""

    def deliver(self, request: Request, have: Container[str]) -> Iterator[Part]:
        """The parts of the delivery, one at a time, without those whose names are in `have`.

        Bounded memory: a part holds some millions of rows at the most. A session, or a symbol, without
        bars gives no rows. Raises ProviderRejected (final), ProviderUnavailable (try again) or
        ProviderError (an unusable answer).
        """


def tidy_actions(actions: pd.DataFrame) -> pd.DataFrame:
    """The same actions as ACTIONS: its types, sorted by its key; FrameError when a key comes twice."""
    return ACTIONS.check(ACTIONS.cast(actions.sort_values(list(ACTIONS.key))))
