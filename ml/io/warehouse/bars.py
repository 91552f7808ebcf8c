"""Bars and what belongs to them, read as they were known."""

from __future__ import annotations

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


def bars_as_known(warehouse: Warehouse, night: Night) -> pd.DataFrame:
    """Raw bars up to `night.as_of` as believed at `night.known_at`, under their tickers; a BARS frame."""
    table = bulk.read(warehouse.dsn, "bars_as_known", _settings(night))
    names = _names(warehouse)
    # Rank by name once per ticker, so that a million rows are sorted by two integers.
    rank = np.argsort(np.argsort(names))
    symbol_id = table["symbol_id"].to_numpy()
    ts = table["ts"].to_numpy().view("int64")
    order = np.lexsort((ts, rank[symbol_id]))
    text = pa.DictionaryArray.from_arrays(pa.array(symbol_id[order]), pa.array(names)).cast(pa.large_string())
    columns = {name: table[name].to_numpy()[order] for name in ("open", "high", "low", "close", "volume")}
    stamps = pd.DatetimeIndex(ts[order].view("datetime64[us]")).tz_localize("UTC")
    frame = pd.DataFrame(
        {"symbol": pd.Series(text.to_pandas(), dtype=frames.TEXT), "ts": stamps, **columns}, copy=False
    )
    return frames.BARS.check(frame)


def actions_as_known(warehouse: Warehouse, night: Night) -> pd.DataFrame:
    """Corporate actions up to `night.as_of` as believed at `night.known_at`; an ACTIONS frame."""
    table = bulk.read(warehouse.dsn, "actions_as_known", _settings(night))
    table = table.sort_by([(column, "ascending") for column in frames.ACTIONS.key])
    return frames.ACTIONS.check(frames.ACTIONS.cast(table.to_pandas()))


def tickers_as_known(warehouse: Warehouse, night: Night) -> pd.DataFrame:
    """Who was behind each ticker as believed at `night.known_at`; a TICKERS frame."""
    table = bulk.read(warehouse.dsn, "tickers_as_known", _settings(night))
    table = table.sort_by([("symbol", "ascending"), ("valid_from", "ascending")])
    return frames.TICKERS.cast(table.to_pandas())


def members_as_known(warehouse: Warehouse, night: Night) -> pd.DataFrame:
    """Who belonged to the universe as believed at `night.known_at`; a MEMBERS frame."""
    table = bulk.read(warehouse.dsn, "members_as_known", _settings(night))
    table = table.sort_by([("symbol", "ascending"), ("valid_from", "ascending")])
    return frames.MEMBERS.cast(table.to_pandas())


def _settings(night: Night) -> dict[str, str]:
    return {"timeframe": TIMEFRAME, "as_of": night.as_of.isoformat(), "known_at": night.known_at.isoformat()}


def _names(warehouse: Warehouse) -> list[str]:
    """The tickers by symbol_id; numbers that were never given are empty."""
    known = {row["symbol_id"]: row["symbol"] for row in warehouse.rows("symbols_all")}
    return [known.get(number, "") for number in range(max(known, default=0) + 1)]
