"""The members of the universe, from one CSV or Parquet file with the columns symbol, from and to."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa

from ml.errors import ProviderError
from ml.frames import TEXT
from ml.io.market_data.file_columns import plain, written_days
from ml.io.market_data.file_place import File, Place
from ml.io.market_data.small_file import read_small

SETTING = "AFTERBELL_UNIVERSE_PATH"
COLUMNS = {"symbol": "symbol", "from": "valid_from", "to": "valid_to"}
"""The file's columns, in any case, and ours."""
_CORRECT = f"Correct the file of {SETTING}"


def read_universe(url: str) -> pd.DataFrame:
    """Columns symbol, valid_from and valid_to: who belongs on the days [from, to); NaT where an end is open.

    url: a local path or what fsspec reads. Sorted by (symbol, valid_from). SettingsError when the place
    cannot be read here. ProviderError: no such file, unreadable, without rows, a column missing, a row
    without a symbol, a date that is none, an interval that ends before it begins, two of a symbol that overlap.
    """
    place = Place(url, SETTING)
    file = place.alone()
    with place.reading(file):
        table = read_small(place, file)
        found = _columns(file, table)
    order = found.sort_values(["symbol", "valid_from"], na_position="first", ignore_index=True)
    _require_order(file, order)
    return order


def _columns(file: File, table: pa.Table) -> pd.DataFrame:
    theirs = {plain(name): name for name in table.column_names}
    missing = [name for name in COLUMNS if name not in theirs]
    if missing or not len(table):
        raise ProviderError(
            f"{file.shown} with columns {table.column_names} and {len(table)} rows",
            "the columns symbol, from and to, and at least one row",
            _CORRECT,
        )
    symbols: pd.Series[str] = table[theirs["symbol"]].cast(pa.string()).to_pandas().astype(TEXT).str.strip()
    empty = (symbols.isna() | (symbols == "")).to_numpy()
    if empty.any():
        raise ProviderError(
            f"{file.shown} without a symbol in row {empty.argmax() + 1} below the header",
            "a symbol in every row",
            _CORRECT,
        )
    return pd.DataFrame({"symbol": symbols} | {COLUMNS[n]: _days(file, n, table[theirs[n]]) for n in ("from", "to")})


def _days(file: File, name: str, values: pa.ChunkedArray) -> pd.Series[pd.Timestamp]:
    if pa.types.is_timestamp(values.type) or pa.types.is_date(values.type):
        instants: pd.Series[pd.Timestamp] = values.cast(pa.timestamp("us"), safe=False).to_pandas()
        return instants.dt.normalize()
    text: pd.Series[str] = values.cast(pa.string()).to_pandas().astype(TEXT).str.strip()
    text = text.where(text != "")
    days = written_days(text).dt.as_unit("us")
    bad = (days.isna() & text.notna()).to_numpy()
    if bad.any():
        raise ProviderError(
            f"{text[bad].iloc[0]!r} in the column {name!r} of {file.shown}, row {bad.argmax() + 1} below the header",
            "a date such as 2012-01-31, or nothing for an open end",
            _CORRECT,
        )
    return days


def _require_order(file: File, order: pd.DataFrame) -> None:
    """`order` is sorted by (symbol, valid_from), open beginnings first."""
    follows = order["symbol"] == order["symbol"].shift()
    apart = order["valid_to"].shift() <= order["valid_from"]
    wrong = (follows & ~apart) | (order["valid_to"] <= order["valid_from"])
    if wrong.any():
        row = order[wrong].iloc[0]
        start, end = (f"{row[c]:%Y-%m-%d}" if pd.notna(row[c]) else "open" for c in ("valid_from", "valid_to"))
        raise ProviderError(
            f"{file.shown} with {row['symbol']} from {start} to {end}",
            "from before to, and intervals of a symbol that do not overlap; `to` is the first day out",
            _CORRECT,
        )
