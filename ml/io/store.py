"""The Parquet store: frames by key, whole or not at all, in a local folder or an object store.

An entry is a folder with one Parquet file and `manifest.json`, which names that file and its SHA-256
and is put in place last: it is the entry. A reader therefore sees the entry as it was or as it is, and
every read is proved against the manifest. Writers need no lock: twins with the same content write the
same bytes to the same place.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ml.errors import FrameError, StoreError
from ml.io import store_folder
from ml.io.store_folder import Readable

_MANIFEST = "manifest.json"
_OWN_FIELDS = ("file", "bytes", "sha256", "content", "rows", "created_by")
_KEY_PART = re.compile(r"[A-Za-z0-9_=][A-Za-z0-9_.=+-]*")
_ABSENT = (FileNotFoundError, NotADirectoryError)
_CREATED_BY = f"pandas {pd.__version__}, pyarrow {pa.__version__}"


class Store:
    """Frames under `root`, a local path or a URL, each at a key such as `equity/features/1d/<set>/2013-03/<digest>`.

    SettingsError for a URL whose package is not installed. All methods raise StoreError for a key that is
    no relative path of plain names, and for a store that does not answer.
    """

    def __init__(self, root: Path | str) -> None:
        self._root = root
        self._folder = store_folder.folder(root)

    def put(self, key: str, frame: pd.DataFrame, manifest: dict[str, Any]) -> None:
        """Store `frame` and the caller's `manifest` fields (JSON values) beside it, for good.

        An intact entry with the same content is left untouched; any other is replaced. A kill or an
        error leaves what was there. Raises StoreError (disk full, not writable), FrameError (an index
        or a dtype that would not come back the same).
        """
        _check(key)
        taken = sorted(set(manifest) & set(_OWN_FIELDS))
        if taken:
            raise StoreError(f"manifest fields {taken} for {key}", f"other names than {_OWN_FIELDS}", "Rename them")
        json.dumps(manifest, allow_nan=False)  # a field that is no JSON fails here, before anything is written
        content = frame_digest(frame)
        there = self._complete(key)
        if there is not None and there["content"] == content and self._is_intact(key, there):
            return
        try:
            name, size, digest = self._folder.put(key, partial(_write_parquet, frame), _data_name)
            own = {"file": name, "bytes": size, "sha256": digest}
            own = {"content": content, "rows": len(frame), "created_by": _CREATED_BY, **own}
            fields = json.dumps({**manifest, **own}, indent=2).encode()
            self._folder.put(key, partial(_write, fields), lambda _: _MANIFEST)
            if there is not None and there["file"] != name:
                self._folder.remove(f"{key}/{there['file']}")
        except OSError as error:
            raise StoreError(
                f"{key} that could not be written to {self._root} ({error.strerror or error})",
                "a writable disk with free space, or an object store whose key may write",
                "Free space or point AFTERBELL_STORE elsewhere, then run the step again",
            ) from error

    def get(self, key: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """The frame at `key`, or some of its columns in the order asked, with the dtypes it was stored with.

        StoreError: no entry, damaged, a column that is not there.
        """
        manifest = self.manifest(key)
        try:
            with self._folder.open(f"{key}/{manifest['file']}") as file:
                content = _content(file, int(manifest["bytes"]))
            if hashlib.sha256(content.data).hexdigest() != manifest["sha256"]:
                raise _damaged(key, f"{manifest['file']} without the digest in its manifest")
            parquet = pq.ParquetFile(pa.BufferReader(pa.py_buffer(content)))
            absent = sorted(set(columns or ()) - set(parquet.schema_arrow.names))
            if absent:
                raise StoreError(f"{key} without the columns {absent}", "columns that were stored", "Correct them")
            table = parquet.read(columns=None if columns is None else list(columns))
        except StoreError:
            raise
        except (*_ABSENT, pa.ArrowException) as error:
            if manifest != self.manifest(key):
                return self.get(key, columns)  # replaced between our two reads
            raise _damaged(key, f"{manifest['file']} that cannot be read ({error})") from error
        except OSError as error:
            raise self._unreadable(key, error) from error
        frame: pd.DataFrame = table.to_pandas()
        return frame

    def columns(self, key: str, names: Sequence[str]) -> Iterator[tuple[str, npt.NDArray[Any]]]:
        """Columns of numbers without gaps, one after the other, so that one is in memory at a time; errors as `get`."""
        manifest = self.manifest(key)
        if not self._is_intact(key, manifest):
            raise _damaged(key, f"{manifest['file']} without the digest in its manifest")
        try:
            with self._folder.open(f"{key}/{manifest['file']}") as file:
                parquet = pq.ParquetFile(file)
                for name in names:
                    yield name, parquet.read(columns=[name]).column(name).to_numpy()
        except (*_ABSENT, pa.ArrowException, KeyError) as error:
            raise _damaged(key, f"{manifest['file']} that cannot be read ({error})") from error
        except OSError as error:
            raise self._unreadable(key, error) from error

    def manifest(self, key: str) -> dict[str, Any]:
        """The caller's fields with rows, content (see `frame_digest`), sha256, bytes, file and created_by.

        StoreError: no entry, damaged.
        """
        try:
            return self._fields(key)
        except _ABSENT as error:
            raise StoreError(f"nothing at {key} in {self._root}", "a stored frame", "Run the step before it") from error
        except ValueError as error:
            raise _damaged(key, f"a manifest that cannot be read ({error})") from error

    def has(self, key: str) -> bool:
        """Whether there is a complete entry at `key`; its size is compared, its content is not read."""
        return self._complete(key) is not None

    def remove(self, key: str) -> None:
        """No entry is at `key` afterwards; who reads it meanwhile finds it whole, or none."""
        try:
            fields = self._fields(key)
            for name in (_MANIFEST, str(fields["file"])):
                self._folder.remove(f"{key}/{name}")
        except (*_ABSENT, ValueError):
            return
        except StoreError:
            raise
        except OSError as error:
            raise self._unreadable(key, error) from error

    def _complete(self, key: str) -> dict[str, Any] | None:
        """The manifest of a complete entry, None where there is none."""
        try:
            fields = self._fields(key)
            size = self._folder.size(f"{key}/{fields['file']}")
        except (*_ABSENT, ValueError):
            return None
        except StoreError:
            raise
        except OSError as error:
            raise self._unreadable(key, error) from error
        return fields if size == fields["bytes"] else None

    def _fields(self, key: str) -> dict[str, Any]:
        """The manifest; one of _ABSENT when there is none, ValueError when it is none."""
        _check(key)
        try:
            with self._folder.open(f"{key}/{_MANIFEST}") as file:
                fields = json.loads(file.read())
        except _ABSENT:
            raise
        except OSError as error:
            raise self._unreadable(key, error) from error
        if not isinstance(fields, dict) or not set(_OWN_FIELDS) <= set(fields):
            raise ValueError(f"without some of {_OWN_FIELDS}")
        return fields

    def _is_intact(self, key: str, fields: dict[str, Any]) -> bool:
        """Whether the data of a complete entry are what the manifest says, to the last byte."""
        try:
            with self._folder.open(f"{key}/{fields['file']}") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == str(fields["sha256"])
        except FileNotFoundError:
            return False

    def _unreadable(self, key: str, error: OSError) -> StoreError:
        return StoreError(
            f"{key} that could not be read from {self._root} ({error.strerror or error})",
            "a disk or an object store that answers",
            "Look at the disk, or at the address and the rights of the object store's key, and run the step again",
        )


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
        listed = json.dumps(texts.to_numpy(object).tolist()).encode()
        return [codes.astype("int64"), np.frombuffer(listed, dtype="uint8")]
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


def _content(file: Readable, size: int) -> npt.NDArray[np.uint8]:
    """All bytes of a file that should have so many; one more when it has more.

    Read once, for the digest and for the values, into memory that numpy asks of the system in large pages: a whole
    market's bars are in small ones half a second later.
    """
    content = np.empty(size + 1, dtype=np.uint8)
    return content[: file.readinto(content.data)]


def _write_parquet(frame: pd.DataFrame, file: IO[bytes]) -> None:
    # dictionaries only for what repeats: trying them on numbers costs three times the rest of the writing
    repeated = [str(name) for name, dtype in frame.dtypes.items() if not pd.api.types.is_float_dtype(dtype)]
    table = pa.Table.from_pandas(frame, preserve_index=False)
    pq.write_table(table, file, compression="snappy", use_dictionary=repeated)


def _write(content: bytes, file: IO[bytes]) -> None:
    file.write(content)


def _data_name(digest: str) -> str:
    """After its bytes, so that writers of other bytes never meet."""
    return f"data-{digest[:16]}.parquet"


def _check(key: str) -> None:
    if not all(_KEY_PART.fullmatch(part) for part in key.split("/")):
        raise StoreError(
            f"the key {key!r}", "a relative path such as equity/features/ab12/2013-03-01", "Correct the key"
        )


def _damaged(key: str, found: str) -> StoreError:
    return StoreError(f"{key}, damaged: {found}", "a whole entry", "Run the step that writes it again")
