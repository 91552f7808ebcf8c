"""One CSV or Parquet file of bars, read by Arrow into our columns; nothing in it is corrected."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from ml.errors import ProviderError

log = logging.getLogger(__name__)

SUFFIXES = (".csv", ".csv.gz", ".parquet")
COLUMNS = {
    "symbol": ("symbol", "ticker"),
    "date": ("date",),
    "open": ("open",),
    "high": ("high",),
    "low": ("low",),
    "close": ("close",),
    "volume": ("volume",),
    "adj_close": ("adjclose", "adjustedclose"),
    "dividend": ("dividend", "dividends"),
    "split": ("split", "splits", "stocksplits"),
}
"""Our column names, each with the names that are recognised, written without case, blanks and signs."""
_REQUIRED = ("date", "open", "high", "low", "close", "volume")
_NUMBER = r"^-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_MISSING = ("", "na", "nan", "n/a", "null", "none")
_DAY = r"^\s*(\d{4})[-/]?(\d{2})[-/]?(\d{2})(?:[T ].*)?$"
_ANY_ZONE = timedelta(days=2)  # no zone is further from UTC than this, so a filter this much wider loses nothing


def symbol_of(file: Path) -> str | None:
    """The symbol a file is named after, `BRK.B` for `BRK.B.csv.gz`; None when it is no file of bars."""
    for suffix in SUFFIXES:
        if file.name.lower().endswith(suffix) and not file.name.startswith("."):
            return file.name[: -len(suffix)]
    return None


def unreadable(path: Path, error: Exception) -> ProviderError:
    """The error for a path that cannot be opened or decoded."""
    return ProviderError(
        f"{path}, which cannot be read ({str(error).strip()[:300]})",
        f"readable files ending in {', '.join(SUFFIXES)}",
        "Correct the file or AFTERBELL_FILES_PATH",
    )


def read_rows(file: Path, mapping: Mapping[str, str], start: date, end: date) -> pd.DataFrame:
    """The rows of `file` from `start` to `end`, both included, in its own order, under our names.

    Columns `symbol` (the file's name when it has no such column), `date`, open to volume as float64,
    and those of adj_close, dividend and split that are there. What does not read as a finite number
    is NaN and counted in the log. ProviderError: unreadable, empty, a column missing, a bad date.
    """
    theirs = _match(file, mapping)
    table = _read(file, theirs, start, end)
    days = _days(file, theirs, table["date"])
    inside = ((days >= np.datetime64(start)) & (days <= np.datetime64(end))).to_numpy()
    rows = {"symbol": _symbols(file, table), "date": days}
    for name in table.column_names:
        if name not in rows:
            rows[name] = _numbers(file, theirs[name], table[name])
    return pd.DataFrame(rows)[inside].reset_index(drop=True)


def last_date(file: Path, mapping: Mapping[str, str]) -> date:
    """The latest date in `file`; errors as in `read_rows`."""
    theirs = {"date": _match(file, mapping)["date"]}
    latest: pd.Timestamp = _days(file, theirs, _read(file, theirs)["date"]).max()
    return latest.date()


def _match(file: Path, mapping: Mapping[str, str]) -> dict[str, str]:
    """Our names -> the file's names, of the columns that are there."""
    found = _header(file)
    theirs: dict[str, str] = {}
    for ours, known in COLUMNS.items():
        free = [c for c in found if c not in mapping.values() and _plain(c) in known]
        hits = [c for c in found if c == mapping[ours]] if ours in mapping else free
        if len(hits) > 1:
            raise ProviderError(
                f"{file} with the columns {hits}, any of which could be {ours!r}", "one of them", _how_to_map(ours)
            )
        if hits:
            theirs[ours] = hits[0]
    missing = [name for name in (*_REQUIRED, *mapping) if name not in theirs]
    if missing:
        raise ProviderError(
            f"{file} with columns {found}, without {', '.join(dict.fromkeys(missing))}",
            f"columns {', '.join(_REQUIRED)} (and symbol, unless the file is named after it)",
            _how_to_map(missing[0]),
        )
    return theirs


def _plain(column: str) -> str:
    return "".join(c for c in column.lower() if c.isalnum())


def _how_to_map(ours: str) -> str:
    return f'Name the file\'s own column: AFTERBELL_FILES_COLUMNS={{"{ours}": "their name"}}'


def _is_parquet(file: Path) -> bool:
    return file.name.lower().endswith(".parquet")


def _header(file: Path) -> list[str]:
    try:
        if _is_parquet(file):
            return list(pq.read_schema(file).names)
        with pacsv.open_csv(file) as reader:
            return list(reader.schema.names)
    except (OSError, pa.ArrowException) as error:
        raise unreadable(file, error) from error


def _read(file: Path, theirs: Mapping[str, str], start: date | None = None, end: date | None = None) -> pa.Table:
    """The matched columns under our names; of Parquet, little more than the rows of the span."""
    names = list(theirs.values())
    try:
        if _is_parquet(file):
            rows_in_file = pq.read_metadata(file).num_rows
            table = pq.read_table(
                file, columns=names, partitioning=None, filters=_span(file, theirs["date"], start, end)
            )
        else:
            # as text, because Arrow would guess a type from the first rows and stumble over a later one
            table = pacsv.read_csv(
                file,
                convert_options=pacsv.ConvertOptions(
                    include_columns=names, column_types=dict.fromkeys(names, pa.string())
                ),
            )
            rows_in_file = table.num_rows
    except (OSError, pa.ArrowException) as error:
        raise unreadable(file, error) from error
    if rows_in_file == 0:
        raise ProviderError(f"{file} without a single row", "bars", "Remove the file or fill it")
    return table.select(names).rename_columns(list(theirs))


def _span(file: Path, column: str, start: date | None, end: date | None) -> pc.Expression | None:
    kind = pq.read_schema(file).field(column).type
    if start is None or end is None or not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        return None
    low, high = (datetime.combine(day, time()) + margin for day, margin in ((start, -_ANY_ZONE), (end, _ANY_ZONE)))
    at = pc.field(column)
    return ((at >= pa.scalar(low, kind)) & (at <= pa.scalar(high, kind))) | at.is_null()


def _days(file: Path, theirs: Mapping[str, str], column: pa.ChunkedArray) -> pd.Series[pd.Timestamp]:
    """The calendar days as they are written, in whatever zone; a value that is no date is an error."""
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        days = column.cast(pa.timestamp("us", getattr(column.type, "tz", None))).to_pandas().dt.tz_localize(None)
    else:
        codes, texts = pd.factorize(column.cast(pa.string()).to_pandas(), use_na_sentinel=False)
        days = pd.Series(_written_days(pd.Series(texts, dtype="str")).to_numpy()[codes])
    if days.isna().any():
        raise _no_date(file, theirs)
    whole: pd.Series[pd.Timestamp] = days.dt.normalize().dt.as_unit("us")
    return whole


def _written_days(texts: pd.Series[str]) -> pd.Series[pd.Timestamp]:
    """The date that each text begins with, NaT for none; a time and an offset after it are ignored."""
    parts = texts.str.extract(_DAY)
    return pd.to_datetime(parts[0] + parts[1] + parts[2], format="%Y%m%d", errors="coerce")


def _no_date(file: Path, theirs: Mapping[str, str]) -> ProviderError:
    """The error that names the first row without a readable date, counted in the whole file."""
    texts = _read(file, {"date": theirs["date"]})["date"].cast(pa.string()).to_pandas()
    row = int(_written_days(texts).isna().to_numpy().argmax())
    value = texts.iloc[row]
    return ProviderError(
        f"{value!r} in the column {theirs['date']!r} of {file}, row {row + 1} below the header",
        "a date such as 2012-01-31",
        "Correct the row, or map the right column with AFTERBELL_FILES_COLUMNS",
    )


def _symbols(file: Path, table: pa.Table) -> pd.Series[str]:
    if "symbol" not in table.column_names:
        return pd.Series(symbol_of(file) or file.stem, index=range(table.num_rows), dtype="str")
    text: pd.Series[str] = table["symbol"].cast(pa.string()).to_pandas().astype("str").str.strip()
    return text.where(text != "")


def _numbers(file: Path, column: str, values: pa.ChunkedArray) -> pd.Series[float]:
    """float64, NaN for what is missing and for what is no finite number; the latter is counted in the log."""
    kind = values.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        numbers = values.cast(pa.float64(), safe=False)
        lost = pc.sum(pc.is_inf(numbers)).as_py() or 0
    else:
        text = pc.utf8_trim_whitespace(values.cast(pa.string()))
        reads = pc.match_substring_regex(text, _NUMBER)
        numbers = pc.if_else(reads, text, pa.scalar(None, pa.string())).cast(pa.float64())
        absent = pc.is_in(pc.utf8_lower(text), pa.array(_MISSING))
        lost = pc.sum(pc.and_(pc.invert(reads), pc.invert(absent))).as_py() or 0
    if lost:
        log.warning("%d values in the column %r of %s are no finite numbers and became NaN", lost, column, file)
    series: pd.Series[float] = numbers.to_pandas().astype("float64")
    return series.where(np.isfinite(series))
