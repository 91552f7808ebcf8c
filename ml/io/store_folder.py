"""The folder that the store lies in: local, or in an object store. Files appear in it whole or not at all."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import IO, Any, Protocol
from uuid import uuid4

import fsspec
from fsspec.implementations.local import LocalFileSystem

from ml.errors import SettingsError

_TEMPORARY = ".writing-"
_ABANDONED_SECONDS = 24 * 3600

Fill = Callable[[IO[bytes]], None]
Named = Callable[[str], str]
Readable = BufferedReader | BytesIO


class Folder(Protocol):
    """Files by relative names such as `a/b/manifest.json`.

    All methods raise OSError; FileNotFoundError or NotADirectoryError for what is not there.
    """

    def put(self, entry: str, fill: Fill, named: Named) -> tuple[str, int, str]:
        """A new file in `entry`, or another in its place, with what `fill` writes, named after its SHA-256 (hex).

        Returns its name in the entry, its bytes and that digest.
        """
        ...

    def open(self, name: str) -> Readable:
        """To read from, and to seek in."""
        ...

    def size(self, name: str) -> int:
        """Bytes, as the folder tells, without reading them."""
        ...

    def remove(self, name: str) -> None:
        """Nothing happens when it is gone already."""
        ...


def folder(root: Path | str) -> Folder:
    """The folder at a local path or a URL; SettingsError for a URL whose package is not installed."""
    try:
        system, path = fsspec.url_to_fs(str(root))
    except (ImportError, ValueError) as error:
        raise SettingsError(
            f"{root} in AFTERBELL_STORE, which cannot be reached from here",
            "a local path, or a URL whose package is installed: s3fs for s3://, gcsfs for gs://, adlfs for abfs://",
            f"{f'{error}'.strip().rstrip('.')}. docs/market-data-files.md says how to install a package",
        ) from error
    return Local(Path(path)) if isinstance(system, LocalFileSystem) else Remote(system, path)


class Local:
    """Written beside their place and renamed, through to the disk."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, entry: str, fill: Fill, named: Named) -> tuple[str, int, str]:
        """See Folder."""
        directory = self._root / entry
        directory.mkdir(parents=True, exist_ok=True)
        _sweep(directory)
        with _temporary(directory) as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
            size, digest = _fingerprint(Path(file.name))
            name = named(digest)
            Path(file.name).replace(directory / name)
        opened = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(opened)  # the rename itself
        finally:
            os.close(opened)
        return name, size, digest

    def open(self, name: str) -> Readable:
        """See Folder."""
        return (self._root / name).open("rb")

    def size(self, name: str) -> int:
        """See Folder."""
        return (self._root / name).stat().st_size

    def remove(self, name: str) -> None:
        """See Folder."""
        (self._root / name).unlink(missing_ok=True)


class Remote:
    """In an object store, which puts an object in place when all of it has arrived."""

    def __init__(self, system: Any, root: str) -> None:
        self._system = system
        self._root = root.rstrip("/")

    def put(self, entry: str, fill: Fill, named: Named) -> tuple[str, int, str]:
        """See Folder. From a file, not through one opened there: that would put half of it in place on an error."""
        with tempfile.NamedTemporaryFile() as file:
            fill(file)
            file.flush()
            size, digest = _fingerprint(Path(file.name))
            name = named(digest)
            with _as_os_error():
                self._system.put_file(file.name, f"{self._root}/{entry}/{name}")
        return name, size, digest

    def open(self, name: str) -> Readable:
        """See Folder."""
        with _as_os_error():
            return BytesIO(self._system.cat_file(f"{self._root}/{name}"))

    def size(self, name: str) -> int:
        """See Folder."""
        with _as_os_error():
            self._system.invalidate_cache()
            return int(self._system.info(f"{self._root}/{name}")["size"])

    def remove(self, name: str) -> None:
        """See Folder."""
        with suppress(FileNotFoundError), _as_os_error():
            self._system.rm_file(f"{self._root}/{name}")


def _fingerprint(path: Path) -> tuple[int, str]:
    with path.open("rb") as file:
        return os.fstat(file.fileno()).st_size, hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _as_os_error() -> Iterator[None]:
    """Every client of an object store has errors of its own besides."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise OSError(f"{type(error).__name__}: {error}") from error


@contextmanager
def _temporary(directory: Path) -> Iterator[IO[bytes]]:
    """A new file in `directory`, gone afterwards unless it was renamed."""
    path = directory / f"{_TEMPORARY}{uuid4().hex}"
    try:
        with path.open("xb") as file:
            yield file
    finally:
        path.unlink(missing_ok=True)


def _sweep(directory: Path) -> None:
    """Remove what writers killed long ago left behind."""
    for file in directory.glob(f"{_TEMPORARY}*"):
        with suppress(FileNotFoundError):  # a twin has just finished it
            if time.time() - file.stat().st_mtime > _ABANDONED_SECONDS:
                file.unlink()
