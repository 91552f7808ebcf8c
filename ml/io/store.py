"""The Parquet store: frames by key, whole or not at all.

An entry is a directory with one Parquet file and `manifest.json`, which names that file and its
SHA-256 and is put in place last, by a rename: it is the entry. A reader therefore sees the entry as it
was or as it is, and every read is proved against the manifest. Writers need no lock: twins with the
same content write the same bytes to the same place.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ml.errors import FrameError, StoreError

_MANIFEST = "manifest.json"
_OWN_FIELDS = ("file", "bytes", "sha256", "content", "rows", "created_by")
_KEY_PART = re.compile(r"[A-Za-z0-9_=][A-Za-z0-9_.=+-]*")
_TEMPORARY = ".writing-"
_ABANDONED_SECONDS = 24 * 3600
_CREATED_BY = f"pandas {pd.__version__}, pyarrow {pa.__version__}"


class Store:
    """Frames under `root`, each at a key such as `equity/features/<feature set>/<snapshot>`.

    All methods raise StoreError for a key that is no relative path of plain names.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, key: str, frame: pd.DataFrame, manifest: dict[str, Any]) -> None:
        """Store `frame` and the caller's `manifest` fields (JSON values) beside it, for good.

        An intact entry with the same content is left untouched; any other is replaced. A kill or an
        error leaves what was there. Raises StoreError (disk full, not writable), FrameError (an index
        or a dtype that would not come back the same).
        """
        entry = self._entry(key)
        taken = sorted(set(manifest) & set(_OWN_FIELDS))
        if taken:
            raise StoreError(f"manifest fields {taken} for {key}", f"other names than {_OWN_FIELDS}", "Rename them")
        json.dumps(manifest, allow_nan=False)  # a field that is no JSON fails here, before anything is written
        content = frame_digest(frame)
        if self._holds(key, content):
            return
        try:
            entry.mkdir(parents=True, exist_ok=True)
            _sweep(entry)
            superseded = self.manifest(key)["file"] if self.has(key) else None
            own = {"content": content, "rows": len(frame), "created_by": _CREATED_BY, **_write_data(entry, frame)}
            _write_manifest(entry, {**manifest, **own})
            if superseded not in {None, own["file"]}:
                (entry / superseded).unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(
                f"{key} that could not be written to {self._root} ({error.strerror or error})",
                "a writable disk with free space",
                "Free space or point AFTERBELL_STORE elsewhere, then run the step again",
            ) from error

    def get(self, key: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """The frame at `key`, or some of its columns in the order asked, with the dtypes it was stored with.

        StoreError: no entry, damaged, a column that is not there.
        """
        manifest = self.manifest(key)
        path = self._entry(key) / manifest["file"]
        try:
            with path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != manifest["sha256"]:
                    raise _damaged(key, f"{path.name} without the digest in its manifest")
                file.seek(0)
                absent = sorted(set(columns or ()) - set(pq.read_schema(file).names))
                if absent:
                    raise StoreError(f"{key} without the columns {absent}", "columns that were stored", "Correct them")
                file.seek(0)
                table = pq.read_table(file, columns=None if columns is None else list(columns))
        except StoreError:
            raise
        except (OSError, pa.ArrowException) as error:
            if manifest != self.manifest(key):
                return self.get(key, columns)  # replaced between our two reads
            raise _damaged(key, f"{path.name} that cannot be read ({error})") from error
        frame: pd.DataFrame = table.to_pandas()
        return frame

    def manifest(self, key: str) -> dict[str, Any]:
        """The caller's fields with rows, content (see `frame_digest`), sha256, bytes, file and created_by.

        StoreError: no entry, damaged.
        """
        try:
            fields = json.loads((self._entry(key) / _MANIFEST).read_bytes())
        except FileNotFoundError as error:
            raise StoreError(f"nothing at {key} in {self._root}", "a stored frame", "Run the step before it") from error
        except (OSError, ValueError) as error:
            raise _damaged(key, f"a manifest that cannot be read ({error})") from error
        if not isinstance(fields, dict) or not set(_OWN_FIELDS) <= set(fields):
            raise _damaged(key, f"a manifest without some of {_OWN_FIELDS}")
        return fields

    def has(self, key: str) -> bool:
        """Whether there is a complete entry at `key`; its size is compared, its content is not read."""
        entry = self._entry(key)
        try:
            manifest = self.manifest(key)
            return bool((entry / manifest["file"]).stat().st_size == manifest["bytes"])
        except (FileNotFoundError, StoreError):
            return False

    def _holds(self, key: str, content: str) -> bool:
        """Whether the entry at `key` has this content and is intact to the last byte."""
        if not self.has(key):
            return False
        manifest = self.manifest(key)
        try:
            _, digest = _fingerprint(self._entry(key) / manifest["file"])
        except FileNotFoundError:
            return False
        return bool(manifest["content"] == content and manifest["sha256"] == digest)

    def _entry(self, key: str) -> Path:
        parts = key.split("/")
        if not all(_KEY_PART.fullmatch(part) for part in parts):
            raise StoreError(
                f"the key {key!r}", "a relative path such as equity/features/ab12/2013-03-01", "Correct the key"
            )
        return self._root.joinpath(*parts)


def frame_digest(frame: pd.DataFrame) -> str:
    """SHA-256 (hex) of a frame's content: column names and dtypes, and every value in order.

    The same for the same content in any process and memory layout. All NaN are one value; 0.0 and -0.0
    differ. FrameError for an index other than 0, 1, 2..., or a column that is neither text (`str`),
    a float, an integer, a boolean nor a date or instant.
    """
    if not frame.index.equals(pd.RangeIndex(len(frame))):
        raise FrameError("a frame with an index of its own", "rows numbered from 0", "Use reset_index first")
    if not frame.columns.is_unique or not all(isinstance(name, str) for name in frame.columns):
        raise FrameError(f"the columns {list(frame.columns)}", "different names, each a text", "Rename the columns")
    digest = hashlib.sha256(f"rows {len(frame)}".encode())
    for name, column in frame.items():
        digest.update(json.dumps([str(name), str(column.dtype)]).encode())
        for part in _buffers(str(name), column):
            digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()


def _buffers(name: str, column: pd.Series[Any]) -> list[np.ndarray[Any, Any]]:
    """The values of a column as plain arrays that hold the same bytes whenever they hold the same values."""
    kind = column.dtype
    if kind == "str":
        codes, texts = pd.factorize(column)
        return [codes.astype("int64"), np.frombuffer(json.dumps(list(texts)).encode(), dtype="uint8")]
    if isinstance(kind, pd.DatetimeTZDtype):
        return [column.dt.tz_convert(None).to_numpy().view("int64")]
    if isinstance(kind, np.dtype) and kind.kind == "M":
        return [column.to_numpy().view("int64")]
    if isinstance(kind, np.dtype) and kind.kind == "f":
        values = column.to_numpy()
        return [np.where(np.isnan(values), kind.type(np.nan), values)]
    if isinstance(kind, np.dtype) and kind.kind in "iub":
        return [column.to_numpy()]
    raise FrameError(f"the column {name!r} of type {kind}", "text, numbers, booleans, dates or instants", "Cast it")


def _write_parquet(frame: pd.DataFrame, file: IO[bytes]) -> None:
    # dictionaries only for what repeats: trying them on numbers costs three times the rest of the writing
    repeated = [str(name) for name, dtype in frame.dtypes.items() if not pd.api.types.is_float_dtype(dtype)]
    table = pa.Table.from_pandas(frame, preserve_index=False)
    pq.write_table(table, file, compression="snappy", use_dictionary=repeated)


def _write_data(entry: Path, frame: pd.DataFrame) -> dict[str, Any]:
    """Put the frame into a file named after its bytes, so that writers of other bytes never meet."""
    with _temporary(entry) as file:
        _write_parquet(frame, file)
        _settle(file)
        size, digest = _fingerprint(Path(file.name))
        name = f"data-{digest[:16]}.parquet"
        Path(file.name).replace(entry / name)
    return {"file": name, "bytes": size, "sha256": digest}


def _write_manifest(entry: Path, fields: dict[str, Any]) -> None:
    with _temporary(entry) as file:
        file.write(json.dumps(fields, indent=2).encode())
        _settle(file)
        Path(file.name).replace(entry / _MANIFEST)
    directory = os.open(entry, os.O_RDONLY)
    try:
        os.fsync(directory)  # the renames themselves
    finally:
        os.close(directory)


@contextmanager
def _temporary(entry: Path) -> Iterator[IO[bytes]]:
    """A new file in `entry`, gone afterwards unless it was renamed."""
    path = entry / f"{_TEMPORARY}{uuid4().hex}"
    try:
        with path.open("xb") as file:
            yield file
    finally:
        path.unlink(missing_ok=True)


def _settle(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sweep(entry: Path) -> None:
    """Remove what writers killed long ago left behind."""
    for file in entry.glob(f"{_TEMPORARY}*"):
        with suppress(FileNotFoundError):  # a twin has just finished it
            if time.time() - file.stat().st_mtime > _ABANDONED_SECONDS:
                file.unlink()


def _fingerprint(path: Path) -> tuple[int, str]:
    with path.open("rb") as file:
        return os.fstat(file.fileno()).st_size, hashlib.file_digest(file, "sha256").hexdigest()


def _damaged(key: str, found: str) -> StoreError:
    return StoreError(f"{key}, damaged: {found}", "a whole entry", "Run the step that writes it again")
