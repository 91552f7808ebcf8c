"""Where searches keep their trials: Optuna's own tables, in the schema `search` of the warehouse's database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy.exc import SQLAlchemyError

from ml.io.postgres import LOST, unavailable
from ml.io.warehouse import Warehouse

SEARCH_PATH = "-c search_path=search"
TABLES = "search: tables"


@contextmanager
def storage(dsn: str) -> Iterator[BaseStorage]:
    """The studies beside the warehouse at `dsn`; WarehouseUnavailable when it is not there or goes away.

    A search that was cut off, or one on another machine, finds its study there by name.
    """
    try:
        # By a function instead of an address: what SQLAlchemy does not know it cannot print.
        options = {"creator": lambda: psycopg2.connect(dsn, options=SEARCH_PATH), "pool_pre_ping": True}
        # Two searches that are the first ones must not both make Optuna's tables.
        with Warehouse(dsn).transaction() as transaction:
            transaction.lock(TABLES)
            found = RDBStorage("postgresql+psycopg2://", engine_kwargs=options)
        yield found
    except Exception as error:
        if any(isinstance(each, (SQLAlchemyError, StorageInternalError, *LOST)) for each in _chain(error)):
            raise unavailable(dsn) from error
        raise


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those behind it: Optuna 5.0 stumbles over its own names when its storage goes away in a `tell`."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
