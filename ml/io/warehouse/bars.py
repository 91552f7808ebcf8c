"""Bars and what belongs to them, read as they were known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd
import pyarrow as pa

from ml import frames
from ml.domain import Night
from ml.io.warehouse import bulk
from ml.io.warehouse.connection import Warehouse

TIMEFRAME = "1d"


def rows_in_session(warehouse: Warehouse, ts: datetime) -> int:
    """How many symbols have a bar that closed at `ts`."""
    row = warehouse.row("bars_in_session", {"timeframe": TIMEFRAME, "ts": ts})
    return int(row["bars"]) if row else 0


@dataclass(frozen=True)
class Known:
    """What a night may see: BARS and ACTIONS under their tickers, TICKERS and MEMBERS."""

    bars: pd.DataFrame
    actions: pd.DataFrame
    tickers: pd.DataFrame
    members: pd.DataFrame


def as_known(warehouse: Warehouse, night: Night) -> Known:
    """All up to `night.as_of` as it was believed at `night.known_at`; the bars are raw."""
    named = {"timeframe": TIMEFRAME, "as_of": night.as_of.isoformat(), "known_at": night.known_at.isoformat()}
    with bulk.reader(warehouse.dsn, named) as read:
        return Known(
            _bars(read("bars_as_known"), _names(warehouse)),
            frames.ACTIONS.check(_sorted(read("actions_as_known"), frames.ACTIONS)),
            _sorted(read("tickers_as_known"), frames.TICKERS),
            _sorted(read("members_as_known"), frames.MEMBERS),
        )


def _bars(table: pa.Table, names: list[str]) -> pd.DataFrame:
    """BARS of rows by symbol_id, in any order."""
    # Ranked by name once per ticker, so that a million rows are sorted by one integer each.
    rank = np.argsort(np.argsort(names))
    symbol_id = table["symbol_id"].to_numpy()
    ts = table["ts"].to_numpy().view("int64")
    order = np.lexsort((ts, rank[symbol_id]))
    text = pa.DictionaryArray.from_arrays(pa.array(symbol_id[order]), pa.array(names)).cast(pa.large_string())
    columns = {name: table[name].to_numpy()[order] for name in ("open", "high", "low", "close", "volume")}
    stamps = pd.DatetimeIndex(ts[order].view("datetime64[us]")).tz_localize("UTC")
    symbol = pd.Series(text.to_pandas(), dtype=frames.TEXT)
    return frames.BARS.check(pd.DataFrame({"symbol": symbol, "ts": stamps, **columns}, copy=False))


def _sorted(table: pa.Table, contract: frames.Contract) -> pd.DataFrame:
    return contract.cast(table.sort_by([(column, "ascending") for column in contract.key]).to_pandas())


def _names(warehouse: Warehouse) -> list[str]:
    """The tickers by symbol_id; numbers that were never given are empty."""
    known = {row["symbol_id"]: row["symbol"] for row in warehouse.rows("symbols_all")}
    return [known.get(number, "") for number in range(max(known, default=0) + 1)]
