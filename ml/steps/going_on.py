"""A history that goes on where another night's ended: only its last months are read, and what they look back on.

It is the same, to the bit, as the one that is read whole. What must hold for that is checked each night, and where
anything differs the whole is read: no bar of the months before was learned of since; all else that decided them
(tickers, sectors, members, actions, settings, code) says the same of them (see `decided`); they are in the store; no
symbol trades again whose tail is too short.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from ml.domain import Night
from ml.equity import adjustment, sessions, spells, universe
from ml.equity.adjustment import Carried, Factors
from ml.equity.features import tails
from ml.equity.features.feature import FeatureSet
from ml.equity.features.inputs import BARS as COLUMNS
from ml.equity.features.inputs import SECTOR
from ml.equity.features.tails import PlacedBars
from ml.errors import StoreError
from ml.frames import ADJUSTED, BARS, TEXT
from ml.io.store import Store
from ml.io.warehouse import Warehouse, bars
from ml.settings import Settings
from ml.steps import decided, history, keep, months, past
from ml.steps.history import MEMBER, History
from ml.steps.past import Kept, Past

Tail = Iterator[tuple[str, npt.NDArray[Any]]]
"""What past.tail gives."""

log = logging.getLogger(__name__)


class _Differs(Exception):
    """Why the whole history must be read."""


@dataclass(frozen=True)
class _New:
    """The bars since a past was kept, under their labels, and how adjustment goes on.

    raw: BARS, those of Past.raw among them; old: per row, whether it is one of these; by: what raw is adjusted by
    member, sector: of each new row; edges of the symbols are those of `raw`
    """

    raw: PlacedBars
    old: npt.NDArray[np.bool_]
    by: Factors
    member: npt.NDArray[np.bool_]
    sector: pd.Categorical[str]

    @property
    def adjusted(self) -> pd.DataFrame:
        """ADJUSTED of the new rows."""
        new = ~self.old
        by = Factors(self.by.price[new], self.by.shares[new])
        return ADJUSTED.check(adjustment.adjusted(self.raw.adjusted[new].reset_index(drop=True), by))


def as_known(config: Settings, warehouse: Warehouse, night: Night, feature_set: FeatureSet) -> History | None:
    """The night's history with its last months' bars and what features look back on; None when all must be read."""
    store = Store(config.store_root)
    try:
        kept = _kept(store, config.calendar, night, feature_set)
        _require_unchanged(store, warehouse, night, feature_set, kept)
        with ThreadPoolExecutor(1) as reading:
            # Read beside the bars of the last months.
            tail = reading.submit(past.tail, store, kept)
            return _history(config, warehouse, night, feature_set, kept, tail)
    except _Differs as reason:
        log.info("the whole history is read: %s", reason)
    except StoreError as error:
        log.warning("the whole history is read, for what was kept of it is damaged: %s", error)
    return None


def _kept(store: Store, calendar: str, night: Night, feature_set: FeatureSet) -> Kept:
    """The past of the night's month, or of the nearest one before."""
    cut = sessions.first_of_month(calendar, night.as_of)
    for _ in range(1 + past.MONTHS_BACK):
        kept = past.find(store, night.domain, feature_set, calendar, cut)
        if kept is not None:
            return kept
        cut = past.month_before(calendar, cut)
    raise _Differs("no night of the last months kept what is before them")


def _require_unchanged(store: Store, warehouse: Warehouse, night: Night, feature_set: FeatureSet, kept: Kept) -> None:
    before = kept.begins
    if night.known_at < kept.known_at:
        raise _Differs("what was kept is known from a later instant on")
    if decided.years(warehouse, before) != kept.past.years:
        raise _Differs("other years of bars are in use")
    learned = bars.versions_between(warehouse, kept.known_at, night.known_at, before)
    if learned:
        raise _Differs(f"{learned} versions of earlier bars were learned since")
    folders = (keep.adjusted(night.domain), keep.features(night.domain, feature_set.digest))
    if not all(store.has(months.place(folder, month)) for month in kept.months for folder in folders):
        raise _Differs("some month is not in the store any more")


def _history(
    config: Settings,
    warehouse: Warehouse,
    night: Night,
    feature_set: FeatureSet,
    kept: Kept,
    tail: Future[Tail],
) -> History:
    known = bars.as_known_since(warehouse, night, kept.begins)
    actions = history.labelled_actions(config, night, known)
    before, cut = kept.past, sessions.first_of_month(config.calendar, night.as_of)
    told = decided.digest(config, night, known, actions, before.days, before.symbols["symbol"], before.cut)
    if told != before.decided:
        raise _Differs("tickers, sectors, members, actions, settings or code tell something else of it")
    new = _new(config, night, known, actions, before)
    placed = _placed(config.calendar, new, kept, tail.result())
    found = history.among(night, placed, _members(placed, before.cut, new.member), kept.months)
    if len(found.months) == len(kept.months):
        raise _Differs("there is no bar since")
    if not tails.reaches_back(placed, feature_set, before.cut, found.months[-1].last):
        raise _Differs("a symbol trades again, and looks back on more than its tail")
    if cut == before.cut:
        return found
    days = spells.joined(before.days, spells.days_before(known.bars, config.calendar, _close(config.calendar, cut)))
    symbols, raw = past.going_on(new.raw, placed, new.by, cut)
    years = decided.years(warehouse, _close(config.calendar, cut))
    told = decided.digest(config, night, known, actions, days, symbols["symbol"], cut)
    return replace(found, past=Past(cut, symbols, raw, days, told, years))


def _new(config: Settings, night: Night, known: bars.Known, actions: pd.DataFrame, before: Past) -> _New:
    told = history.labelled(config, night, known)
    both = pd.concat([before.raw, told[list(before.raw)]], ignore_index=True)
    code, symbols = pd.factorize(both["symbol"], sort=True)
    order = np.argsort(code, kind="stable")
    raw = BARS.check(both.take(order).reset_index(drop=True))
    old = order < len(before.raw)
    place = pd.Index(before.symbols["symbol"]).get_indexer(symbols)
    price, shares = (np.where(place >= 0, before.symbols[name].to_numpy()[place], 1.0) for name in ("price", "shares"))
    by = adjustment.factors(raw, actions, config.calendar, carried=Carried(old, price, shares))
    liquid = universe.is_liquid(raw, history.rules(config), config.calendar)[~old]
    member = told[MEMBER].to_numpy() & liquid
    return _New(PlacedBars.of(raw, config.calendar), old, by, member, pd.Categorical(told[SECTOR]))


def _placed(calendar: str, new: _New, kept: Kept, tail: Tail) -> PlacedBars:
    """The tail of each symbol, and after it its new bars."""
    layout = _Layout.of(new, kept.past)
    sectors, number, codes = _codes(kept.sectors, new.sector)
    adjusted, place = new.adjusted, new.raw.sessions_of(np.flatnonzero(~new.old))
    after: dict[str, npt.NDArray[Any]] = {name: adjusted[name].to_numpy() for name in COLUMNS}
    after |= {past.SESSION: place, SECTOR: codes}
    columns: dict[str, npt.NDArray[Any]] = {}
    for name, values in tail:
        before = number[values] if name == SECTOR else values.astype(after[name].dtype, copy=False)
        columns[name] = layout.joined(before, after[name])
    session, sector = columns.pop(past.SESSION), pd.Categorical.from_codes(columns.pop(SECTOR), sectors)
    counts = layout.held + layout.added
    text = pa.DictionaryArray.from_arrays(np.repeat(np.arange(len(counts)), counts), pa.array(layout.names))
    symbol = pd.Series(text.cast(pa.large_string()).to_pandas(), dtype=TEXT)
    frame = pd.DataFrame({"symbol": symbol, "ts": sessions.closes_at(calendar, session), **columns}, copy=False)
    edges, key = np.append(0, np.cumsum(counts)), tails.keyed(counts, session)
    return PlacedBars(frame[list(ADJUSTED.columns)], sector, calendar, edges, key, layout.skipped)


@dataclass(frozen=True)
class _Layout:
    """By symbol, how many bars of its tail are `held`, `added` after it and `skipped` before it."""

    names: Any
    held: npt.NDArray[np.int64]
    added: npt.NDArray[np.int64]
    skipped: npt.NDArray[np.int64]

    @classmethod
    def of(cls, new: _New, before: Past) -> _Layout:
        edges, symbols = new.raw.edges, before.symbols
        names = new.raw.adjusted["symbol"].array.take(edges[:-1])
        added = np.bincount(np.repeat(np.arange(len(names)), np.diff(edges))[~new.old], minlength=len(names))
        at = pd.Index(symbols["symbol"]).get_indexer(names)
        there, held = (np.where(at >= 0, symbols[name].to_numpy()[at], 0) for name in ("bars", "kept"))
        return cls(names, held, added, there - held)

    def joined(self, before: npt.NDArray[Any], after: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """One array of both: by slices, ten times as quick as by the number of each row."""
        old, new = (pairwise(np.append(0, np.cumsum(counts)).tolist()) for counts in (self.held, self.added))
        parts = ((before[i:j], after[k:n]) for (i, j), (k, n) in zip(old, new, strict=True))
        return np.concatenate(list(chain.from_iterable(parts)))


def _codes(names: list[str], new: pd.Categorical[str]) -> tuple[pd.Index, npt.NDArray[np.int16], npt.NDArray[np.int16]]:
    """One list of all sectors; in it the number of each that is named, and last -1 for none; the numbers of the new."""
    own, more = pd.Index(names, dtype=TEXT), pd.Index(new.categories, dtype=TEXT)
    listed = own.union(more)
    before, after = (np.append(listed.get_indexer(each), -1).astype(np.int16) for each in (own, more))
    return listed, before, after[new.codes]


def _members(placed: PlacedBars, cut: int, member: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Of the rows since `cut`; the others are nobody's business any more."""
    found = np.zeros(len(placed.key), dtype=np.bool_)
    found[placed.sessions_of(slice(None)) >= cut] = member
    return found


def _close(calendar: str, session: int) -> pd.Timestamp:
    return sessions.closes_at(calendar, np.array([session]))[0]
