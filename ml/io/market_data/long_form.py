"""One CSV or Parquet file of bars, streamed by Arrow into our columns; nothing in it is corrected."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ml.errors import ProviderError
from ml.io.market_data.csv_blocks import CsvBlocks
from ml.io.market_data.file_columns import days, match, numbers, symbols
from ml.io.market_data.file_names import Span, symbol_of
from ml.io.market_data.file_place import File, Place

log = logging.getLogger(__name__)

_BATCH = 1 << 18  # rows of a Parquet file
_BUFFER = 1 << 22  # bytes of a column read ahead
ALWAYS: Span = (date.min, date.max)


@dataclass(frozen=True)
class _Batch:
    """Some rows as they stand in the file, under our names; `before` are the rows above them."""

    before: int
    rows: pa.RecordBatch


def read_rows(
    place: Place, file: File, mapping: Mapping[str, str], span: Span, wanted: Collection[str] = ()
) -> Iterator[pa.Table]:
    """The rows of `file` in the span and of the symbols wanted (of all when none), in its own order, some at a time.

    Columns: `symbol` (dictionary; from the folder or the file's name when there is no such column), `date` (date32),
    open to volume as float64, and those of adj_close and of actions that are there. What does not read as a finite
    number is missing and counted in the log. ProviderError: unreadable, empty, a column missing, a bad date, a date
    outside of what the file's name promises. ProviderUnavailable: changed while it was read.
    """
    lost: Counter[str] = Counter()
    with place.reading(file), _opened(place, file, mapping, span) as (theirs, batches):
        for batch in batches:
            rows = _inside(file, theirs["date"], batch, span, wanted)
            if rows.num_rows:
                yield _typed(rows, lost)
    for ours, count in lost.items():
        log.warning(
            "%d values in the column %r of %s are no finite numbers and became NaN", count, theirs[ours], file.shown
        )


def last_date(place: Place, file: File, mapping: Mapping[str, str], until: date = date.max) -> date:
    """The latest date up to `until` in `file`, from its name or its statistics where they tell; date.min if none is.

    Errors as in `read_rows`.
    """
    one_day = file.named if file.named is not None and file.named[0] == file.named[1] else None
    span = one_day or statistics_span(place, file, mapping)
    if span is not None and span[0] > until:
        return date.min
    if span is not None and span[1] <= until:
        return span[1]
    with place.reading(file), _opened(place, file, mapping, ALWAYS, only=("date",)) as (theirs, batches):
        dates = (days(file.shown, theirs["date"], b.rows.column("date"), b.before) for b in batches)
        return max((_latest(each, until) for each in dates), default=date.min)


def _latest(dates: pa.Array, until: date) -> date:
    latest = pc.max(dates.filter(pc.less_equal(dates, pa.scalar(until)))).as_py()
    return date.min if latest is None else latest


def statistics_span(place: Place, file: File, mapping: Mapping[str, str]) -> Span | None:
    """The first and last day of a Parquet file from its statistics; None where they do not tell for certain."""
    if not _is_parquet(file):
        return None
    with place.reading(file), place.open_file(file) as handle:
        metadata = pq.read_metadata(handle)
        theirs = match(file.shown, _names(metadata.schema.to_arrow_schema().names, file), mapping)
        spans = _group_spans(file, metadata, theirs["date"])
    known = [span for span in spans if span is not None]
    if not known or len(known) < len(spans):
        return None
    return min(first for first, _ in known), max(last for _, last in known)


@contextmanager
def _opened(
    place: Place, file: File, mapping: Mapping[str, str], span: Span, only: Collection[str] = ()
) -> Iterator[tuple[dict[str, str], Iterator[_Batch]]]:
    """Our names with those of the file, and its rows."""
    with place.open_file(file) if _is_parquet(file) else place.open_stream(file) as handle:
        content = pq.read_metadata(handle) if _is_parquet(file) else CsvBlocks(handle)
        header = content.names if isinstance(content, CsvBlocks) else content.schema.to_arrow_schema().names
        theirs = match(file.shown, _names(header, file), mapping)
        named = {ours: name for ours, name in theirs.items() if not only or ours in only}
        inside = {ours: name for ours, name in named.items() if name not in file.keys}
        if isinstance(content, CsvBlocks):
            rows = _csv_rows(file, content, inside)
        else:
            rows = _parquet_rows(handle, file, content, inside, span)
        constant = {ours: file.keys[name] for ours, name in named.items() if name in file.keys}
        if "symbol" not in theirs and not only:
            constant["symbol"] = symbol_of(file.path)
        yield theirs, (_with_constants(batch, constant) for batch in rows)


def _is_parquet(file: File) -> bool:
    return file.path.lower().endswith(".parquet")


def _names(header: list[str], file: File) -> list[str]:
    """The columns inside the file and those of its folders; of two with one name the folder's counts."""
    return [*header, *(key for key in file.keys if key not in header)]


def _csv_rows(file: File, content: CsvBlocks, inside: Mapping[str, str]) -> Iterator[_Batch]:
    before = 0
    for rows in content.rows(list(inside.values())):
        yield _Batch(before, rows.rename_columns(list(inside)))
        before += rows.num_rows
    if before == 0:
        raise _empty(file)


def _parquet_rows(
    handle: Any, file: File, metadata: pq.FileMetaData, inside: Mapping[str, str], span: Span
) -> Iterator[_Batch]:
    """Without the row groups that lie outside of the span for certain."""
    if metadata.num_rows == 0:
        raise _empty(file)
    symbol = inside.get("symbol")
    text = symbol is not None and pa.types.is_string(metadata.schema.to_arrow_schema().field(symbol).type)
    parquet = pq.ParquetFile(handle, metadata=metadata, read_dictionary=[symbol] if text else [], buffer_size=_BUFFER)
    names = list(inside.values())
    before = 0
    spans = _group_spans(file, metadata, inside["date"]) if "date" in inside else [None] * metadata.num_row_groups
    for group, dates in enumerate(spans):
        if dates is None or (dates[0] <= span[1] and dates[1] >= span[0]):
            row = before
            for rows in parquet.iter_batches(_BATCH, row_groups=[group], columns=names):
                yield _Batch(row, rows.select(names).rename_columns(list(inside)))
                row += rows.num_rows
        before += metadata.row_group(group).num_rows


def _group_spans(file: File, metadata: pq.FileMetaData, column: str) -> list[Span | None]:
    """First and last day of each row group; None without statistics, or with a missing date in it."""
    if column in file.keys:
        return [None] * metadata.num_row_groups
    kind = metadata.schema.to_arrow_schema().field(column).type
    if not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        return [None] * metadata.num_row_groups
    index = metadata.schema.names.index(column)
    groups = (metadata.row_group(group).column(index).statistics for group in range(metadata.num_row_groups))
    return [_span_of(file, column, kind, statistics) for statistics in groups]


def _span_of(file: File, column: str, kind: pa.DataType, statistics: pq.Statistics | None) -> Span | None:
    if statistics is None or not statistics.has_min_max or not statistics.has_null_count or statistics.null_count:
        return None
    first, last = days(file.shown, column, pa.array([statistics.min, statistics.max], kind)).to_pylist()
    return first, last


def _empty(file: File) -> ProviderError:
    return ProviderError(f"{file.shown} without a single row", "bars", "Remove the file or fill it")


def _with_constants(batch: _Batch, constant: Mapping[str, str]) -> _Batch:
    """The same rows with columns that have one value in the whole file."""
    rows = batch.rows
    for ours, value in constant.items():
        rows = rows.append_column(ours, pa.repeat(pa.scalar(value), rows.num_rows))
    return _Batch(batch.before, rows)


def _inside(file: File, column: str, batch: _Batch, span: Span, wanted: Collection[str]) -> pa.RecordBatch:
    dates = days(file.shown, column, batch.rows.column("date"), batch.before)
    if file.named is not None:
        _require_named(file, file.named, dates, batch.before)
    keyed = batch.rows.drop_columns(["date", "symbol"])
    rows = keyed.append_column("symbol", symbols(batch.rows.column("symbol"))).append_column("date", dates)
    kept = pc.and_(pc.greater_equal(dates, pa.scalar(span[0])), pc.less_equal(dates, pa.scalar(span[1])))
    if wanted:
        symbol = rows.column("symbol")
        known = pc.is_in(symbol.dictionary, pa.array(sorted(wanted), pa.string()))
        kept = pc.and_(kept, pc.fill_null(known.take(symbol.indices), False))
    return rows if pc.all(kept).as_py() else rows.filter(kept)


def _require_named(file: File, named: Span, dates: pa.Array, before: int) -> None:
    within = pc.and_(pc.greater_equal(dates, pa.scalar(named[0])), pc.less_equal(dates, pa.scalar(named[1])))
    row = within.index(pa.scalar(False)).as_py()
    if row >= 0:
        raise ProviderError(
            f"a bar of {dates[row]} in {file.shown}, row {before + row + 1} below the header",
            f"only bars from {named[0]} to {named[1]}, as its name says",
            "Move the row, or give file and folders names that do not speak of dates",
        )


def _typed(rows: pa.RecordBatch, lost: Counter[str]) -> pa.Table:
    columns = {"symbol": rows.column("symbol"), "date": rows.column("date")}
    for name in rows.schema.names:
        if name not in columns:
            columns[name], count = numbers(rows.column(name))
            if count:
                lost[name] += count
    return pa.table(columns)
