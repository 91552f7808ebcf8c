"""A blow at the n-th statement: the connection is lost there, or the whole process is gone, as after a kill -9."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ml.io.warehouse import Warehouse
from ml.io.warehouse.connection import Transaction
from ml.stack.postgres import PostgresServer

_WAYS = ("execute", "rows", "copy_rows", "commit")
Blow = Callable[[Transaction], None]


def losing(server: PostgresServer) -> Blow:
    """The server ends the connection: what the process that holds it did so far is as if it had been killed."""

    def blow(transaction: Transaction) -> None:
        with server.superuser() as cursor:
            cursor.execute("select pg_terminate_backend(%s, 5000)", (transaction._connection.info.backend_pid,))

    return blow


def dying(_: Transaction) -> None:
    """kill -9 of this very process."""
    os.kill(os.getpid(), signal.SIGKILL)


class Doom:
    """Counts the statements of all transactions, the commit at the end of each among them; strikes before number `at`.

    A blow after a commit is one before the first statement of the next transaction.
    """

    def __init__(self, blow: Blow | None, at: int | None) -> None:
        self._blow = blow
        self._at = at
        self.statements = 0

    def strike(self, transaction: Transaction) -> None:
        if self.statements == self._at and self._blow is not None:
            self._blow(transaction)
        self.statements += 1


@contextmanager
def doomed(blow: Blow, at: int, *besides: tuple[type, str]) -> Iterator[Doom]:
    """Inside, the blow comes before statement `at` (counted from 0), if there is one.

    besides: methods, by class and name, whose calls count like statements.
    """
    with _watched(Doom(blow, at), besides) as doom:
        yield doom


@contextmanager
def counted() -> Iterator[Doom]:
    """Inside, statements are only counted."""
    with _watched(Doom(None, None)) as doom:
        yield doom


@contextmanager
def _watched(doom: Doom, besides: tuple[tuple[type, str], ...] = ()) -> Iterator[Doom]:
    begun = Warehouse.transaction

    @contextmanager
    def transaction(self: Warehouse) -> Iterator[Transaction]:
        with begun(self) as opened:
            yield opened
            doom.strike(opened)  # all is said, and nothing of it is there yet

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Warehouse, "transaction", transaction)
        for owner, way in (*((Transaction, way) for way in _WAYS), *besides):
            patch.setattr(owner, way, _struck(doom, getattr(owner, way)))
        yield doom


def _struck(doom: Doom, statement: Any) -> Any:
    def struck(self: Transaction, *arguments: Any, **named: Any) -> Any:
        doom.strike(self)
        return statement(self, *arguments, **named)

    return struck
