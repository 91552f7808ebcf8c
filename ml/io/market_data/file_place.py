"""Where files lie: a local path or the URL of an object store, and whether they stay as they were."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.fs as pafs
from fsspec.implementations.local import LocalFileSystem

from ml.errors import ProviderError, ProviderRejected, ProviderUnavailable, SettingsError
from ml.io.market_data.file_names import SUFFIXES, Span, holds_bars, named_span, partition_keys

Stamp = Mapping[str, object]
_VERSIONS = ("ino_mtime", "ETag", "etag", "md5Hash", "mtime", "LastModified", "last_modified", "updated", "created")
"""What file systems call the version of a file, the surest first."""


@dataclass(frozen=True)
class File:
    """One file as it was listed.

    path: as its file system knows it. shown: for people, without a key. keys: columns that its folders
    stand for. named: the days that its name promises. stamp: what changes when its content does.
    """

    path: str
    shown: str
    keys: Mapping[str, str]
    named: Span | None
    stamp: Stamp


class Place:
    """A file, or a folder with all its sub-folders; listed anew at every call."""

    def __init__(self, url: str, setting: str) -> None:
        """SettingsError, naming `setting`, when `url` is in a store that cannot be read here."""
        self._setting = setting
        try:
            self._system, self._root = fsspec.url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise SettingsError(
                f"{_without_key(url)} in {setting}, which cannot be read here",
                "a local path, or a URL whose package is installed: s3fs for s3://, gcsfs for gs://, adlfs for abfs://",
                f"{f'{error}'.strip().rstrip('.')}. docs/market-data-files.md says how to install a package",
            ) from error
        self._local = isinstance(self._system, LocalFileSystem)
        self._arrow = pafs.LocalFileSystem() if self._local else pafs.PyFileSystem(pafs.FSSpecHandler(self._system))
        self.shown = self._for_people(self._root)

    @property
    def name(self) -> str:
        """A short name for logs: the URL, or a local path's last component."""
        return Path(self._root).name if self._local else self.shown

    def files(self, without: Place | None = None) -> list[File]:
        """The files of bars, sorted by name, so that the order of rows is the same every night.

        without: a file that is not one of bars. ProviderError when there is none, or no such folder.
        """
        try:
            stamps = self._listed()
        except OSError as error:
            raise self._unreadable(self.shown, self._root, error) from error
        if without is not None:
            stamps.pop(without._root, None)
        found = [self._file(path, stamps[path]) for path in sorted(stamps, key=lambda path: path.split("/"))]
        if not found:
            raise ProviderError(
                f"no bars in {self.shown}",
                f"files ending in {', '.join(SUFFIXES)} in that folder or below it",
                f"Put files there or correct {self._setting}",
            )
        return found

    def alone(self) -> File:
        """The place as one file; ProviderError when it is none."""
        try:
            return self._file(self._root, self._stamp(self._root))
        except OSError as error:
            raise self._unreadable(self.shown, self._root, error) from error

    def open_file(self, file: File) -> Any:
        """An Arrow file that can be sought in."""
        return self._arrow.open_input_file(file.path)

    def open_stream(self, file: File) -> Any:
        """An Arrow stream of the content, unpacked when the name ends in .gz."""
        compression = "gzip" if file.path.lower().endswith(".gz") else None
        return self._arrow.open_input_stream(file.path, compression=compression)

    @contextmanager
    def reading(self, file: File) -> Iterator[None]:
        """A block that reads `file`.

        ProviderUnavailable when the file is not the listed one any more at the end of it, whatever else went wrong.
        """
        try:
            yield
        except ProviderError:
            self._require_unchanged(file)
            raise
        except (OSError, pa.ArrowException, UnicodeError) as error:
            self._require_unchanged(file)
            raise self._unreadable(file.shown, file.path, error) from error
        self._require_unchanged(file)

    def _require_unchanged(self, file: File) -> None:
        try:
            same = _agree(file.stamp, self._stamp(file.path))
        except FileNotFoundError:
            same = False
        if not same:
            raise ProviderUnavailable(
                f"{file.shown}, which was changed while it was read",
                "files that stay as they are for the time of a delivery",
                "Write a new file under a hidden name and rename it when it is whole; the task asks again",
            )

    def _listed(self) -> dict[str, Stamp]:
        if self._local:
            return _local_files(self._root)
        self._system.invalidate_cache()
        root = self._system.info(self._root)
        if root["type"] == "file":
            return {self._root: _stamp(root)}
        found = self._system.find(self._root, detail=True)
        return {path: _stamp(info) for path, info in found.items() if holds_bars(self._relative(path))}

    def _stamp(self, path: str) -> Stamp:
        if self._local:
            return _local_stamp(path)
        self._system.invalidate_cache()
        return _stamp(self._system.info(path))

    def _file(self, path: str, stamp: Stamp) -> File:
        relative = self._relative(path)
        keys = partition_keys(relative)
        return File(path, self._for_people(path), keys, named_span(relative, keys), stamp)

    def _relative(self, path: str) -> str:
        return path.removeprefix(self._root).lstrip("/") or path.rsplit("/", 1)[-1]

    def _for_people(self, path: str) -> str:
        return path if self._local else _without_key(self._system.unstrip_protocol(path))

    def _unreadable(self, shown: str, path: str, error: Exception) -> ProviderError:
        """The error for a path that cannot be opened or decoded."""
        found = f"{shown}, which cannot be read ({str(error).strip().replace(path, shown)[:300]})"
        if isinstance(error, PermissionError) and not self._local:
            return ProviderRejected(found, "a key that may read it", "Correct the rights or the key of the store")
        if isinstance(error, ConnectionError | TimeoutError):
            return ProviderUnavailable(found, "a store that answers", "The task asks again")
        return ProviderError(
            found, f"readable files ending in {', '.join(SUFFIXES)}", f"Correct the file or {self._setting}"
        )


def _local_files(root: str) -> dict[str, Stamp]:
    if not Path(root).is_dir():
        return {root: _local_stamp(root)}
    found = {}
    for folder, below, names in os.walk(root, followlinks=True, onerror=_raise):
        here = Path(folder).resolve()
        below[:] = [name for name in below if not here.is_relative_to((here / name).resolve())]  # a link to a parent
        paths = (f"{folder.rstrip('/')}/{name}" for name in names)
        bars = (path for path in paths if holds_bars(path.removeprefix(root).lstrip("/")) and Path(path).is_file())
        found.update({path: _local_stamp(path) for path in bars})
    return found


def _raise(error: OSError) -> None:
    raise error


def _local_stamp(path: str) -> Stamp:
    status = Path(path).stat()
    return {"size": status.st_size, "ino_mtime": (status.st_ino, status.st_mtime_ns)}


def _stamp(info: Mapping[str, Any]) -> Stamp:
    known = {key: info[key] for key in ("size", *_VERSIONS) if info.get(key) is not None}
    return {key: value.timestamp() if isinstance(value, datetime) else value for key, value in known.items()}


def _agree(listed: Stamp, seen: Stamp) -> bool:
    """By size and by the surest version that both give: a listing often tells less than a look at the one file."""
    version = next((key for key in _VERSIONS if key in listed and key in seen), "size")
    return all(listed.get(key) == seen.get(key) for key in ("size", version) if key in listed and key in seen)


def _without_key(url: str) -> str:
    """A URL as it may stand in a log: without a password and without a signed query."""
    bare = re.sub(r"//[^/@]*@", "//", url)
    return bare.split("?", 1)[0] if bare.startswith("http") else bare
