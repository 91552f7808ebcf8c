"""The bars of one night as they were known: under the labels of their instruments, adjusted, and who belonged."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import pandas as pd

from ml.domain import Night
from ml.equity import adjustment, identity, labels, sessions, universe
from ml.equity.universe import Rules
from ml.frames import ADJUSTED, BARS
from ml.io.store import frame_digest
from ml.io.warehouse import Warehouse, bars
from ml.settings import Settings

_MEMBER = "member"


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
    tickers = bars.tickers_as_known(warehouse, night)
    raw = bars.bars_as_known(warehouse, night)
    # Members are listed by the tickers of their days, so they are told before tickers become labels.
    raw = raw.assign(**{_MEMBER: _belongs(config, raw, bars.members_as_known(warehouse, night))})
    told = _owned(identity.label_bars(raw, tickers, calendar, as_of))
    session = sessions.session_of(calendar, pd.Series([as_of])).iloc[0]
    actions = identity.label(bars.actions_as_known(warehouse, night), tickers, "ex_date", session)
    actions = _owned(actions).sort_values(["symbol", "ex_date", "kind"], ignore_index=True)
    member: pd.Series[bool] = told[_MEMBER]
    history = BARS.check(told.drop(columns=_MEMBER))
    return History(calendar, history, actions, member, _digest(calendar, night, history, actions, member))


def _owned(frame: pd.DataFrame) -> pd.DataFrame:
    """Without the rows of tickers on days on which they were nobody's."""
    nobodys = [symbol for symbol in frame["symbol"].unique() if symbol.endswith(identity.UNOWNED)]
    return frame[~frame["symbol"].isin(nobodys)].reset_index(drop=True) if nobodys else frame


def _belongs(config: Settings, raw: pd.DataFrame, members: pd.DataFrame) -> pd.Series[bool]:
    """Without a list of members everybody is one."""
    belongs = universe.is_liquid(raw, Rules(config.min_price, config.min_dollar_volume), config.calendar)
    if len(members):
        belongs &= universe.is_member(raw, members, config.calendar)
    return pd.Series(belongs, index=raw.index)


def _digest(calendar: str, night: Night, raw: pd.DataFrame, actions: pd.DataFrame, member: pd.Series[bool]) -> str:
    frames = (raw, actions, member.to_frame())
    code = (calendar, str(adjustment.REVISION), str(labels.REVISION))
    parts = (night.domain, night.as_of.isoformat(), *(frame_digest(frame) for frame in frames), *code)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
