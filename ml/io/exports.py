"""Exported files below `exports/` in AFTERBELL_HOME: each whole or not there, for its owner alone, the newest few.

An export NAME is the folder NAME, which holds one file and `about.json`, what is known of it. Both are written into a
folder that nobody lists, and put in place by one rename. Only what is listed can be found, so no name leads elsewhere.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Protocol
from uuid import uuid4

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from ml.errors import AfterbellError, ExportError
from ml.settings import settings

About = dict[str, Any]

SUFFIXES: Mapping[str, str] = {"csv": "csv", "json": "jsonl", "parquet": "parquet"}
"""By format; json is one object a line."""

PREVIEW_ROWS = 5
_ABOUT = "about.json"
_TEMPORARY = ".writing-"
_ABANDONED_SECONDS = 24 * 3600
_KEYS = (("symbol", pa.string()), ("ts", pa.timestamp("us", "UTC")))
_LINES = 10_000
"""Rows that are made JSON at a time: their text takes many times their room."""


def write(
    name: str, file_format: str, columns: Sequence[str], pieces: Iterator[pd.DataFrame], preview: Sequence[str],
    about: About,
) -> About:  # fmt: skip
    """Write the export `name` piece by piece; what is then known of it.

    columns: the features, float32, which each piece has after `symbol` (text) and `ts` (an instant in UTC)
    preview: the columns whose first rows are kept in what is known
    about: what else is to be known, as JSON values
    Of twins that write one name the first to end stays. ExportError when the disk fails.
    """
    schema = pa.schema([*_KEYS, *((column, pa.float32()) for column in columns)])
    with _disk(), _new_folder() as place:
        path, rows = place / f"{name}.{SUFFIXES[file_format]}", 0
        first: list[dict[str, Any]] = []
        with _private(path) as file:
            writer = _WRITERS[file_format](file, schema)
            for piece in pieces:
                first = first or _shown(piece[list(preview)].head(PREVIEW_ROWS))
                writer.write_table(pa.Table.from_pandas(piece, schema, preserve_index=False))
                rows += len(piece)
            writer.close()
            _settle(file)
        own = {"name": name, "file": path.name, "format": file_format, "rows": rows, "columns": len(schema)}
        own |= {"bytes": path.stat().st_size, "preview": first, "made_at": datetime.now(UTC).isoformat()}
        known = {**about, **own}
        with _private(place / _ABOUT) as file:
            file.write(json.dumps(known, allow_nan=False).encode())
            _settle(file)
        _put(place, _folder() / name)
    return known


def listing() -> list[About]:
    """What is known of every export, the newest first."""
    with _disk():
        names = [path.name for path in _folder().iterdir()] if _folder().is_dir() else []
        found = [_about(name) for name in names if not name.startswith(_TEMPORARY)]
    return sorted((about for about in found if about), key=lambda about: str(about["made_at"]), reverse=True)


def find(name: str) -> About | None:
    """What is known of the export `name`; None when none of that name is listed."""
    return next((about for about in listing() if about["name"] == name), None)


def path_of(about: About) -> Path:
    """Where the file of an export lies."""
    return _folder() / str(about["name"]) / str(about["file"])


def prune(keep: int) -> list[str]:
    """Delete all but the `keep` newest exports, and what was left of those that were killed long ago; their names."""
    old = [str(about["name"]) for about in listing()[keep:]]
    with _disk():
        for name in old:
            gone = _folder() / f"{_TEMPORARY}{uuid4().hex}"
            with suppress(FileNotFoundError):  # a twin deletes it
                (_folder() / name).rename(gone)  # whole or not there, also while it goes
                shutil.rmtree(gone)
        for path in _folder().glob(f"{_TEMPORARY}*"):
            with suppress(FileNotFoundError):  # a twin has just finished it
                if time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
                    shutil.rmtree(path)
    return old


def _folder() -> Path:
    return settings().home / "exports"


def _about(name: str) -> About | None:
    """None when it has just been pruned, or is nothing of ours."""
    try:
        known: About = json.loads((_folder() / name / _ABOUT).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    return known


class _Writer(Protocol):
    """What pyarrow's writers have in common."""

    def write_table(self, table: pa.Table) -> None:
        """Append the rows."""

    def close(self) -> None:
        """Finish the file, which stays open."""


class _Csv:
    """A line of names, then one a row; what is missing is empty."""

    def __init__(self, file: IO[bytes], schema: pa.Schema) -> None:
        self._writer = pyarrow.csv.CSVWriter(file, _as_text(schema.empty_table()).schema)

    def write_table(self, table: pa.Table) -> None:
        self._writer.write_table(_as_text(table))

    def close(self) -> None:
        self._writer.close()


class _JsonLines:
    """One object a row; what is missing is null. Numbers are written in the digits that give the float32 back."""

    def __init__(self, file: IO[bytes], schema: pa.Schema) -> None:
        self._file = file
        keys = [f"{json.dumps(name)}: " for name in schema.names]
        self._before = ["{" + keys[0], *(f", {key}" for key in keys[1:])]

    def write_table(self, table: pa.Table) -> None:
        for start in range(0, len(table), _LINES):
            self._file.write(self._lines(_as_text(table.slice(start, _LINES))))

    def close(self) -> None:
        pass

    def _lines(self, table: pa.Table) -> bytes:
        values = [_as_json(column.combine_chunks()) for column in table.columns]
        parts = [part for pair in zip(self._before, values, strict=True) for part in pair]
        lines = pc.binary_join_element_wise(*parts, "}\n", "")
        return "".join(lines.to_pylist()).encode()


def _parquet(file: IO[bytes], schema: pa.Schema) -> _Writer:
    """Dictionaries only for what repeats."""
    writer: _Writer = pq.ParquetWriter(file, schema, compression="snappy", use_dictionary=["symbol", "ts"])
    return writer


_WRITERS: Mapping[str, Callable[[IO[bytes], pa.Schema], _Writer]] = {
    "csv": _Csv, "json": _JsonLines, "parquet": _parquet,
}  # fmt: skip


def _as_text(table: pa.Table) -> pa.Table:
    """The same with `ts` as 2013-03-01T21:00:00Z."""
    return table.set_column(1, "ts", pc.strftime(table["ts"].cast(pa.timestamp("s")), "%Y-%m-%dT%H:%M:%SZ"))


def _as_json(values: pa.Array) -> pa.Array:
    if pa.types.is_string(values.type):
        texts = values.dictionary_encode()
        return pa.array([json.dumps(text) for text in texts.dictionary.to_pylist()]).take(texts.indices)
    return pc.fill_null(values.cast(pa.string()), "null")


def _shown(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON values, numbers in the fewest digits of their float32."""
    return [{str(name): _plain(value) for name, value in row.items()} for row in rows.to_dict("records")]


def _plain(value: Any) -> Any:
    if isinstance(value, pd.Timestamp):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, str):
        return value
    return None if pd.isna(value) else float(str(np.float32(value)))


@contextmanager
def _disk() -> Iterator[None]:
    try:
        yield
    except AfterbellError:
        raise
    except OSError as error:
        raise ExportError(
            f"{_folder()} not usable ({error.strerror or error})",
            "a writable disk with free space",
            "Mend it, then export again",
        ) from error


@contextmanager
def _new_folder() -> Iterator[Path]:
    """A new folder for its owner alone that is not listed, gone afterwards unless it was put in its place."""
    _folder().mkdir(mode=0o700, parents=True, exist_ok=True)
    place = _folder() / f"{_TEMPORARY}{uuid4().hex}"
    place.mkdir(mode=0o700)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def _private(path: Path) -> Iterator[IO[bytes]]:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        yield file


def _settle(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _put(place: Path, final: Path) -> None:
    try:
        place.rename(final)
    except OSError:
        if not (final / _ABOUT).exists():  # else a twin was quicker, with the same rows
            raise
    folder = os.open(final.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the rename itself
    finally:
        os.close(folder)
