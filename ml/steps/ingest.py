"""Vendor to landing: ask the source for the night's bars and keep what came, untouched."""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime

import pandas as pd

from ml import frames
from ml.equity import sessions
from ml.equity.derived_actions import derive_actions
from ml.errors import ProviderError, ProviderUnavailable, SettingsError
from ml.io.market_data import Received, provider
from ml.io.store import Store, frame_digest
from ml.io.warehouse import Warehouse, bars
from ml.settings import Settings, settings
from ml.steps.night import Keys

log = logging.getLogger(__name__)

DOMAIN = "equity"


def run(as_of: str | None = None, due: datetime | None = None) -> Keys:
    """Land one night's delivery; without `as_of`, the last session that the source has.

    due: the close that a scheduled night is for. A vendor that does not have it yet is waited for
    (ProviderUnavailable, so the task is retried); a shipped or a filed history is taken as it is.
    Returns the keys `ingest_id`, `domain` and `as_of`.
    """
    config = settings()
    warehouse = Warehouse(config.require_warehouse_dsn())
    source = provider(config)
    _refuse_second_provider(warehouse, source.name)
    last = sessions.last_session(config.calendar, min(source.last_session(), datetime.now(UTC).date()))
    if config.provider == "polygon" and due is not None:
        _require_due(config, last, due)
    close = sessions.parse_as_of(config.calendar, as_of or last.isoformat())
    session = sessions.session_of(config.calendar, pd.Series([close])).iloc[0].date()
    if session > last:
        raise SettingsError(
            f"as_of {session} and a last session of {last} in provider {source.name}",
            "a session that the provider already has",
            "Wait for its data or choose an earlier as_of",
        )
    received = source.fetch(config.history_start, session, config.symbols)
    if received.bars.empty:
        raise ProviderError(
            f"no bars from {received.source} between {config.history_start} and {session}",
            "at least one bar",
            "Check AFTERBELL_SYMBOLS, AFTERBELL_HISTORY_START and the source itself",
        )
    ingest_id = bars.record_landing(warehouse, _landed(config, source.name, close, session, received))
    log.info("landed %d rows of %s as of %s, ingest %d", len(received.bars), received.source, session, ingest_id)
    return {"ingest_id": str(ingest_id), "domain": DOMAIN, "as_of": close.isoformat()}


def _require_due(config: Settings, last: date, due: datetime) -> None:
    wanted = sessions.session_of(config.calendar, pd.Series([pd.Timestamp(due)])).iloc[0].date()
    if last < wanted:
        raise ProviderUnavailable(
            f"{last} as the vendor's last session", f"{wanted}, which has closed", "The night waits and asks again"
        )


def _refuse_second_provider(warehouse: Warehouse, name: str) -> None:
    """Two vendors never agree on every bar: mixed in one history, each would restate the other night after night."""
    other = warehouse.row("ingest_other_provider", {"domain": DOMAIN, "provider": name})
    if other is not None:
        raise SettingsError(
            f"bars of provider {other['provider']} in the warehouse and AFTERBELL_PROVIDER {name}",
            "one provider per warehouse",
            "Set AFTERBELL_HOME (or AFTERBELL_WAREHOUSE_DSN) to a place of its own for each provider",
        )


def _landed(config: Settings, name: str, close: pd.Timestamp, session: date, received: Received) -> bars.Landing:
    """Keep the delivery in the store, untouched, and say where."""
    actions = _actions(received)
    digest = frame_digest(received.bars)
    key = f"landing/{DOMAIN}/{name}/{session}/{digest[:16]}-{frame_digest(actions)[:16]}"
    store = Store(config.store_root)
    store.put(f"{key}/bars", received.bars, {"source": received.source})
    store.put(f"{key}/actions", actions, {"source": received.source})
    return bars.Landing(
        domain=DOMAIN,
        provider=name,
        source=received.source,
        as_of=close.to_pydatetime(),
        window_start=config.history_start,
        window_end=session,
        received_rows=len(received.bars),
        landing_key=key,
        received_digest=digest,
    )


def _actions(received: Received) -> pd.DataFrame:
    if received.actions is not None:
        return received.actions
    if received.adj_close is not None:
        return derive_actions(_usable(received.adj_close))
    return frames.ACTIONS.empty()


def _usable(adj_close: pd.DataFrame) -> pd.DataFrame:
    """Rows fit to derive actions from; the others are bars that the checks will quarantine."""
    positive = (adj_close["close"] > 0) & (adj_close["adj_close"] > 0) & adj_close["symbol"].notna()
    once = ~adj_close.duplicated(["symbol", "date"], keep=False)
    return adj_close[positive & once].dropna().sort_values(["symbol", "date"], ignore_index=True)
