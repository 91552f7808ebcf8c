"""Bars and what belongs to them, read as they were known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from ml import frames
from ml.domain import Night
from ml.io.warehouse import bulk, partitions
from ml.io.warehouse.connection import Transaction, Warehouse

TIMEFRAME = "1d"
VALUES = ("open", "high", "low", "close", "volume")
_COLUMNS = {"symbol_id": "int32", "ts": "timestamptz", **dict.fromkeys(VALUES, "float64")}
_SECOND_BITS = 36
"""Room for a bar's second in its key, before it the rank of its ticker."""

READERS = 2
"""Connections that read at once: one for each core."""

Records = npt.NDArray[np.void]
ReadYear = Callable[[int], pd.DataFrame]


def rows_in_session(warehouse: Warehouse, ts: datetime) -> int:
    """How many symbols have a bar that closed at `ts`."""
    row = warehouse.row("bars_in_session", {"timeframe": TIMEFRAME, "ts": ts})
    return int(row["bars"]) if row else 0


@dataclass(frozen=True)
class Known:
    """What a night may see: BARS and ACTIONS under their tickers, TICKERS, SECTORS and MEMBERS."""

    bars: pd.DataFrame
    actions: pd.DataFrame
    tickers: pd.DataFrame
    sectors: pd.DataFrame
    members: pd.DataFrame


def as_known(warehouse: Warehouse, night: Night, read: ReadYear | None = None) -> Known:
    """All up to `night.as_of` as it was believed at `night.known_at`; the bars are raw.

    read: gives what `of_year` gives; by default it is that
    """
    return _with_what_belongs(warehouse, night, _rows(warehouse, night, read or partial(of_year, warehouse, night)))


def as_known_since(warehouse: Warehouse, night: Night, since: datetime) -> Known:
    """The same, without the bars that closed before `since`."""
    with warehouse.transaction() as transaction:
        rows = _values(believed(transaction, "bars_as_known_since", {**vars(night), "since": since}))
    return _with_what_belongs(warehouse, night, [rows])


def _with_what_belongs(warehouse: Warehouse, night: Night, rows: list[pd.DataFrame]) -> Known:
    with warehouse.transaction() as transaction:

        def table(name: str, contract: frames.Contract) -> pd.DataFrame:
            return contract.cast(transaction.frame(name, vars(night)).sort_values(list(contract.key)))

        return Known(
            _bars(rows, _names(transaction)),
            frames.ACTIONS.check(table("actions_as_known", frames.ACTIONS)),
            table("tickers_as_known", frames.TICKERS),
            table("sectors_as_known", frames.SECTORS),
            table("members_as_known", frames.MEMBERS),
        )


def of_year(warehouse: Warehouse, night: Night, year: int) -> pd.DataFrame:
    """The bars of a year (of UTC) as known: symbol_id, ts (without a zone) and the values, in no order."""
    with warehouse.transaction() as transaction:
        return _values(believed(transaction, "bars_as_known", {**vars(night), "year": year}))


def _values(rows: Records) -> pd.DataFrame:
    values = {name: rows[name].astype(np.float64) for name in VALUES}
    columns = {"symbol_id": rows["symbol_id"].astype(np.int32), "ts": instants(rows), **values}
    return pd.DataFrame(columns, copy=False)


@dataclass(frozen=True)
class Versions:
    """What was learned about a year's bars: so many versions, the last of them when, and how many bars that makes."""

    versions: int
    last_known_at: datetime | None
    bars: int


def versions_of_year(warehouse: Warehouse, night: Night, year: int) -> Versions:
    """What was learned by `night.known_at`, whatever the night's own session."""
    named = {"timeframe": TIMEFRAME, "known_at": night.known_at, "year": year}
    with warehouse.transaction() as transaction:
        return Versions(**transaction.one("bar_versions", named))


def versions_between(warehouse: Warehouse, known_after: datetime, known_at: datetime, before: datetime) -> int:
    """How many versions of bars that closed before `before` were learned after one instant and by another."""
    named = {"timeframe": TIMEFRAME, "known_after": known_after, "known_at": known_at, "before": before}
    with warehouse.transaction() as transaction:
        return int(transaction.one("bar_versions_between", named)["versions"])


def years_in_use(warehouse: Warehouse, last: int) -> list[int]:
    """The years up to `last` that have a table of bars, in order."""
    return [each.year for each in partitions.years(warehouse) if each.timeframe == TIMEFRAME and each.year <= last]


def _rows(warehouse: Warehouse, night: Night, read: ReadYear) -> list[pd.DataFrame]:
    """Bars as known by symbol_id, year by year on READERS connections at once.

    What was known at an instant that has passed never changes, so they need no common snapshot.
    """
    years = years_in_use(warehouse, night.as_of.astimezone(UTC).year)
    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(read, years))


def believed(transaction: Transaction, name: str, parameters: Mapping[str, Any]) -> Records:
    """The bars that a COPY statement writes: symbol_id, ts (see `instants`) and the values."""
    return bulk.binary_table(transaction.copied(name, {"timeframe": TIMEFRAME, **parameters}), _COLUMNS)


def instants(rows: Records) -> npt.NDArray[np.datetime64]:
    """When the bars closed: UTC, without a zone."""
    since: npt.NDArray[np.datetime64] = bulk.POSTGRES_EPOCH + rows["ts"].astype("timedelta64[us]")
    return since


def _bars(years: list[pd.DataFrame], names: list[str]) -> pd.DataFrame:
    """BARS of what `of_year` gave; the years have no columns afterwards, for those of a whole market are large."""

    def joined(name: str, like: str) -> npt.NDArray[Any]:
        return np.concatenate([np.empty(0, like), *(year.pop(name).to_numpy() for year in years)])

    # Ranked by name once per ticker, so that a million rows are sorted by one integer each.
    rank = np.argsort(np.argsort(names)).astype(np.int64)
    symbol_id, ts = joined("symbol_id", "int32"), joined("ts", "datetime64[us]")
    # Rows come in runs that are sorted already, which is what the stable sort is quick at.
    order = np.argsort((rank[symbol_id] << _SECOND_BITS) + ts.astype("datetime64[s]").view("int64"), kind="stable")
    text = pa.DictionaryArray.from_arrays(pa.array(symbol_id[order]), pa.array(names)).cast(pa.large_string())
    columns = {name: joined(name, "float64")[order] for name in VALUES}
    stamps = pd.DatetimeIndex(ts[order]).tz_localize("UTC")
    symbol = pd.Series(text.to_pandas(), dtype=frames.TEXT)
    return frames.BARS.check(pd.DataFrame({"symbol": symbol, "ts": stamps, **columns}, copy=False))


def _names(transaction: Transaction) -> list[str]:
    """The tickers by symbol_id; numbers that were never given are empty."""
    known = {row["symbol_id"]: row["symbol"] for row in transaction.rows("symbols_all")}
    return [known.get(number, "") for number in range(max(known, default=0) + 1)]
