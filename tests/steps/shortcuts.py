"""What spares the stories of replay their time, and is proved elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
import pytest
from adbc_driver_postgresql import dbapi

from ml.equity import suites
from ml.equity.checks import actions, context, night, presence, rows
from ml.equity.suites import Outcome, Rule
from ml.io.store import frame_digest


@contextmanager
def unchecked() -> Iterator[None]:
    """Inside, Great Expectations finds nothing, and is not asked."""

    def nothing(suite: str, frame: pd.DataFrame, rules: list[Rule]) -> list[Outcome]:
        del suite, frame
        return [Outcome(rule, True, np.empty(0, dtype=np.int64)) for rule in rules]

    with _asking(nothing):
        yield


@contextmanager
def remembered() -> Iterator[None]:
    """Inside, what Great Expectations said of some rows is not asked again of the very same rows."""
    said: dict[tuple[str, str, str], list[Outcome]] = {}

    def ask(suite: str, frame: pd.DataFrame, rules: list[Rule]) -> list[Outcome]:
        key = (suite, frame_digest(frame), repr(rules))
        if key not in said:
            said[key] = in_earnest(suite, frame, rules)
        return said[key]

    in_earnest = suites.run
    with _asking(ask):
        yield


@contextmanager
def _asking(run: Callable[..., list[Outcome]]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for checks in (actions, context, night, presence, rows):
            patch.setattr(checks, "run", run)
        yield


class Lent:
    """A connection for reading at full speed that stays open: to open one costs more than what these stories ask."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def cursor(self) -> Any:
        return self._connection.cursor()

    def close(self) -> None:
        self._connection.rollback()


@contextmanager
def lent_connections() -> Iterator[None]:
    """Inside, there is one such connection to each warehouse."""
    opened: dict[str, Any] = {}
    connect = dbapi.connect

    def lend(dsn: str) -> Lent:
        if dsn not in opened:
            opened[dsn] = connect(dsn)
        return Lent(opened[dsn])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dbapi, "connect", lend)
        yield
    for connection in opened.values():
        connection.close()
