"""Whole tables in and out of Postgres at the speed of the wire: Arrow out (ADBC), binary COPY in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from io import BytesIO
from typing import Any

import adbc_driver_manager
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from adbc_driver_postgresql import dbapi

from ml.io.postgres import unavailable
from ml.io.queries import query

_SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"
_POSTGRES_EPOCH = np.datetime64("2000-01-01", "us")


@contextmanager
def reader(dsn: str, named: Mapping[str, str]) -> Iterator[Callable[[str], pa.Table]]:
    """Reads the answers of queries as Arrow on one connection; WarehouseUnavailable when the server is not there.

    named: what the queries read by current_setting('afterbell.<name>'): a statement with bound parameters cannot
    use COPY, which is what makes this fast.
    """
    try:
        with closing(dbapi.connect(dsn)) as connection, connection.cursor() as cursor:
            for key, value in named.items():
                cursor.execute(query("session_setting"), (f"afterbell.{key}", value))
                cursor.fetchall()

            def read(name: str) -> pa.Table:
                cursor.execute(query(name))
                return cursor.fetch_arrow_table()

            yield read
    except adbc_driver_manager.OperationalError as error:
        raise unavailable(dsn) from error


def binary_rows(columns: Mapping[str, npt.NDArray[Any] | str | int]) -> BytesIO:
    """Rows in the format of COPY ... WITH (FORMAT binary), to be read by `copy_expert`.

    Each column is an array of int32, int64, float64 or datetime64[us] (an instant in UTC, a timestamptz), or one text
    or bigint for all rows. Nothing can be null: NaN stays NaN. Only such fixed widths make a row one numpy record,
    which is ten times faster than writing CSV and having Postgres parse it.
    """
    size = next(len(values) for values in columns.values() if isinstance(values, np.ndarray))
    fields = {name: _field(values) for name, values in columns.items()}
    layout = [("count", ">i2")]
    for name, (kind, _) in fields.items():
        layout += [(f"{name} width", ">i4"), (name, kind)]
    rows = np.empty(size, dtype=layout)
    rows["count"] = len(fields)
    for name, (kind, values) in fields.items():
        rows[f"{name} width"] = np.dtype(kind).itemsize
        rows[name] = values
    return BytesIO(b"".join((_SIGNATURE, rows.data, _END)))


def _field(values: npt.NDArray[Any] | str | int) -> tuple[str, Any]:
    """The big-endian type and the values of one column."""
    if isinstance(values, str):
        encoded = values.encode()
        return f"S{len(encoded)}", encoded
    if isinstance(values, int):
        return ">i8", values
    if values.dtype.kind == "M":
        return ">i8", (values.astype("datetime64[us]") - _POSTGRES_EPOCH).view("int64")
    return f">{values.dtype.kind}{values.dtype.itemsize}", values
