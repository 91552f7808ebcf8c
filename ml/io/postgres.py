"""The one door to Postgres, so that no error ever quotes a password."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import parse_dsn

from ml.errors import WarehouseUnavailable

LOST = (psycopg2.OperationalError, psycopg2.InterfaceError)


@contextmanager
def connected(dsn: str, **options: Any) -> Iterator[Connection]:
    """A connection, closed afterwards. WarehouseUnavailable when the server is not there or goes away."""
    try:
        connection = psycopg2.connect(dsn, **options)
    except psycopg2.Error as error:
        raise unavailable(dsn) from error
    with closing(connection):
        try:
            yield connection
        except LOST as error:
            raise unavailable(dsn) from error


def unavailable(dsn: str) -> WarehouseUnavailable:
    """The one message for a server that is not there. Drivers quote what they were given; this names the place only."""
    return WarehouseUnavailable(
        f"no answer from Postgres at {_place(dsn)}",
        "a running server at the address of AFTERBELL_WAREHOUSE_DSN and AFTERBELL_READER_DSN",
        "Start it (make run) or correct the address, then run this again: nothing was half-written",
    )


def _place(dsn: str) -> str:
    cut_in_the_wrong_place = "://" in dsn and dsn.count("@") > 1  # by a password that is not percent-encoded
    try:
        parts = parse_dsn(dsn)
    except psycopg2.Error:
        parts = {}
    if cut_in_the_wrong_place or not parts:
        return "an address that cannot be read (is its password percent-encoded?)"
    return f"{parts.get('host', 'the local socket')}:{parts.get('port', 5432)}/{parts.get('dbname', '')}"
