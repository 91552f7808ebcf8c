"""AFTERBELL_HOME: where everything of an embedded stack lives, and `stack.env`, what it remembers.

Layout: `stack.env` (ports, secrets, addresses), `run/` (supervisor's socket, pid, configuration),
`logs/`, `postgres/`, `airflow/`, `mlflow/`, `store/`.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values

from ml.errors import StackError
from ml.settings import STACK_ENV

# A Unix socket's address holds 104 bytes on macOS and 108 on Linux; supervisord appends ".<pid>" while it binds.
LONGEST_SOCKET = 92

PASSWORDS = (
    "AFTERBELL_STACK_POSTGRES_PASSWORD",
    "AFTERBELL_STACK_AIRFLOW_DB_PASSWORD",
    "AFTERBELL_STACK_MLFLOW_DB_PASSWORD",
    "AFTERBELL_STACK_WAREHOUSE_PASSWORD",
    "AFTERBELL_STACK_READER_PASSWORD",
    "AFTERBELL_STACK_ADMIN_PASSWORD",
    "AFTERBELL_STACK_VIEWER_PASSWORD",
    "AFTERBELL_STACK_API_SECRET_KEY",
    "AFTERBELL_STACK_JWT_SECRET",
)
TYPED = ("AFTERBELL_STACK_ADMIN_PASSWORD", "AFTERBELL_STACK_VIEWER_PASSWORD")
FERNET_KEY = "AFTERBELL_STACK_FERNET_KEY"


@dataclass(frozen=True)
class Home:
    """The paths below one AFTERBELL_HOME (absolute)."""

    root: Path

    @property
    def env_file(self) -> Path:
        return self.root / STACK_ENV

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def postgres(self) -> Path:
        return self.root / "postgres"

    @property
    def airflow(self) -> Path:
        return self.root / "airflow"

    @property
    def mlflow(self) -> Path:
        return self.root / "mlflow"

    @property
    def socket(self) -> Path:
        return self.run / "sock"

    @property
    def lock_file(self) -> Path:
        return self.root / "lock"

    def make(self) -> None:
        """Create the directories, closed to other users; StackError when that cannot be."""
        if len(os.fsencode(self.socket)) > LONGEST_SOCKET:
            raise StackError(
                f"the path {self.root}, too long for a socket below it",
                f"at most {LONGEST_SOCKET - len('/run/sock')} bytes",
                "Set AFTERBELL_HOME to a shorter path",
            )
        try:
            for directory in (self.root, self.run, self.logs, self.airflow, self.mlflow):
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StackError(
                f"{self.root} cannot be made ({error.strerror})",
                "a directory this user may write to",
                "Set AFTERBELL_HOME to another place or free this one",
            ) from error


@contextmanager
def only_one(home: Home) -> Iterator[None]:
    """Hold the home's lock, waiting for whoever starts or stops the same stack now."""
    home.make()
    with home.lock_file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def remembered(home: Home) -> dict[str, str]:
    """What `stack.env` holds; empty before the first start."""
    return {key: value for key, value in dotenv_values(home.env_file, interpolate=False).items() if value is not None}


def with_secrets(known: Mapping[str, str]) -> dict[str, str]:
    """The same, with every password and key that was missing freshly made."""
    # Airflow signs with SHA-512, whose keys should have 64 bytes; people type the passwords of the UI.
    made = {name: secrets.token_urlsafe(12 if name in TYPED else 48) for name in PASSWORDS}
    made[FERNET_KEY] = urlsafe_b64encode(secrets.token_bytes(32)).decode()
    return {**made, **known}


def remember(home: Home, values: Mapping[str, str]) -> None:
    """Write `stack.env` whole, readable by its owner alone; a killed writer leaves the old one."""
    text = "# Written by the embedded stack. Secrets: keep it to yourself.\n"
    text += "".join(f"{key}={value}\n" for key, value in sorted(values.items()))
    fresh = home.env_file.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(home.env_file)
