"""Deliveries of the sources: what was asked, which parts came, and what became of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from ml.errors import NotRecorded
from ml.io.warehouse.connection import Row, Warehouse


@dataclass(frozen=True)
class Delivery:
    """What a source is asked for.

    kind: "night", "backfill" or "release" (of quarantined rows); only nights are followed by features and predictions.
    attempt: who asks. Killed and made again, it finds the parts that it has got already; once all parts came, the
        same attempt made again begins a new delivery (a backfill first has the one that landed judged).
    symbols: none for all of the source's.
    """

    domain: str
    kind: str
    provider: str
    source: str
    as_of: datetime
    window_start: date
    window_end: date
    symbols: tuple[str, ...]
    attempt: str


@dataclass(frozen=True)
class Landed:
    """One part of a delivery: its name, and where it lies in the store, untouched."""

    part: str
    store_key: str
    received_rows: int
    digest: str


def begin(warehouse: Warehouse, delivery: Delivery) -> Row:
    """The row of this delivery in market.ingest_runs: a new one, or the one that the same attempt left unfinished."""
    named = {**vars(delivery), "symbols": list(delivery.symbols) or None}
    with warehouse.transaction() as transaction:
        return transaction.one("ingest_begin", named)


def accepted(warehouse: Warehouse, attempt: str) -> Row | None:
    """The delivery of this attempt that was taken in, if there is one."""
    return warehouse.row("ingest_accepted", {"attempt": attempt})


def landed(warehouse: Warehouse, attempt: str) -> Row | None:
    """The latest delivery of this attempt, if all its parts came and nobody has judged it yet."""
    row = warehouse.row("ingest_last_of_attempt", {"attempt": attempt})
    return row if row is not None and row["status"] == "landed" else None


def land(warehouse: Warehouse, ingest_id: int, landed: Landed) -> None:
    """Write down that a part came; the same part twice is one."""
    with warehouse.transaction() as transaction:
        transaction.execute("landed_part_insert", {"ingest_id": ingest_id, **vars(landed)})


def close(warehouse: Warehouse, ingest_id: int, digest: str) -> None:
    """All parts are there. A delivery that was judged before stays as it was judged."""
    with warehouse.transaction() as transaction:
        transaction.execute("ingest_landed", {"ingest_id": ingest_id, "digest": digest})


def parts(warehouse: Warehouse, ingest_id: int) -> list[Landed]:
    """The parts that came so far, in the order of their names."""
    return [Landed(**row) for row in warehouse.rows("landed_parts", {"ingest_id": ingest_id})]


def find(warehouse: Warehouse, ingest_id: int) -> Row:
    """The row of one delivery; NotRecorded when there is none."""
    row = warehouse.row("ingest_run", {"ingest_id": ingest_id})
    if row is None:
        raise NotRecorded(f"no delivery {ingest_id}", "one that ingest has landed", "Run ingest first")
    return row
