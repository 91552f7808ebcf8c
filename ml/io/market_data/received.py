"""What every source of bars gives, and how it is asked."""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True)
class Received:
    """One answer of a source: everything it has between two sessions, both included.

    bars: RECEIVED, raw prices, in the source's order, mistakes and duplicates included.
    actions: ACTIONS with their ex-dates in the same span, where the source knows them; else None.
    adj_close: ADJ_CLOSE where that is all the source knows of splits and dividends; else None.
    source: where this came from, for logs and manifests.
    """

    bars: pd.DataFrame
    actions: pd.DataFrame | None
    adj_close: pd.DataFrame | None
    source: str


class Provider(Protocol):
    """A source of daily bars."""

    @property
    def name(self) -> str:
        """The name in AFTERBELL_PROVIDER."""

    def last_session(self) -> date:
        """The last session the source has bars of; ProviderError when it has none."""

    def fetch(self, start: date, end: date, symbols: tuple[str, ...]) -> Received:
        """All bars from `start` to `end`, both included; of every symbol when `symbols` is empty.

        A session, or a symbol, without bars gives no rows. Raises ProviderRejected (final),
        ProviderUnavailable (try again) or ProviderError (an unusable answer).
        """


def tidy_actions(actions: pd.DataFrame) -> pd.DataFrame:
    """The same actions as ACTIONS: its types, sorted by its key; FrameError when a key comes twice."""
    return ACTIONS.check(ACTIONS.cast(actions.sort_values(list(ACTIONS.key))))
