"""Forward-only migrations: plain SQL files applied by yoyo, then the views laid anew.

Safe to run twice and by two processes at once: a Postgres advisory lock, which dies with its
session, stands around yoyo's own lock table, whose row would survive a kill.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import yoyo

from ml.io.postgres import connected
from ml.io.queries import SQL, query


def migrate(dsn: str) -> list[str]:
    """Bring the database up to date; returns the names of the migrations that were applied now."""
    with _only_one(dsn):
        applied = _apply_pending(dsn)
        _lay_views(dsn)
    return applied


@contextmanager
def _only_one(dsn: str) -> Iterator[None]:
    with connected(dsn) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(query("migration_lock"))
        yield


def _apply_pending(dsn: str) -> list[str]:
    backend = yoyo.get_backend(dsn)
    try:
        # We hold the advisory lock, so a lock row can only be the leftover of a killed process.
        backend.break_lock()
        pending = backend.to_apply(yoyo.read_migrations(str(SQL / "migrations")))
        with backend.lock():
            backend.apply_migrations(pending)
        return [migration.id for migration in pending]
    finally:
        backend.connection.close()


def _lay_views(dsn: str) -> None:
    with connected(dsn) as connection, connection, connection.cursor() as cursor:
        for path in sorted((SQL / "serving").glob("*.sql")):
            cursor.execute(path.read_text(encoding="utf-8"))
