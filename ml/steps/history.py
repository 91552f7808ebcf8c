"""The bars of one night as they were known: under the labels of their instruments, adjusted, and who belonged."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ml.domain import Night
from ml.equity import adjustment, identity, labels, sessions, universe
from ml.equity.universe import Rules
from ml.frames import ADJUSTED, BARS
from ml.io.store import frame_digest
from ml.io.warehouse import Warehouse, bars
from ml.settings import Settings

log = logging.getLogger(__name__)

_MEMBER = "member"
_SHOWN = 10


@dataclass(frozen=True)
class History:
    """All that a night's features are made from.

    bars: BARS, raw; actions: ACTIONS; member: per row of `bars`, whether its symbol belonged to the universe that day
    digest: the same for the same data and the same code that turns it into adjusted bars and labels
    """

    calendar: str
    bars: pd.DataFrame
    actions: pd.DataFrame
    member: pd.Series[bool]
    digest: str

    def adjusted(self) -> pd.DataFrame:
        """ADJUSTED of `bars`, row by row."""
        return ADJUSTED.check(adjustment.adjust(self.bars, self.actions, self.calendar))


def as_known(config: Settings, warehouse: Warehouse, night: Night) -> History:
    """The history up to `night.as_of` as it was believed at `night.known_at`."""
    calendar, as_of = config.calendar, pd.Timestamp(night.as_of)
    known = bars.as_known(warehouse, night)
    # Members are listed by the tickers of their days, so they are told before tickers become labels.
    raw = known.bars.assign(**{_MEMBER: _is_member(calendar, known.bars, known.members)})
    told = _owned(identity.label_bars(raw, known.tickers, calendar, as_of))
    member = told[_MEMBER] & universe.is_liquid(told, Rules(config.min_price, config.min_dollar_volume), calendar)
    history = BARS.check(told.drop(columns=_MEMBER))
    session = sessions.session_of(calendar, pd.Series([as_of])).iloc[0]
    actions = _owned(identity.label_actions(known.actions, known.tickers, session))
    actions = actions.sort_values(["symbol", "ex_date", "kind"], ignore_index=True)
    return History(calendar, history, actions, member, _digest(calendar, night, history, actions, member))


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


def _digest(calendar: str, night: Night, raw: pd.DataFrame, actions: pd.DataFrame, member: pd.Series[bool]) -> str:
    frames = (raw, actions, member.to_frame())
    code = (calendar, str(adjustment.REVISION), str(labels.REVISION))
    parts = (night.domain, night.as_of.isoformat(), *(frame_digest(frame) for frame in frames), *code)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
