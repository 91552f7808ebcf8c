"""The house's own upkeep: partitions ahead of time, old years to the archive, backups that were seen to restore.

Each step says in one line what it did, and the line is kept in `serving.maintenance`, whether it succeeded or not.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd

from ml.equity import sessions
from ml.errors import AfterbellError, SettingsError, WarehouseUnavailable
from ml.frames import session_day
from ml.io import backup as backups
from ml.io.warehouse import Warehouse, partitions
from ml.settings import Settings, settings

log = logging.getLogger(__name__)

DOMAIN = "equity"
AHEAD = timedelta(days=366)


def make_partitions() -> str:
    """Have partitions for bars from now until a year from now, so that no night waits for a table's lock."""
    warehouse = _warehouse(settings())

    def work() -> str:
        now = datetime.now(UTC)
        made = partitions.make_ahead(warehouse, now, now + AHEAD)
        return f"made {', '.join(map(str, made))}" if made else "all there"

    return _recorded(warehouse, "partitions", work)


def retain(keep_sessions: int | None = None) -> str:
    """Move yearly partitions that lie wholly before the kept sessions to the schema `archive`.

    keep_sessions: up to the last accepted night; 0 keeps all; None means AFTERBELL_KEEP_SESSIONS.
    """
    config = settings()
    warehouse = _warehouse(config)
    keep = config.keep_sessions if keep_sessions is None else keep_sessions

    def work() -> str:
        first = first_kept(warehouse, config.calendar, keep)
        if first is None:
            return "nothing to move: all sessions are kept"
        moved = partitions.detach_before(warehouse, first)
        counted = ", ".join(f"{year} ({bars} bars)" for year, bars in moved.items())
        return f"kept {keep} sessions, from {session_day(first)}; " + (
            f"moved to archive: {counted}" if moved else "all in use"
        )

    return _recorded(warehouse, "retention", work)


def back_up() -> str:
    """Dump the product's database; the name of the dump. Older dumps that nobody could verify are pruned first."""
    config = settings()
    backups.prune(_folder(config), config.keep_backups)
    made: list[str] = []

    def work() -> str:
        path = backups.dump(config.require_warehouse_dsn(), _folder(config))
        made.append(path.name)
        return f"{path.name}, {path.stat().st_size / 1e6:.1f} MB"

    _recorded(_warehouse(config), "backup", work)
    return made[0]


def verify(name: str) -> str:
    """Restore a dump of `back_up` into a scratch database and compare every table with the time of the dump."""
    config = settings()

    def work() -> str:
        tables = backups.verify(config.require_warehouse_dsn(), _folder(config) / name)
        rows = sum(int(count) for count, _ in tables.values())
        return f"{name} gives back {rows} rows in {len(tables)} tables, all as they were"

    return _recorded(_warehouse(config), "verify", work)


def prune(keep_backups: int | None = None) -> str:
    """Delete all but the newest verified backups; None means AFTERBELL_KEEP_BACKUPS."""
    config = settings()
    keep = config.keep_backups if keep_backups is None else keep_backups
    if keep < 1:
        raise SettingsError(f"{keep} backups to keep", "at least 1", "Correct the form or AFTERBELL_KEEP_BACKUPS")

    def work() -> str:
        gone = backups.prune(_folder(config), keep)
        return f"kept the {keep} newest; deleted {', '.join(gone) or 'none'}"

    return _recorded(_warehouse(config), "prune", work)


def first_kept(warehouse: Warehouse, calendar: str, keep_sessions: int) -> datetime | None:
    """The close of the first session that is kept, counted back from the last accepted night; None: all are kept."""
    last = warehouse.row("ingest_last_accepted", {"domain": DOMAIN, "as_of": None})
    if not keep_sessions or last is None:
        return None
    close = pd.Series([pd.Timestamp(last["as_of"])])
    if sessions.positions(calendar, close)[0] < keep_sessions:
        return None
    first: datetime = sessions.later_close(calendar, close, 1 - keep_sessions).iloc[0].to_pydatetime()
    return first


def _recorded(warehouse: Warehouse, task: str, work: Callable[[], str]) -> str:
    """Do the work and write down what came of it."""
    started = datetime.now(UTC)

    def record(succeeded: bool, result: str) -> None:
        with warehouse.transaction() as transaction:
            row = {"task": task, "succeeded": succeeded, "result": result, "started_at": started}
            transaction.execute("maintenance_insert", row)

    try:
        result = work()
    except AfterbellError as error:
        with suppress(WarehouseUnavailable):  # when it is away, and not only busy, there is nowhere to write it down
            record(False, str(error))
        raise
    record(True, result)
    log.info("%s: %s", task, result)
    return result


def _warehouse(config: Settings) -> Warehouse:
    return Warehouse(config.require_warehouse_dsn())


def _folder(config: Settings) -> Path:
    return config.home / "backups"
