"""Connections and transactions. Every statement comes from `sql/queries` and takes named parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from typing import IO, Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor
from psycopg2.extras import RealDictCursor

from ml.io.postgres import connected
from ml.io.queries import query

Row = dict[str, Any]
Parameters = Mapping[str, Any]


class Warehouse:
    """The product's database as its write role sees it. Cheap to make; connects per transaction."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """All or nothing. WarehouseUnavailable when the server cannot be reached or goes away."""
        with connected(self.dsn, cursor_factory=RealDictCursor) as connection, connection:
            yield Transaction(connection)

    def rows(self, name: str, parameters: Parameters | None = None) -> list[Row]:
        """The answer of one query in a transaction of its own."""
        with self.transaction() as transaction:
            return transaction.rows(name, parameters)

    def row(self, name: str, parameters: Parameters | None = None) -> Row | None:
        """The first row of one query, or None."""
        return next(iter(self.rows(name, parameters)), None)


class Transaction:
    """What can be done inside one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def execute(self, name: str, parameters: Parameters | None = None) -> int:
        """Run a statement; returns the number of rows it touched."""
        with self._connection.cursor() as cursor:
            cursor.execute(query(name), parameters)
            return int(cursor.rowcount)

    def rows(self, name: str, parameters: Parameters | None = None) -> list[Row]:
        """The rows that a statement returns."""
        with self._connection.cursor() as cursor:
            cursor.execute(query(name), parameters)
            return [dict(row) for row in cursor.fetchall()]

    def frame(self, name: str, parameters: Parameters | None = None) -> pd.DataFrame:
        """The answer of a query as a frame."""
        with self._connection.cursor(cursor_factory=Cursor) as cursor:
            cursor.execute(query(name), parameters)
            columns = [column.name for column in cursor.description or ()]
            return pd.DataFrame(cursor.fetchall(), columns=columns)

    def one(self, name: str, parameters: Parameters | None = None) -> Row:
        """The single row of a statement that always has one."""
        return self.rows(name, parameters)[0]

    def commit(self) -> None:
        """Keep what was done so far, whatever comes of the rest; locks are free again."""
        self._connection.commit()

    def lock(self, name: str) -> None:
        """Wait until this transaction is the only one that holds the lock `name`; freed at its end."""
        self.execute("lock", {"name": name})

    def copy(self, name: str, frame: pd.DataFrame) -> None:
        """Bulk-load a frame by the COPY statement `name`. Columns go by position; NaN becomes null."""
        self.copy_rows(name, _csv(frame))

    def copy_rows(self, name: str, rows: IO[bytes]) -> None:
        """Bulk-load encoded rows by the COPY statement `name`."""
        with self._connection.cursor() as cursor:
            cursor.copy_expert(query(name), rows)

    def copied(self, name: str, parameters: Parameters) -> BytesIO:
        """What the COPY ... TO statement `name` writes."""
        written = BytesIO()
        with self._connection.cursor() as cursor:
            cursor.copy_expert(cursor.mogrify(query(name), parameters), written)
        return written


def _csv(frame: pd.DataFrame) -> BytesIO:
    buffer = BytesIO()
    # In one piece: of a text column whose first piece is empty, pyarrow writes whatever lies in memory.
    table = pa.Table.from_pandas(frame, preserve_index=False).combine_chunks()
    pyarrow.csv.write_csv(table, buffer, pyarrow.csv.WriteOptions(include_header=False))
    buffer.seek(0)
    return buffer
