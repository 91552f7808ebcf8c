"""Vendor to landing: ask the source for a span of bars and keep what comes, part by part, untouched."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from uuid import uuid4

import pandas as pd

from ml.equity import sessions
from ml.errors import ProviderError, ProviderUnavailable, SettingsError
from ml.frames import MEMBERS, RECEIVED, REFERENCE
from ml.io.market_data import Part, Provider, Request, provider, universe_file
from ml.io.store import Store, frame_digest
from ml.io.warehouse import Warehouse, deliveries
from ml.io.warehouse.connection import Row
from ml.io.warehouse.deliveries import Delivery, Landed
from ml.settings import Settings, settings
from ml.steps import maintenance
from ml.steps.night import Keys

log = logging.getLogger(__name__)

DOMAIN = "equity"
FRAMES = ("bars", "actions", "adj_close", "reference", "members", "spoken")
"""What a part may hold, each stored under its own name."""
ACTIONS_AGAIN = timedelta(days=120)
"""How far back a night asks a vendor for actions again: they are few, and some are recorded late."""


def run(as_of: str | None = None, due: datetime | None = None, attempt: str | None = None) -> Keys:
    """Land one night's delivery; without `as_of`, the last session that the source has.

    due: the close that a scheduled night is for. A vendor that does not have it yet is waited for
    (ProviderUnavailable, so the task is retried); a shipped or a filed history is taken as it is.
    attempt: who asks (see `deliveries.Delivery`); without one, somebody new.
    Returns the keys `ingest_id`, `domain` and `as_of`.
    """
    config = settings()
    source = _only_provider(config)
    sessions.require_reach(config.calendar, config.history_start, "AFTERBELL_HISTORY_START")
    last, strays_after = last_session(config, source, datetime.now(UTC))
    if config.provider == "polygon" and due is not None:
        _require_due(config, last, due)
    close = sessions.parse_as_of(config.calendar, as_of or last.isoformat())
    session = _session(config, close)
    if session > last:
        raise SettingsError(
            f"as_of {session} and a last session of {last} in provider {source.name}",
            "a session that the provider already has",
            "Wait for its data or choose an earlier as_of",
        )
    start = _window_start(config, close)
    actions_start = min(start, max(_first_kept(config), session - ACTIONS_AGAIN))
    request = Request(start, session, config.symbols, strays_after, actions_start)
    return land(config, "night", close, request, attempt)


def last_session(config: Settings, source: Provider, now: datetime) -> tuple[date, date | None]:
    """The last session that has closed by `now` and of which the source has bars; and whether it has stray rows.

    Rows of the session under way are there before its close, and one row may carry a date by mistake: neither makes a
    night. The second is None, or the session under way when the source has rows of later days than that.
    """
    closed, latest = sessions.last_closed(config.calendar, now), source.last_session()
    known = latest if latest <= closed else source.last_session(closed)
    under_way = sessions.under_way(config.calendar, now)
    return sessions.last_session(config.calendar, known), under_way if latest > under_way else None


def land(config: Settings, kind: str, as_of: pd.Timestamp, request: Request, attempt: str | None) -> Keys:
    """Land one delivery; a killed one, asked for again by the same attempt, gets only the parts it lacks.

    Whenever that is: it stays the delivery that was begun, of that night and that window, whatever is asked for now.
    """
    source = _only_provider(config)
    warehouse, store = Warehouse(config.require_warehouse_dsn()), Store(config.store_root)
    delivery = Delivery(
        domain=DOMAIN,
        kind=kind,
        provider=source.name,
        source=source.source,
        as_of=as_of.to_pydatetime(),
        window_start=request.start,
        window_end=request.end,
        symbols=request.symbols,
        attempt=attempt or uuid4().hex,
    )
    begun = deliveries.begin(warehouse, delivery)
    ingest_id, delivery = int(begun["ingest_id"]), _as_begun(delivery, begun)
    request = replace(request, start=delivery.window_start, end=delivery.window_end, symbols=delivery.symbols)
    have = {landed.part for landed in deliveries.parts(warehouse, ingest_id)}
    for part in chain(source.deliver(request, have), _universe(config, have), _no_reference(config, have)):
        deliveries.land(warehouse, ingest_id, _kept(store, source.name, part))
    return _closed(warehouse, ingest_id, delivery)


def _as_begun(delivery: Delivery, begun: Row) -> Delivery:
    """The delivery as its row has it: parts of one window would be no parts of another."""
    return replace(
        delivery,
        as_of=begun["as_of"].astimezone(UTC),
        window_start=begun["window_start"],
        window_end=begun["window_end"],
        symbols=tuple(begun["symbols"] or ()),
    )


def _closed(warehouse: Warehouse, ingest_id: int, delivery: Delivery) -> Keys:
    parts = deliveries.parts(warehouse, ingest_id)
    rows = sum(part.received_rows for part in parts)
    if not rows and delivery.kind == "night":
        raise ProviderError(
            f"no bars from {delivery.source} between {delivery.window_start} and {delivery.window_end}",
            "at least one bar",
            "Check AFTERBELL_SYMBOLS, AFTERBELL_HISTORY_START and the source itself",
        )
    digest = hashlib.sha256("\n".join(f"{part.part} {part.digest}" for part in parts).encode()).hexdigest()
    deliveries.close(warehouse, ingest_id, digest)
    log.info("landed %d rows in %d parts from %s, ingest %d", rows, len(parts), delivery.source, ingest_id)
    return {"ingest_id": str(ingest_id), "domain": DOMAIN, "as_of": delivery.as_of.isoformat()}


def _universe(config: Settings, have: set[str]) -> Iterator[Part]:
    """The list of AFTERBELL_UNIVERSE_PATH as one more part; without it an empty one, if there was a list before."""
    if "members" in have:
        return
    if config.universe_path:
        yield Part("members", RECEIVED.empty(), members=universe_file.read_universe(config.universe_path))
    elif Warehouse(config.require_warehouse_dsn()).row("members_believed") is not None:
        yield Part("members", RECEIVED.empty(), members=MEMBERS.empty())


def _no_reference(config: Settings, have: set[str]) -> Iterator[Part]:
    """An empty reference, if there was a file before and AFTERBELL_FILES_REFERENCE names none now."""
    told = config.provider != "files" or config.files_reference or "reference" in have
    if not told and Warehouse(config.require_warehouse_dsn()).row("reference_believed") is not None:
        yield Part("reference", RECEIVED.empty(), reference=REFERENCE.empty())


def _kept(store: Store, provider_name: str, part: Part) -> Landed:
    """Keep a part in the store by its content: what came before, and came again, is stored once."""
    frames = {name: frame for name in FRAMES if (frame := getattr(part, name)) is not None}
    digests = {name: frame_digest(frame) for name, frame in frames.items()}
    digest = hashlib.sha256("\n".join(f"{name} {value}" for name, value in digests.items()).encode()).hexdigest()
    key = f"landing/{DOMAIN}/{provider_name}/{digest[:32]}"
    for name, frame in frames.items():
        store.put(f"{key}/{name}", frame, {"part": part.name})
    log.info("part %s: %d rows", part.name, len(part.bars))
    return Landed(part.name, key, len(part.bars), digest)


def _window_start(config: Settings, close: pd.Timestamp) -> date:
    """The whole history that is kept; of a vendor over the wire, once there was a night, the sessions that are new.

    And those of REFETCH_SESSIONS before them. Only nights count: a backfill may have brought some symbols only.
    """
    warehouse = Warehouse(config.require_warehouse_dsn())
    last = warehouse.row("ingest_last_accepted", {"domain": DOMAIN, "as_of": None})
    if config.provider == "polygon" and last is not None:
        new = pd.Series([min(close, sessions.next_close(config.calendar, last["as_of"]))])
        return _session(config, sessions.later_close(config.calendar, new, -config.refetch_sessions).iloc[0])
    return _first_kept(config)


def _first_kept(config: Settings) -> date:
    warehouse = Warehouse(config.require_warehouse_dsn())
    kept = maintenance.first_kept(warehouse, config.calendar, config.keep_sessions)
    return max(config.history_start, _session(config, pd.Timestamp(kept))) if kept else config.history_start


def _session(config: Settings, close: pd.Timestamp) -> date:
    session: date = sessions.session_of(config.calendar, pd.Series([close])).iloc[0].date()
    return session


def _require_due(config: Settings, last: date, due: datetime) -> None:
    wanted = _session(config, pd.Timestamp(due))
    if last < wanted:
        raise ProviderUnavailable(
            f"{last} as the vendor's last session", f"{wanted}, which has closed", "The night waits and asks again"
        )


def _only_provider(config: Settings) -> Provider:
    """The configured source. Two vendors never agree on every bar: in one history each would restate the other."""
    source = provider(config)
    warehouse = Warehouse(config.require_warehouse_dsn())
    other = warehouse.row("ingest_other_provider", {"domain": DOMAIN, "provider": source.name})
    if other is not None:
        raise SettingsError(
            f"bars of provider {other['provider']} in the warehouse and AFTERBELL_PROVIDER {source.name}",
            "one provider per warehouse",
            "Set AFTERBELL_HOME (or AFTERBELL_WAREHOUSE_DSN) to a place of its own for each provider",
        )
    return source
