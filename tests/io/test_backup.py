"""Backups give back exactly what was there, are proved by it, and never show a password."""

from __future__ import annotations

import os
import re
import stat
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import psycopg2
import pytest

from ml.errors import BackupError, SettingsError, WarehouseUnavailable
from ml.io import backup
from ml.io.migrations import migrate
from ml.io.postgres_programs import program, run, shipped_binaries
from ml.settings import REPOSITORY
from ml.stack.postgres import PostgresServer
from ml.stack.roles import WAREHOUSE, admin, make_database
from tests.servers import WarehouseAddress

PAGE = (REPOSITORY / "docs" / "operations-backup.md").read_text(encoding="utf-8")


@pytest.fixture
def filled(warehouse_dsn: str) -> str:
    """A warehouse with bars in two years, one of them in the archive, and odd values in other types."""
    execute(
        warehouse_dsn,
        "insert into market.symbols (symbol) values ('AAA'), ('B''\"é')",
        "select market.make_partitions('1d', '2011-06-01', '2012-06-01')",
        "insert into market.bars select '1d', n % 2 + 1, '2011-12-25'::timestamptz + n * interval '1 day',"
        " 1.1, 3.3, 0.1, 1e300, n / 7.0, now(), 1 from generate_series(1, 372) n",
        "select market.detach_bars('1d', 2011)",
        "insert into lifecycle.maintenance (task, succeeded, result, started_at) values ('backup', true, '', now())",
    )
    return warehouse_dsn


def execute(dsn: str, *statements: str) -> list[tuple[object, ...]]:
    with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def databases(server: PostgresServer) -> set[str]:
    return {str(name) for (name,) in execute(server.dsn(), "select datname from pg_database")}


@pytest.fixture
def without_createdb(postgres: PostgresServer) -> Iterator[None]:
    with postgres.superuser() as cursor:
        cursor.execute(f"alter role {WAREHOUSE} nocreatedb")
    yield
    with postgres.superuser() as cursor:
        admin(cursor, "makes_databases", role=WAREHOUSE)


def test_a_backup_is_restored_once_and_then_counts_as_verified(
    filled: str, postgres: PostgresServer, tmp_path: Path
) -> None:
    before = databases(postgres)
    dump = backup.dump(filled, tmp_path)
    assert backup.manifest(dump)["verified_at"] is None
    tables = backup.verify(filled, dump)
    assert backup.manifest(dump)["verified_at"]
    assert tables["market.symbols"][0] == "2"
    assert tables["archive.bars_1d_2011"][0] == "6"
    assert tables["market.bars_1d_2012"][0] == "366"
    assert "public._yoyo_migration" in tables, "which tells later versions what is in the dump"
    assert databases(postgres) == before


def test_checksums_see_every_change_and_not_the_order_of_rows(filled: str, tmp_path: Path) -> None:
    def checksum() -> list[str]:
        found: list[str] = backup.manifest(backup.dump(filled, tmp_path))["tables"]["market.bars_1d_2012"]
        return found

    before = checksum()
    execute(filled, "update market.bars set volume = volume where symbol_id = 1")  # moves rows to the table's end
    assert checksum() == before
    execute(filled, "update market.bars set volume = volume + 1 where ts = '2012-03-01'")
    assert checksum()[0] == before[0]
    assert checksum() != before


def test_what_is_written_during_a_dump_is_in_neither_dump_nor_checksums(
    filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def and_then_somebody_writes(*asked: object) -> None:
        run(*asked)  # type: ignore[arg-type]
        execute(filled, "insert into market.symbols (symbol) values ('LATE')")

    monkeypatch.setattr(backup, "run", and_then_somebody_writes)
    dump = backup.dump(filled, tmp_path)
    monkeypatch.undo()
    assert backup.verify(filled, dump)["market.symbols"][0] == "2"


def test_only_the_owner_can_read_a_backup(filled: str, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    backup.dump(filled, folder)
    modes = {path.suffix: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == {".dump": 0o600, ".json": 0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_dump_that_was_damaged_is_not_verified(filled: str, postgres: PostgresServer, tmp_path: Path) -> None:
    dump = backup.dump(filled, tmp_path)
    content = bytearray(dump.read_bytes())
    content[len(content) // 2] ^= 1
    dump.write_bytes(content)
    with pytest.raises(BackupError, match="has changed since it was written"):
        backup.verify(filled, dump)
    assert backup.manifest(dump)["verified_at"] is None


def test_a_dump_that_gives_back_something_else_is_not_verified(
    filled: str, postgres: PostgresServer, tmp_path: Path
) -> None:
    before = databases(postgres)
    dump = backup.dump(filled, tmp_path)
    manifest = dump.with_suffix(".json")
    text = manifest.read_text()
    checksum = backup.manifest(dump)["tables"]["market.symbols"][1]
    manifest.write_text(text.replace(f'"{checksum}"', '"1"'))
    with pytest.raises(BackupError, match=r"restores market\.symbols to something else"):
        backup.verify(filled, dump)
    assert databases(postgres) == before
    assert backup.manifest(dump)["verified_at"] is None


def test_a_role_that_may_not_create_databases_is_told_that_nothing_was_verified(
    filled: str, without_createdb: None, tmp_path: Path
) -> None:
    dump = backup.dump(filled, tmp_path)
    with pytest.raises(SettingsError, match="alter role afterbell createdb"):
        backup.verify(filled, dump)
    assert backup.manifest(dump)["verified_at"] is None


def test_a_scratch_database_left_by_a_kill_is_no_obstacle(
    filled: str, postgres: PostgresServer, tmp_path: Path
) -> None:
    dump = backup.dump(filled, tmp_path)
    name = filled.rpartition("/")[2]
    make_database(postgres, f"verify_{name}", WAREHOUSE)
    backup.verify(filled, dump)
    assert f"verify_{name}" not in databases(postgres)


def test_two_verifications_at_once_wait_for_each_other(filled: str, tmp_path: Path) -> None:
    dump = backup.dump(filled, tmp_path)
    with ThreadPoolExecutor(2) as both:
        one, other = both.map(backup.verify, [filled, filled], [dump, dump])
    assert one == other == backup.manifest(dump)["tables"]


def test_a_dump_that_fails_leaves_nothing_behind_and_says_why(
    filled: str, postgres: PostgresServer, tmp_path: Path
) -> None:
    execute(postgres.dsn(filled.rpartition("/")[2]), "create schema closed create table secrets (x int)")
    with pytest.raises(BackupError, match="permission denied for schema closed"):
        backup.dump(filled, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_to_is_named(filled: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BackupError, match=str(tmp_path / "file" / "backups")):
        backup.dump(filled, tmp_path / "file" / "backups")


def test_a_silent_server_is_the_warehouses_own_error(tmp_path: Path) -> None:
    with pytest.raises(WarehouseUnavailable):
        backup.dump("postgresql://afterbell:secret@127.0.0.1:9/afterbell", tmp_path)


@pytest.mark.parametrize("password", ["plain", r"a:b\c d'e"])
def test_a_password_is_in_no_argument_and_in_no_error(
    warehouse_dsn: str, postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    role = f"role_{uuid4().hex}"
    execute(postgres.dsn(), f"create role {role} login")
    with closing(psycopg2.connect(postgres.dsn())) as connection, connection, connection.cursor() as cursor:
        cursor.execute(f"alter role {role} password %s", (password,))
        cursor.execute(f"grant connect on database {warehouse_dsn.rpartition('/')[2]} to {role}")
    dsn = psycopg2.extensions.make_dsn(warehouse_dsn, user=role, password=password)
    monkeypatch.setenv("PGPASSWORD", "somebody else's")
    seen: list[list[str]] = []
    real = subprocess.run

    def watched(command: list[str], **options: object) -> object:
        seen.append([str(part) for part in command])
        return real(command, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "run", watched)
    run("psql", 18, dsn, ("--command=select 1",))
    with pytest.raises(BackupError) as refused:
        run("pg_dump", 18, dsn, ("--table=market.bars", "--file=/dev/null"))
    assert "permission denied" in str(refused.value)
    assert password not in str(refused.value)
    assert len(seen) > 2
    assert not [command for command in seen if any(password in part for part in command)]


def test_the_program_is_that_of_the_package_unless_the_server_is_newer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for major in (15, 19):
        (tmp_path / str(major)).mkdir()
        fake = tmp_path / str(major) / "pg_dump"
        fake.write_text(f"#!/bin/sh\necho 'pg_dump (PostgreSQL) {major}.2 (Debian)'\n")
        fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "15"))
    assert program("pg_dump", 18) == shipped_binaries() / "pg_dump"
    assert program("pg_dump", 15) == tmp_path / "15" / "pg_dump"
    with pytest.raises(BackupError, match="PostgreSQL 19"):
        program("pg_dump", 19)
    monkeypatch.setenv("PATH", str(tmp_path / "19"))
    assert program("pg_dump", 19) == tmp_path / "19" / "pg_dump"


def test_the_newest_verified_backups_stay_and_unverified_ones_never_push_them_out(tmp_path: Path) -> None:
    for day, verified in enumerate("vv-v--", start=1):
        path = tmp_path / f"afterbell-2026010{day}T000000.000000Z.dump"
        path.write_text("dump")
        state = '"then"' if verified == "v" else "null"
        path.with_suffix(".json").write_text(f'{{"verified_at": {state}}}')
    gone = backup.prune(tmp_path, keep=2)
    assert [name[16:18] for name in gone] == ["01", "03"]
    assert sorted({path.name[16:18] for path in tmp_path.iterdir()}) == ["02", "04", "05", "06"]
    assert backup.prune(tmp_path, keep=2) == []


def test_leftovers_of_a_kill_are_swept_after_a_day(filled: str, tmp_path: Path) -> None:
    old, fresh = tmp_path / ".writing-old", tmp_path / ".writing-fresh"
    for path in (old, fresh, tmp_path / "afterbell-1.dump"):
        path.write_text("half")
    for path in (old, tmp_path / "afterbell-1.dump"):
        os.utime(path, (0, 0))
    backup.dump(filled, tmp_path)
    assert not old.exists()
    assert not (tmp_path / "afterbell-1.dump").exists()
    assert fresh.exists()


def test_the_command_of_the_page_restores_everything_and_readers_read_again(
    filled: str, warehouse: WarehouseAddress, postgres: PostgresServer, tmp_path: Path
) -> None:
    dump = backup.dump(filled, tmp_path / "var" / "backups")
    expected = backup.manifest(dump)["tables"]
    execute(filled, "delete from market.bars", "drop schema archive cascade", "create table market.later (x int)")
    # As the embedded stack leaves them, in a home of that name.
    secrets = f"AFTERBELL_STACK_POSTGRES_PASSWORD={postgres.password}\nAFTERBELL_STACK_POSTGRES_PORT={postgres.port}\n"
    (tmp_path / "var" / "stack.env").write_text(secrets)
    (tmp_path / ".venv").symlink_to(REPOSITORY / ".venv")
    (script,) = re.findall(r"## Restore.*?```sh\n(.*?)```", PAGE, flags=re.DOTALL)
    script = script.replace("make up\n", "").replace("DUMP", dump.name)
    done = subprocess.run(["bash", "-euc", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

    make_database(postgres, filled.rpartition("/")[2], WAREHOUSE)  # as `make up` does
    migrate(filled)
    assert backup.manifest(backup.dump(filled, tmp_path))["tables"] == expected
    assert execute(warehouse.reader_dsn, "select count(*) from serving.bars") == [(366,)]
    assert execute(filled, "select market.attach_bars('1d', 2011)") == [(6,)]
    assert execute(filled, "select nextval('lifecycle.maintenance_maintenance_id_seq')") == [(2,)]
    with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
        psycopg2.connect(postgres.dsn(filled.rpartition("/")[2], "airflow", "airflow"))
