"""The bars of one night as they were known: under the labels of their instruments, adjusted, and who belonged."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.domain import Night
from ml.equity import adjustment, identity, labels, sessions, spells, universe
from ml.equity.features import tails
from ml.equity.features.inputs import SECTOR
from ml.equity.universe import Rules
from ml.frames import ADJUSTED, BARS
from ml.io.store import Store, frame_digest
from ml.io.warehouse import Warehouse, bars
from ml.settings import Settings
from ml.steps import decided, kept_bars, past
from ml.steps.past import Month, Past

log = logging.getLogger(__name__)

MEMBER = "member"
_BESIDE = [MEMBER, SECTOR]
_SHOWN = 10


@dataclass(frozen=True)
class History:
    """All that a night's features are made from.

    bars: ADJUSTED, placed among the sessions; months: those with bars, in the order of time
    member: per row of the bars, whether its symbol belonged to the universe that day
    digest: the same for the same data and the same code that turns it into labels
    past: what the next nights of the last month need to know of those before; None when they know it, or there are none

    The bars may be some alone: all of the last months, and what these look back on.
    """

    bars: tails.PlacedBars
    member: npt.NDArray[np.bool_]
    months: tuple[Month, ...]
    digest: str
    past: Past | None = None


def as_known(config: Settings, warehouse: Warehouse, night: Night, goes_on: bool = False) -> History:
    """The history up to `night.as_of` as it was believed at `night.known_at`, all of it read.

    goes_on: whether it tells its `past`, for the next nights
    """
    calendar = config.calendar
    known = bars.as_known(warehouse, night, partial(kept_bars.of_year, Store(config.store_root), warehouse, night))
    told = labelled(config, night, known)
    member = told[MEMBER] & universe.is_liquid(told, rules(config), calendar)
    actions = labelled_actions(config, night, known)
    raw, sector = BARS.check(told.drop(columns=_BESIDE)), pd.Categorical(told[SECTOR])
    by = adjustment.factors(raw, actions, calendar)
    adjusted = ADJUSTED.check(adjustment.adjusted(raw, by))
    history = of(night, adjusted, member.to_numpy(), calendar, sector)
    if not goes_on:
        return history
    received = replace(history.bars, adjusted=raw)
    return replace(history, past=_past(config, warehouse, night, known, actions, received, history.bars, by))


def _past(
    config: Settings,
    warehouse: Warehouse,
    night: Night,
    known: bars.Known,
    actions: pd.DataFrame,
    received: tails.PlacedBars,
    placed: tails.PlacedBars,
    by: adjustment.Factors,
) -> Past | None:
    cut = sessions.first_of_month(config.calendar, night.as_of)
    symbols, raw = past.going_on(received, placed, by, cut)
    if symbols.empty:
        return None
    before = sessions.closes_at(config.calendar, np.array([cut]))[0]
    days = spells.days_before(known.bars, config.calendar, before)
    years = decided.years(warehouse, before)
    told = decided.digest(config, night, known, actions, days, symbols["symbol"], cut)
    return Past(cut, symbols, raw, days, told, years)


def labelled(config: Settings, night: Night, known: bars.Known) -> pd.DataFrame:
    """BARS under the labels of their instruments, as of the night, with MEMBER and SECTOR; without those of nobody."""
    # Members and sectors are listed by the tickers of their days, so they are told before tickers become labels.
    sector = pd.Series(identity.sector_of(known.bars, known.sectors, config.calendar), index=known.bars.index)
    raw = known.bars.assign(**{MEMBER: _is_member(config.calendar, known.bars, known.members), SECTOR: sector})
    return _owned(identity.label_bars(raw, known.tickers, config.calendar, pd.Timestamp(night.as_of)))


def labelled_actions(config: Settings, night: Night, known: bars.Known) -> pd.DataFrame:
    """ACTIONS under the labels of their instruments, as of the night; without those of nobody."""
    session = sessions.session_of(config.calendar, pd.Series([pd.Timestamp(night.as_of)])).iloc[0]
    actions = _owned(identity.label_actions(known.actions, known.tickers, session))
    return actions.sort_values(["symbol", "ex_date", "kind"], ignore_index=True)


def rules(config: Settings) -> Rules:
    """What a symbol must cost and trade to belong."""
    return Rules(config.min_price, config.min_dollar_volume)


def of(
    night: Night,
    adjusted: pd.DataFrame,
    member: npt.NDArray[np.bool_],
    calendar: str,
    sector: pd.Categorical[str] | None = None,
) -> History:
    """The history of ADJUSTED bars, and per row whether it belongs, and to which sector; without, nobody's is known."""
    placed = tails.PlacedBars.of(adjusted, calendar, sector)
    return among(night, placed, member, ())


def among(night: Night, placed: tails.PlacedBars, member: npt.NDArray[np.bool_], before: tuple[Month, ...]) -> History:
    """The history of these bars, where months `before` are known already."""
    months = before + _months(placed, member, before)
    known = months[-1].digest if months else ""
    digest = _digest(night.domain, night.as_of.isoformat(), str(labels.REVISION), known)
    return History(placed, member, months, digest)


def _months(placed: tails.PlacedBars, member: npt.NDArray[np.bool_], before: tuple[Month, ...]) -> tuple[Month, ...]:
    """Those after the ones `before`."""
    everywhere = placed.sessions_of(slice(None))
    ours = np.flatnonzero(everywhere > before[-1].last) if before else np.arange(len(everywhere))
    if not len(ours):
        return ()
    place = everywhere[ours]
    first = int(place.min())
    names = sessions.at(placed.calendar, np.arange(first, place.max() + 1)).astype("datetime64[M]")
    number = (names - names[0]).astype(np.int16)[place - first]
    order = np.argsort(number, kind="stable")
    cuts = [0, *(np.flatnonzero(np.diff(number[order])) + 1).tolist(), len(order)]
    found: list[Month] = []
    digest = before[-1].digest if before else _digest(placed.calendar, sessions.VERSION)
    for start, stop in pairwise(cuts):
        rows = ours[order[start:stop]]
        # Numbered as they appear: the same in a history that knows other sectors besides.
        number, sectors = pd.factorize(placed.sector[rows])
        beside = {MEMBER: member[rows], SECTOR: number}
        own = placed.adjusted.take(rows).assign(**beside).reset_index(drop=True)
        digest = _digest(digest, frame_digest(own), json.dumps(list(sectors)))
        own_place = everywhere[rows]
        name = str(names[own_place[0] - first])
        found.append(Month(name, rows, int(own_place.min()), int(own_place.max()), digest))
    return tuple(found)


def _owned(frame: pd.DataFrame) -> pd.DataFrame:
    """Without the rows of tickers on days on which they were nobody's."""
    nobodys = [symbol for symbol in frame["symbol"].unique() if symbol.endswith(identity.UNOWNED)]
    if not nobodys:
        return frame
    owned = frame[~frame["symbol"].isin(nobodys)].reset_index(drop=True)
    log.warning(
        "%d rows of %s lie on days on which the reference knows no owner of the ticker, and are left out",
        len(frame) - len(owned), ", ".join(symbol.removesuffix(identity.UNOWNED) for symbol in nobodys[:_SHOWN]),
    )  # fmt: skip
    return owned


def _is_member(calendar: str, raw: pd.DataFrame, members: pd.DataFrame) -> pd.Series[bool]:
    """Without a list of members everybody is one."""
    belongs = universe.is_member(raw, members, calendar) if len(members) else np.ones(len(raw), dtype=np.bool_)
    return pd.Series(belongs, index=raw.index)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
