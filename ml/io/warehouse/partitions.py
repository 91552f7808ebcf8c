"""The yearly partitions of bars: made before they are needed, and taken out of use when they are old."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from psycopg2.errors import LockNotAvailable

from ml.errors import WarehouseUnavailable
from ml.io.warehouse.connection import Transaction, Warehouse


@dataclass(frozen=True, order=True)
class YearOfBars:
    """One partition: the bars of a timeframe whose `ts` lies in a year of UTC."""

    timeframe: str
    year: int

    def __str__(self) -> str:
        return f"bars_{self.timeframe}_{self.year}"


def years(source: Warehouse | Transaction) -> list[YearOfBars]:
    """The years in use, in order; those in the schema `archive` are not."""
    return [YearOfBars(**row) for row in source.rows("partition_years")]


def make_ahead(warehouse: Warehouse, first: datetime, last: datetime) -> list[YearOfBars]:
    """Have every timeframe's partitions for the instants from `first` to `last`; returns those that were made now.

    WarehouseUnavailable when readers hold the tables for longer than a moment.
    """
    before = years(warehouse)
    with _patiently(warehouse) as transaction:
        for timeframe in sorted({each.timeframe for each in before}):
            transaction.execute("partitions_make", {"timeframe": timeframe, "first": first, "last": last})
    return [each for each in years(warehouse) if each not in before]


def detach_before(warehouse: Warehouse, instant: datetime) -> dict[YearOfBars, int]:
    """Move the years that ended before `instant` (aware UTC) to the schema `archive`; their bars by year.

    Nothing is dropped: `select market.attach_bars('1d', 2012)` brings a year back. WarehouseUnavailable when
    readers hold the tables for longer than a moment; years before the one that they hold are moved by then.
    """
    moved = {}
    first = instant.astimezone(UTC).year
    for each in years(warehouse):
        if each.year < first:
            with _patiently(warehouse) as transaction:
                moved[each] = int(transaction.one("partition_detach", vars(each))["bars"])
    return moved


@contextmanager
def _patiently(warehouse: Warehouse) -> Iterator[Transaction]:
    with warehouse.transaction() as transaction:
        transaction.lock("market.bars")  # a delivery that is being taken in may take its time
        transaction.execute("partition_patience")
        try:
            yield transaction
        except LockNotAvailable as error:
            raise WarehouseUnavailable(
                "market.bars in use by somebody else",
                "a moment without long readers or writers",
                "Nothing was changed: run this again later",
            ) from error
