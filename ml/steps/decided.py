"""All that decides what a history's months before an instant are, besides their bars: under one digest."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from ml.domain import Night
from ml.equity import identity, sessions, spells
from ml.io.store import frame_digest
from ml.io.warehouse import Warehouse, bars
from ml.settings import Settings

_ML = Path(__file__).parent.parent
_CODE = (
    "equity/adjustment.py",
    "equity/calendar_offsets.py",
    "equity/features/tails.py",
    "equity/identity.py",
    "equity/sessions.py",
    "equity/spells.py",
    "equity/universe.py",
    "frames.py",
    "io/store.py",
    "io/warehouse/bars.py",
    "steps/decided.py",
    "steps/going_on.py",
    "steps/history.py",
    "steps/past.py",
)
"""What turns a warehouse's rows into a history: whoever changes it has the whole history read again, once."""


def years(warehouse: Warehouse, before: datetime) -> list[int]:
    """The years of bars in use that the past lies in: one that went to the archive is no part of it any more."""
    return bars.years_in_use(warehouse, before.astimezone(UTC).year)


def digest(
    config: Settings,
    night: Night,
    known: bars.Known,
    actions: pd.DataFrame,
    days: pd.DataFrame,
    symbols: pd.Series,
    cut: int,
) -> str:
    """SHA-256 (hex) of what decides the months before the session number `cut`, as a night knows it.

    Of tables only what they say of those months has a part in it: a new listing has none, and a rename has, because
    labels are those of the night.
    actions: under the labels of their instruments; days: of the tickers with bars, `spells.days_before`
    symbols: the labels of those bars
    """
    session = sessions.session_of(config.calendar, pd.Series([pd.Timestamp(night.as_of)])).iloc[0]
    parts = [config.calendar, sessions.VERSION, str(config.min_price), str(config.min_dollar_volume), _code()]
    parts += _tables(known, days, session)
    past = actions[
        (actions["ex_date"] < sessions.at(config.calendar, np.array([cut]))[0])
        & actions["symbol"].isin(symbols.tolist())
    ]
    parts.append(frame_digest(past.reset_index(drop=True)))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _tables(known: bars.Known, days: pd.DataFrame, session: pd.Timestamp) -> Sequence[str]:
    """Labels, sectors and members on the days on which there were bars; without any member everybody is one."""
    owned = days[days["symbol"].isin(known.tickers["symbol"].tolist())].reset_index(drop=True)
    labels = spells.within(days, identity.label_spans(known.tickers, session), "label") if len(known.tickers) else owned
    sectors = spells.within(days, identity.filled(known.sectors), "sector")
    members = spells.within(days, identity.filled(known.members))
    listed = str(bool(len(known.members)))
    return [listed, *(frame_digest(each) for each in (owned[["symbol"]], labels, sectors, members))]


def _code() -> str:
    read = b"".join((_ML / name).read_bytes() for name in _CODE)
    return f"{hashlib.sha256(read).hexdigest()} numpy {np.__version__} pandas {pd.__version__}"
