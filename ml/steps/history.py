"""The bars of one night as they were known: under the labels of their instruments, adjusted, and who belonged."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.domain import Night
from ml.equity import adjustment, identity, labels, sessions, universe
from ml.equity.features import tails
from ml.equity.features.inputs import SECTOR
from ml.equity.universe import Rules
from ml.frames import ADJUSTED, BARS
from ml.io.store import Store, frame_digest
from ml.io.warehouse import Warehouse, bars
from ml.settings import Settings
from ml.steps import kept_bars

log = logging.getLogger(__name__)

_MEMBER = "member"
_BESIDE = [_MEMBER, SECTOR]
_SHOWN = 10


@dataclass(frozen=True)
class Month:
    """One calendar month of a history.

    name: such as 2014-08; rows: its rows of the bars; first, last: the running numbers of its sessions
    digest: the same for the same data up to its last session; nothing later has a part in it
    """

    name: str
    rows: npt.NDArray[np.int64]
    first: int
    last: int
    digest: str


@dataclass(frozen=True)
class History:
    """All that a night's features are made from.

    bars: ADJUSTED, placed among the sessions; months: those with bars, in the order of time
    member: per row of the bars, whether its symbol belonged to the universe that day
    digest: the same for the same data and the same code that turns it into labels
    """

    bars: tails.PlacedBars
    member: npt.NDArray[np.bool_]
    months: tuple[Month, ...]
    digest: str


def as_known(config: Settings, warehouse: Warehouse, night: Night) -> History:
    """The history up to `night.as_of` as it was believed at `night.known_at`."""
    calendar, as_of = config.calendar, pd.Timestamp(night.as_of)
    read = partial(kept_bars.of_year, Store(config.store_root), warehouse, night)
    known = bars.as_known(warehouse, night, read)
    # Members and sectors are listed by the tickers of their days, so they are told before tickers become labels.
    sector = pd.Series(identity.sector_of(known.bars, known.sectors, calendar), index=known.bars.index)
    raw = known.bars.assign(**{_MEMBER: _is_member(calendar, known.bars, known.members), SECTOR: sector})
    told = _owned(identity.label_bars(raw, known.tickers, calendar, as_of))
    member = told[_MEMBER] & universe.is_liquid(told, Rules(config.min_price, config.min_dollar_volume), calendar)
    session = sessions.session_of(calendar, pd.Series([as_of])).iloc[0]
    actions = _owned(identity.label_actions(known.actions, known.tickers, session))
    actions = actions.sort_values(["symbol", "ex_date", "kind"], ignore_index=True)
    adjusted = adjustment.adjust(BARS.check(told.drop(columns=_BESIDE)), actions, calendar)
    return of(night, ADJUSTED.check(adjusted), member.to_numpy(), calendar, pd.Categorical(told[SECTOR]))


def of(
    night: Night,
    adjusted: pd.DataFrame,
    member: npt.NDArray[np.bool_],
    calendar: str,
    sector: pd.Categorical[str] | None = None,
) -> History:
    """The history of ADJUSTED bars, and per row whether it belongs, and to which sector; without, nobody's is known."""
    placed = tails.PlacedBars.of(adjusted, calendar, sector)
    months = _months(placed, member)
    known = months[-1].digest if months else ""
    return History(placed, member, months, _digest(night.domain, night.as_of.isoformat(), str(labels.REVISION), known))


def _months(placed: tails.PlacedBars, member: npt.NDArray[np.bool_]) -> tuple[Month, ...]:
    place = placed.sessions_of(slice(None))
    if not len(place):
        return ()
    first = int(place.min())
    names = sessions.at(placed.calendar, np.arange(first, place.max() + 1)).astype("datetime64[M]")
    number = (names - names[0]).astype(np.int16)[place - first]
    order = np.argsort(number, kind="stable")
    cuts = [0, *(np.flatnonzero(np.diff(number[order])) + 1).tolist(), len(order)]
    found: list[Month] = []
    digest = _digest(placed.calendar, sessions.VERSION)
    for start, stop in pairwise(cuts):
        rows = order[start:stop]
        # Numbered as they appear: the same in a history that knows other sectors besides.
        number, sectors = pd.factorize(placed.sector[rows])
        beside = {_MEMBER: member[rows], SECTOR: number}
        own = placed.adjusted.take(rows).assign(**beside).reset_index(drop=True)
        digest = _digest(digest, frame_digest(own), json.dumps(list(sectors)))
        own_place = place[rows]
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
