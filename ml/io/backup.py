"""Backups of the product's database: dumped from one snapshot, restored once to prove them, and the old ones pruned.

A backup is a dump (pg_dump's custom format) and beside it a manifest, put in place last, which names every table with
its rows and a checksum in the snapshot of the dump. `verified_at` in it says that the dump was restored into a scratch
database that held exactly those. Both are readable by their owner alone. A password travels in a file, never in an
argument.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from psycopg2 import sql
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import make_dsn

from ml.errors import AfterbellError, BackupError, SettingsError
from ml.io.postgres import connected
from ml.io.postgres_programs import run
from ml.io.queries import query

log = logging.getLogger(__name__)

Tables = dict[str, list[str]]
_TEMPORARY = ".writing-"
_ABANDONED_SECONDS = 24 * 3600
# Measured on two million bars: half the time of the default, for a dump that is a twelfth larger.
_COMPRESSION = "--compress=1"
# Whoever restores lays rights anew (migrations do), so that no role need exist beforehand.
_PLAIN = ("--no-owner", "--no-privileges")


def dump(dsn: str, folder: Path) -> Path:
    """Dump the whole database of `dsn` into `folder`; the path of the dump, whose manifest says it is not verified yet.

    Writers are not held up. WarehouseUnavailable; BackupError when pg_dump fails or the disk does.
    """
    with _disk(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        _sweep(folder)
    with _snapshot(dsn) as (connection, snapshot, major), _disk(folder), _temporary(folder) as file:
        options = ("--format=custom", _COMPRESSION, f"--file={file}", f"--snapshot={snapshot}", *_PLAIN)
        run("pg_dump", major, dsn, options)
        tables = _tables(connection)
        size, digest = _fingerprint(file)
        path = folder / f"{connection.info.dbname}-{datetime.now(UTC):%Y%m%dT%H%M%S.%f}Z.dump"
        _put(file, path)
    _write_manifest(path, {"server": major, "bytes": size, "sha256": digest, "tables": tables, "verified_at": None})
    log.info("dumped %d tables to %s (%d bytes)", len(tables), path, size)
    return path


def verify(dsn: str, path: Path) -> Tables:
    """Restore a dump into a scratch database on the server of `dsn` and compare every table; what was compared.

    SettingsError when the role may not create a database there; BackupError when the dump is damaged, cannot be
    restored or holds anything else than its snapshot did; WarehouseUnavailable.
    """
    about = manifest(path)
    with _disk(path.parent):
        if _fingerprint(path) != (about["bytes"], about["sha256"]):
            raise BackupError(f"{path}, which has changed since it was written", "it untouched", "Make a new backup")
    with _scratch(dsn) as scratch:
        run("pg_restore", about["server"], scratch, ("--exit-on-error", *_PLAIN, str(path)))
        with connected(scratch) as connection:
            found = _tables(connection)
    expected: Tables = about["tables"]
    different = sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))
    if different:
        raise BackupError(
            f"{path.name}, which restores {', '.join(different)} to something else than was dumped",
            "the rows and checksums of the dump's snapshot",
            "Keep the older backups and make a new one",
        )
    _write_manifest(path, {**about, "verified_at": datetime.now(UTC).isoformat()})
    return expected


def prune(folder: Path, keep: int) -> list[str]:
    """Delete all but the `keep` newest verified backups, and all but the `keep` newest of the others; their names.

    Backups that nobody could verify never push out one that somebody did.
    """
    known = {path.with_suffix(".dump"): _read(path) for path in sorted(folder.glob("*.json"), reverse=True)}
    verified = [path for path, about in known.items() if about["verified_at"]]
    others = [path for path in known if path not in verified]
    old = [*verified[keep:], *others[keep:]]
    with _disk(folder):
        for path in old:
            path.with_suffix(".json").unlink(missing_ok=True)
            path.unlink(missing_ok=True)
    return sorted(path.name for path in old)


def manifest(path: Path) -> dict[str, Any]:
    """What is known of a dump: server (major version), bytes, sha256, tables, verified_at; BackupError when nothing."""
    if not path.with_suffix(".json").exists():
        raise BackupError(f"no backup at {path}", "one with its manifest", "Choose another one, or make one")
    return _read(path.with_suffix(".json"))


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


@contextmanager
def _snapshot(dsn: str) -> Iterator[tuple[Connection, str, int]]:
    """A transaction that sees one instant, the name by which pg_dump sees the same, and the server's major version."""
    with connected(dsn) as connection:
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
        with connection, connection.cursor() as cursor:
            cursor.execute(query("backup_patience"))
            cursor.execute(query("backup_snapshot"))
            ((snapshot, major),) = cursor.fetchall()
            yield connection, snapshot, major


def _tables(connection: Connection) -> Tables:
    """Rows and checksum of every table, as the connection sees them now."""
    found: Tables = {}
    with connection.cursor() as cursor:
        cursor.execute(query("backup_tables"))
        for schema, name in cursor.fetchall():
            table = sql.Identifier(schema, name)
            cursor.execute(sql.SQL(query("backup_checksum")).format(table=table))
            ((rows, checksum),) = cursor.fetchall()
            found[f"{schema}.{name}"] = [str(rows), checksum]
    return found


@contextmanager
def _scratch(dsn: str) -> Iterator[str]:
    """The address of a new, empty database that nobody else may enter, dropped afterwards.

    It has one name per database, so that one that a kill left behind is found and dropped.
    """
    with connected(dsn) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        _require_createdb(connection)
        cursor.execute(query("backup_lock"))
        name = f"verify_{connection.info.dbname}"[:63]

        def do(statement: str) -> None:
            cursor.execute(sql.SQL(query(f"backup_scratch_{statement}")).format(database=sql.Identifier(name)))

        def drop() -> None:
            cursor.execute(query("backup_scratch_leave"), {"database": name})
            do("drop")

        drop()
        do("create")
        try:
            do("close")
            yield make_dsn(dsn, dbname=name)
        finally:
            drop()


def _require_createdb(connection: Connection) -> None:
    with connection.cursor() as cursor:
        cursor.execute(query("backup_may_verify"))
        ((may,),) = cursor.fetchall()
    if not may:
        role = connection.info.user
        raise SettingsError(
            f"a backup that could not be verified: the role {role} may not create a database to restore it into",
            "a role with CREATEDB; the dump itself lies in the folder, unproved",
            f"Let an administrator run: alter role {role} createdb",
        )


@contextmanager
def _disk(folder: Path) -> Iterator[None]:
    try:
        yield
    except AfterbellError:
        raise
    except OSError as error:
        raise BackupError(
            f"{folder} not usable ({error.strerror or error})", "a writable disk with free space", "Mend it, then rerun"
        ) from error


@contextmanager
def _temporary(folder: Path) -> Iterator[Path]:
    """A new file for its owner alone, gone afterwards unless it was put in its place."""
    path = folder / f"{_TEMPORARY}{uuid4().hex}"
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        yield path
    finally:
        path.unlink(missing_ok=True)


def _put(temporary: Path, place: Path) -> None:
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(place)
    folder = os.open(place.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the rename itself
    finally:
        os.close(folder)


def _write_manifest(path: Path, about: dict[str, Any]) -> None:
    with _disk(path.parent), _temporary(path.parent) as file:
        file.write_text(json.dumps(about, indent=2), encoding="utf-8")
        _put(file, path.with_suffix(".json"))


def _fingerprint(path: Path) -> tuple[int, str]:
    with path.open("rb") as file:
        return os.fstat(file.fileno()).st_size, hashlib.file_digest(file, "sha256").hexdigest()


def _sweep(folder: Path) -> None:
    """Remove what was left by a kill long ago: half-written files, and dumps that never got their manifest."""
    orphans = [path for path in folder.glob("*.dump") if not path.with_suffix(".json").exists()]
    for path in [*folder.glob(f"{_TEMPORARY}*"), *orphans]:
        if time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
            path.unlink(missing_ok=True)
