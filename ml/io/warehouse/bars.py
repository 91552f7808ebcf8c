"""Bars, corporate actions, quarantine and checks: written by the night's first steps, read as known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import adbc_driver_manager
import pandas as pd
import pyarrow as pa
from adbc_driver_postgresql import dbapi

from ml import frames
from ml.domain import Night
from ml.errors import NotRecorded
from ml.io.postgres import unavailable
from ml.io.queries import query
from ml.io.warehouse.connection import Row, Transaction, Warehouse

TIMEFRAME = "1d"


@dataclass(frozen=True)
class Landing:
    """One delivery of a source: what was asked, what came, and where it lies untouched in the store."""

    domain: str
    provider: str
    source: str
    as_of: datetime
    window_start: date
    window_end: date
    received_rows: int
    landing_key: str
    received_digest: str


@dataclass(frozen=True)
class Acceptance:
    """What accepting a delivery changed."""

    known_at: datetime
    inserted: int
    restated: int
    unchanged: int
    quarantined: int


def record_landing(warehouse: Warehouse, landing: Landing) -> int:
    """Write down that a delivery arrived; returns its ingest_id."""
    with warehouse.transaction() as transaction:
        return int(transaction.one("ingest_land", vars(landing))["ingest_id"])


def landing(warehouse: Warehouse, ingest_id: int) -> Row:
    """The row of one delivery; NotRecorded when there is none."""
    row = warehouse.row("ingest_run", {"ingest_id": ingest_id})
    if row is None:
        raise NotRecorded(f"no delivery {ingest_id}", "one that ingest has landed", "Run ingest first")
    return row


def rows_in_session(warehouse: Warehouse, ts: datetime) -> int:
    """How many symbols have a bar that closed at `ts`."""
    row = warehouse.row("bars_in_session", {"timeframe": TIMEFRAME, "ts": ts})
    return int(row["bars"]) if row else 0


def accept(
    warehouse: Warehouse,
    ingest: Row,
    bars: pd.DataFrame,
    actions: pd.DataFrame,
    quarantined: pd.DataFrame,
    checks: Iterable[Mapping[str, Any]],
) -> Acceptance:
    """Take a checked delivery in, in one transaction.

    A row that differs from what was believed moves to the revisions with the interval in which it
    was believed; equal rows are left alone, so accepting the same delivery twice changes nothing.
    Actions of the delivery's symbols inside its window replace what was believed there.
    """
    with warehouse.transaction() as transaction:
        transaction.lock("market.bars")
        known_at = transaction.one("knowledge_instant")["known_at"]
        key = {"timeframe": TIMEFRAME, "known_at": known_at, "ingest_id": ingest["ingest_id"]}
        transaction.execute("incoming_bars")
        transaction.copy("incoming_bars_copy", bars)
        restated = transaction.execute("bars_keep_revisions", key)
        transaction.execute("bars_restate", key)
        inserted = transaction.execute("bars_insert", key)
        _accept_actions(transaction, ingest, actions, known_at)
        _store_quarantine(transaction, ingest, quarantined)
        _store_checks(transaction, ingest, checks)
        done = Acceptance(known_at, inserted, restated, len(bars) - inserted - restated, len(quarantined))
        transaction.execute("ingest_accept", {"ingest_id": ingest["ingest_id"], **vars(done)})
        return done


def refuse(warehouse: Warehouse, ingest: Row, quarantined: pd.DataFrame, checks: Iterable[Mapping[str, Any]]) -> None:
    """Keep the evidence against a delivery that failed its checks; no bar of it is taken in."""
    with warehouse.transaction() as transaction:
        transaction.lock("market.bars")
        _store_quarantine(transaction, ingest, quarantined)
        _store_checks(transaction, ingest, checks)
        transaction.execute("ingest_refuse", {"ingest_id": ingest["ingest_id"], "quarantined": len(quarantined)})


def bars_as_known(warehouse: Warehouse, night: Night) -> pd.DataFrame:
    """Raw bars up to `night.as_of` as believed at `night.known_at`; a BARS frame."""
    table = _arrow(warehouse, "bars_as_known", night).sort_by([("symbol", "ascending"), ("ts", "ascending")])
    return frames.BARS.check(frames.BARS.cast(table.to_pandas()))


def actions_as_known(warehouse: Warehouse, night: Night) -> pd.DataFrame:
    """Splits and dividends up to `night.as_of` as believed at `night.known_at`; an ACTIONS frame."""
    table = _arrow(warehouse, "actions_as_known", night)
    table = table.sort_by([("symbol", "ascending"), ("ex_date", "ascending"), ("kind", "ascending")])
    return frames.ACTIONS.check(frames.ACTIONS.cast(table.to_pandas()))


def _accept_actions(transaction: Transaction, ingest: Row, actions: pd.DataFrame, known_at: datetime) -> None:
    key = {
        "known_at": known_at,
        "ingest_id": ingest["ingest_id"],
        "window_start": ingest["window_start"],
        "window_end": ingest["window_end"],
    }
    transaction.execute("incoming_actions")
    transaction.copy("incoming_actions_copy", actions)
    transaction.execute("actions_supersede", key)
    transaction.execute("actions_insert", key)


def _store_quarantine(transaction: Transaction, ingest: Row, quarantined: pd.DataFrame) -> None:
    transaction.execute("incoming_quarantine")
    transaction.copy("incoming_quarantine_copy", quarantined)
    transaction.execute("quarantine_upsert", {"ingest_id": ingest["ingest_id"]})


def _store_checks(transaction: Transaction, ingest: Row, checks: Iterable[Mapping[str, Any]]) -> None:
    for check in checks:
        transaction.execute("check_result_upsert", {"ingest_id": ingest["ingest_id"], **check})


def _arrow(warehouse: Warehouse, name: str, night: Night) -> pa.Table:
    """One bulk read. The night travels as session settings: a statement with bound parameters cannot use COPY."""
    try:
        with closing(dbapi.connect(warehouse.dsn)) as connection, connection.cursor() as cursor:
            cursor.execute(query("night_settings"), (night.as_of.isoformat(), night.known_at.isoformat(), TIMEFRAME))
            cursor.fetchall()
            cursor.execute(query(name))
            return cursor.fetch_arrow_table()
    except adbc_driver_manager.OperationalError as error:
        raise unavailable(warehouse.dsn) from error
