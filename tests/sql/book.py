"""A warehouse that tests write rows into, and the readers' view of it."""

from __future__ import annotations

from typing import Any

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from tests.sql.seed import Row, close, insert

NIGHT_1, NIGHT_2, NIGHT_3 = close("2024-04-24"), close("2024-04-25"), close("2024-05-01")


class Book:
    """The write role's connection to seed with, and the reader's to ask."""

    def __init__(self, writer: Connection, reader: Connection) -> None:
        self.writer = writer
        self.reader = reader

    def given(self, table: str, *rows: Row) -> None:
        insert(self.writer, table, *rows)

    def shown(self, view: str, *columns: str) -> list[tuple[Any, ...]]:
        """The view's rows, these columns only, sorted by them."""
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        order = sql.SQL(", ").join(sql.Literal(place) for place in range(1, len(columns) + 1))
        statement = sql.SQL("select {} from {} order by {}").format(names, sql.Identifier("serving", view), order)
        with self.reader, self.reader.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()
