"""What is kept of a history before a month, so that the nights of that month need not read it.

Adjustment goes forward, and nothing before a month depends on what comes after it. So of the past there is kept how
each symbol goes on: how many bars it has, its factors, its last bars as received, and the adjusted ones that features
look back on; and what all of it was made from (see `decided`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.domain import Night
from ml.equity import adjustment, sessions, universe
from ml.equity.adjustment import Factors
from ml.equity.features import tails
from ml.equity.features.feature import FeatureSet
from ml.equity.features.inputs import BARS, SECTOR
from ml.equity.features.tails import PlacedBars
from ml.errors import StoreError
from ml.io.store import Store, frame_digest
from ml.steps import keep

RAW = max(universe.TRAILING, adjustment.TWICE_WITHIN + 2)
"""Bars as received that are kept of each symbol: the universe's rule, and a split told twice, look back on them."""

SILENT = 300
"""Sessions without a bar after which no tail of a symbol is kept: should it trade again, the history is read whole."""

SESSION = "session"
"""The column of a tail that has the running number of each bar's session."""

MONTHS_BACK = 3
"""How many months ago the last night may be, for a history to go on from it."""

_PARTS = ("symbols", "raw", "days", "tail")


@dataclass(frozen=True)
class Month:
    """One calendar month of a history.

    name: such as 2014-08; rows: its rows of the bars, none where they are not at hand
    first, last: the running numbers of its sessions
    digest: the same for the same data up to its last session; nothing later has a part in it
    """

    name: str
    rows: npt.NDArray[np.int64]
    first: int
    last: int
    digest: str


@dataclass(frozen=True)
class Past:
    """How a history goes on from the session `cut`, the first of a month.

    cut: its running number
    symbols: sorted by `symbol`: its number of `bars` before, and the factors `price` and `shares` of the last one
    raw: BARS, the last RAW of each symbol
    days: by ticker as received, the `first` and `last` session with a bar
    decided: the digest of all besides bars that decided what they are; years: those of bars in use
    """

    cut: int
    symbols: pd.DataFrame
    raw: pd.DataFrame
    days: pd.DataFrame
    decided: str
    years: list[int]


@dataclass(frozen=True)
class Kept:
    """A past as some night kept it.

    begins: the close of the session from which on a history goes on from it; known_at: what the night knew
    place: where its parts lie; sectors: the names of those in its tail
    """

    past: Past
    months: tuple[Month, ...]
    begins: datetime
    known_at: datetime
    place: str
    sectors: list[str]


def going_on(received: PlacedBars, placed: PlacedBars, by: Factors, cut: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`Past.symbols` and `Past.raw`, of all symbols with a bar before the session `cut`.

    received: BARS, perhaps fewer of each symbol than there are in `placed`; by: what they are adjusted by
    """
    since, count = received.since(cut), placed.since(cut) - placed.edges[:-1]
    count = count if placed.skipped is None else count + placed.skipped
    there = count > 0
    last = since[there] - 1
    columns = {"symbol": received.adjusted["symbol"].take(last).array, "bars": count[there]}
    symbols = pd.DataFrame({**columns, "price": by.price[last], "shares": by.shares[last]})
    rows = tails.ranges(np.maximum(since - RAW, received.edges[:-1])[there], since[there])
    return symbols, received.adjusted.take(rows).reset_index(drop=True)


def write(
    store: Store, night: Night, feature_set: FeatureSet, past: Past, months: tuple[Month, ...], bars: PlacedBars
) -> None:
    """Keep a past beside the months that a night has kept; `bars` have all that the next nights look back on."""
    counts, tail = _tail(bars, past.cut, feature_set.warm_up)
    parts = (past.symbols.assign(kept=counts), past.raw, past.days, tail)
    content = hashlib.sha256("".join(frame_digest(each) for each in parts).encode()).hexdigest()
    before = [month for month in months if month.first < past.cut]
    place = _place(night.domain, feature_set, bars.calendar, past.cut)
    for name, part in zip(_PARTS, parts, strict=True):
        store.put(f"{place}/{content[: keep.SHORT]}/{name}", part, {})
    told = {
        "known_at": night.known_at.isoformat(),
        "parts": content[: keep.SHORT],
        "decided": past.decided,
        "years": past.years,
        "sectors": list(bars.sector.categories),
        "months": [[month.name, month.first, month.last, month.digest] for month in before],
    }
    there = _told(store, place)
    # As content, for fields beside the same content would not replace those that are there.
    store.put(place, pd.DataFrame({"told": pd.Series([json.dumps(told)], dtype="str")}), {})
    if there is not None and there["parts"] != told["parts"]:
        _remove_parts(store, place, there)
    _forget_before(store, night.domain, feature_set, bars.calendar, past.cut)


def find(store: Store, domain: str, feature_set: FeatureSet, calendar: str, cut: int) -> Kept | None:
    """The past that was kept of the month which begins with the session `cut`; None without one, or a damaged one."""
    place = _place(domain, feature_set, calendar, cut)
    told = _told(store, place)
    if told is None:
        return None
    parts = f"{place}/{told['parts']}"
    try:
        symbols, raw, days = (store.get(f"{parts}/{name}") for name in _PARTS[:3])
    except StoreError:
        return None
    past = Past(cut, symbols, raw, days, told["decided"], told["years"])
    begins = sessions.closes_at(calendar, np.array([cut]))[0].to_pydatetime()
    known_at = datetime.fromisoformat(told["known_at"])
    return Kept(past, tuple(_month(*month) for month in told["months"]), begins, known_at, parts, told["sectors"])


def _forget_before(store: Store, domain: str, feature_set: FeatureSet, calendar: str, cut: int) -> None:
    """Of the months before the one that begins with the session, keep the last: each is as large as the next."""
    for back in range(MONTHS_BACK + 1):
        cut = month_before(calendar, cut)
        place = _place(domain, feature_set, calendar, cut)
        there = _told(store, place) if back else None
        if there is not None:
            store.remove(place)
            _remove_parts(store, place, there)


def _remove_parts(store: Store, place: str, told: Mapping[str, Any]) -> None:
    for name in _PARTS:
        store.remove(f"{place}/{told['parts']}/{name}")


def month_before(calendar: str, cut: int) -> int:
    """The first session of the month before the one that begins with the session `cut`, both by their numbers."""
    return sessions.first_of_month(calendar, sessions.closes_at(calendar, np.array([cut - 1]))[0])


def tail(store: Store, kept: Kept) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """Column by column, SESSION, SECTOR and those of bars: the last bars of each symbol, by symbol and session.

    The first one is read and the rest proved before it returns; StoreError when it is damaged.
    """
    columns = store.columns(f"{kept.place}/{_PARTS[3]}", [SESSION, SECTOR, *BARS])
    return chain([next(columns)], columns)


def _tail(bars: PlacedBars, cut: int, warm_up: int) -> tuple[npt.NDArray[np.int64], pd.DataFrame]:
    """By symbol with bars before the session, of how many bars it is, and the bars: one of those long silent."""
    since, first = bars.since(cut), bars.edges[:-1]
    there = since > first
    since, first = since[there], first[there]
    wanted = np.where(bars.sessions_of(since - 1) < cut - SILENT, 1, warm_up)
    start = np.maximum(since - wanted, first)
    rows = tails.ranges(start, since)
    columns: dict[str, Any] = {SESSION: bars.sessions_of(rows).astype(np.int32)}
    columns |= {name: bars.adjusted[name].to_numpy()[rows] for name in BARS}
    columns[SECTOR] = bars.sector.codes[rows].astype(np.int16)
    return since - start, pd.DataFrame(columns, copy=False)


def _told(store: Store, place: str) -> dict[str, Any] | None:
    """What was written down beside the parts; None where there is nothing, or it is damaged."""
    if not store.has(place):
        return None
    try:
        told: dict[str, Any] = json.loads(store.get(place)["told"].iloc[0])
    except StoreError:
        return None
    return told


def _place(domain: str, feature_set: FeatureSet, calendar: str, cut: int) -> str:
    month = sessions.at(calendar, np.array([cut])).astype("datetime64[M]")[0]
    return keep.past(domain, feature_set.digest, str(month))


def _month(name: str, first: int, last: int, digest: str) -> Month:
    return Month(name, np.empty(0, dtype=np.int64), first, last, digest)
