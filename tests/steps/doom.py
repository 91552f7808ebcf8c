"""A connection that dies before its n-th statement, as if the process that holds it had been killed there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ml.io.warehouse.connection import Transaction
from ml.stack.postgres import PostgresServer

_WAYS = ("execute", "rows", "copy_rows")


class Doom:
    """Counts the statements of all transactions; before number `at` it has the server end their connection."""

    def __init__(self, server: PostgresServer, at: int | None) -> None:
        self._server = server
        self._at = at
        self.statements = 0

    def strike(self, transaction: Transaction) -> None:
        if self.statements == self._at:
            with self._server.superuser() as cursor:
                cursor.execute("select pg_terminate_backend(%s, 5000)", (transaction._connection.info.backend_pid,))
        self.statements += 1


@contextmanager
def doomed(server: PostgresServer, at: int | None) -> Iterator[Doom]:
    """Inside, the connection dies before statement `at` (counted from 0); with None all are only counted."""
    doom = Doom(server, at)
    with pytest.MonkeyPatch.context() as patch:
        for way in _WAYS:
            patch.setattr(Transaction, way, _struck(doom, getattr(Transaction, way)))
        yield doom


def _struck(doom: Doom, statement: Any) -> Any:
    def struck(self: Transaction, *arguments: Any, **named: Any) -> Any:
        doom.strike(self)
        return statement(self, *arguments, **named)

    return struck
