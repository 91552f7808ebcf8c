"""Who was behind a ticker: listings, details and renames."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Any

import pandas as pd

from ml.frames import REFERENCE
from ml.io.market_data.polygon_client import Client
from ml.io.market_data.polygon_fields import day_if_given, day_of, text_if_given

log = logging.getLogger(__name__)

_A_PAGE = 1_000
_MARKET = "stocks"
_RECENT = timedelta(days=10)  # of the last session's owners today's are the same


@dataclass(frozen=True)
class _Owner:
    """One row of REFERENCE."""

    instrument: str
    symbol: str
    valid_from: datetime | None
    valid_to: datetime | None
    name: str | None
    type: str | None
    exchange: str | None
    sector: str | None
    listed: datetime | None
    delisted: datetime | None


def reference_of(client: Client, symbols: Iterable[str], day: date) -> pd.DataFrame:
    """REFERENCE of the instruments that had the tickers on `day`, each under all tickers it has had.

    A ticker that is gone by then is looked up among the delisted ones; one that nobody knows has no row. Of a day that
    is past, today's owners of the tickers are told too: of the one before, the vendor does not always say when it left.
    """
    return _frame(_apart(owner for symbol in symbols for owner in _then_and_now(client, symbol, day)))


def listed_reference(client: Client) -> pd.DataFrame:
    """REFERENCE of every ticker that is or was listed, as far as the listings say: no sectors and no list dates."""
    rows = [*_listed(client, active=False), *_listed(client, active=True)]
    return _frame(_in_turn(_owner(row) for row in rows))


def _then_and_now(client: Client, symbol: str, day: date) -> list[_Owner]:
    then = _owners_of(client, symbol, day)
    if datetime.now(UTC).date() - day <= _RECENT:
        return then
    evening = datetime(day.year, day.month, day.day) + timedelta(days=1)
    left = max((o.valid_to or evening for o in then if o.symbol == symbol), default=None)
    return [*then, *(replace(o, valid_from=o.valid_from or left) for o in _owners_of(client, symbol, None))]


def _owners_of(client: Client, symbol: str, day: date | None) -> list[_Owner]:
    """Who has the ticker on a day, under all its tickers; today without a day, and then nobody if it is not in use."""
    details = client.ticker_details(symbol, None if day is None else day.isoformat())
    if details is None and day is None:
        return []
    if details is None:
        owners = _in_turn(_owner(row) for row in _listed(client, active=False, ticker=symbol))
        if not owners:
            log.warning("the vendor does not know who is behind %s", symbol)
        return owners
    owner = _owner({**details, "ticker": symbol})
    events = client.ticker_events(text_if_given(details.get("composite_figi")) or symbol) or {}
    return list(_renamed(owner, _changes(events)))


def _listed(client: Client, active: bool, ticker: str | None = None) -> Iterator[dict[str, Any]]:
    listing = client.list_tickers(ticker, market=_MARKET, active=active, sort="ticker", order="asc", limit=_A_PAGE)
    return (vars(row) | {"active": active} for row in listing if text_if_given(row.ticker))


def _owner(row: dict[str, Any]) -> _Owner:
    """The owner of a ticker since its listing, where that is told and came before its last day of trading."""
    symbol = str(row["ticker"])
    listed = day_if_given(row.get("list_date"), f"listing of {symbol}")
    delisted = day_if_given(row.get("delisted_utc"), f"delisting of {symbol}")
    nameless = f"ticker:{symbol}" + (f":{delisted:%Y-%m-%d}" if delisted else "")
    return _Owner(
        instrument=text_if_given(row.get("composite_figi")) or nameless,
        symbol=symbol,
        valid_from=None if listed and delisted and listed > delisted else listed,
        valid_to=None if delisted is None else delisted + timedelta(days=1),
        name=text_if_given(row.get("name")),
        type=text_if_given(row.get("type")),
        exchange=text_if_given(row.get("primary_exchange")),
        sector=text_if_given(row.get("sic_description")),
        listed=listed,
        delisted=delisted,
    )


def _in_turn(owners: Iterable[_Owner]) -> list[_Owner]:
    """Each ticker's owners one after another: where one ends, the next begins.

    A listing without an end beside a later one says nothing about when it was, and is left out, as is the
    second of two that ended on one day.
    """
    kept: list[_Owner] = []
    for same in _by_ticker(owners):
        turn: list[_Owner] = []
        # the listed one comes last, and stays last: the sort is stable
        for owner in sorted(same, key=_until):
            if not turn:
                turn.append(owner)
            elif turn[-1].instrument == owner.instrument or turn[-1].valid_to is None:
                turn[-1] = replace(owner, valid_from=turn[-1].valid_from)
            elif turn[-1].valid_to != owner.valid_to:
                turn.append(replace(owner, valid_from=turn[-1].valid_to))
        kept += turn
    return kept


def _apart(owners: Iterable[_Owner]) -> list[_Owner]:
    """No two owners of a ticker at once, when what is told of one ticker and of another's past speaks of the same.

    One instrument's intervals that meet are one; of two instruments the earlier leaves when the later comes.
    """
    kept: list[_Owner] = []
    for same in _by_ticker(owners):
        turn: list[_Owner] = []
        for owner in sorted(same, key=_since):
            last = turn[-1] if turn else None
            if last is None or _until(last) < _since(owner):
                turn.append(owner)
            elif last.instrument == owner.instrument:
                turn[-1] = replace(last, valid_to=max(last, owner, key=_until).valid_to)
            elif _since(last) < _since(owner):
                turn[-1:] = [replace(last, valid_to=owner.valid_from), owner]
            else:
                log.warning(
                    "%s belongs to %s and to %s; the first is kept", owner.symbol, last.instrument, owner.instrument
                )
        kept += turn
    return kept


def _since(owner: _Owner) -> datetime:
    return owner.valid_from or datetime.min


def _until(owner: _Owner) -> datetime:
    return owner.valid_to or datetime.max


def _by_ticker(owners: Iterable[_Owner]) -> Iterator[list[_Owner]]:
    ordered = sorted(owners, key=lambda owner: owner.symbol)
    return (list(same) for _, same in groupby(ordered, key=lambda owner: owner.symbol))


def _changes(events: dict[str, Any]) -> list[tuple[datetime, str]]:
    """When each ticker came into use, in order, each change once."""
    given = events.get("events")
    read = {
        (day_of(event.get("date"), "ticker change"), str(event["ticker_change"].get("ticker")))
        for event in (given if isinstance(given, list) else [])
        if isinstance(event, dict) and isinstance(event.get("ticker_change"), dict)
    }
    changes: list[tuple[datetime, str]] = []
    for day, ticker in sorted(read):
        if not changes or (changes[-1][1] != ticker and changes[-1][0] != day):
            changes.append((day, ticker))
    return changes


def _renamed(owner: _Owner, changes: list[tuple[datetime, str]]) -> Iterator[_Owner]:
    """The owner once for each ticker it has had; its first one since it was listed, if that was earlier."""
    if owner.symbol not in [ticker for _, ticker in changes]:
        if changes:
            log.warning("the vendor's ticker changes do not lead to %s; they are left out", owner.symbol)
        yield owner
        return
    ends = [*(day for day, _ in changes[1:]), owner.valid_to]
    for n, ((since, ticker), until) in enumerate(zip(changes, ends, strict=True)):
        first = min(since, owner.valid_from or since) if n == 0 else since
        if until is None or first < until:
            yield replace(owner, symbol=ticker, valid_from=first, valid_to=until)


def _frame(owners: list[_Owner]) -> pd.DataFrame:
    table = pd.DataFrame([vars(owner) for owner in owners], columns=list(REFERENCE.columns))
    return REFERENCE.cast(table.sort_values(["symbol", "valid_from"], na_position="first"))
