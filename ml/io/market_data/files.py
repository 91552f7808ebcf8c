"""Bars from CSV, CSV.gz or Parquet files in long form: one row per symbol and session."""

from __future__ import annotations

import logging
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pyarrow as pa

from ml.errors import ProviderError, SettingsError
from ml.frames import ACTIONS, RECEIVED
from ml.io.market_data.by_year import ByYear
from ml.io.market_data.file_columns import COLUMNS, NO_ACTION
from ml.io.market_data.file_names import Span
from ml.io.market_data.file_place import File, Place
from ml.io.market_data.file_reference import read_reference
from ml.io.market_data.long_form import last_date, read_rows, statistics_span
from ml.io.market_data.received import ADJ_CLOSE, Part, Request, tidy_actions
from ml.settings import Settings

log = logging.getLogger(__name__)

REFERENCE_PART = "reference"
STRAYS_PART = "strays"
LEAD = timedelta(days=10)
"""How far before a request to look for the adjusted close of the bar before its first: longer than any closure."""


class Files:
    """A file, or the files of a folder and its sub-folders, local or in an object store; listed anew at every call."""

    name = "files"

    def __init__(
        self, url: str | Path, columns: Mapping[str, str] | None = None, reference: str | Path | None = None
    ) -> None:
        """`columns` maps our column names to those of the files, where they are not found by themselves.

        `reference` is a file of who was behind a ticker, see `read_reference`.
        """
        self._place = Place(str(url), "AFTERBELL_FILES_PATH")
        self._reference = None if reference is None else Place(str(reference), "AFTERBELL_FILES_REFERENCE")
        self._columns = dict(columns or {})
        if set(self._columns) - set(COLUMNS) or len(set(self._columns.values())) < len(self._columns):
            raise SettingsError(
                f"{self._columns} in AFTERBELL_FILES_COLUMNS",
                f"keys among {', '.join(COLUMNS)}, each with a column of its own",
                'Write our name first: AFTERBELL_FILES_COLUMNS={"close": "their name"}',
            )

    @classmethod
    def from_settings(cls, settings: Settings) -> Files:
        """The source named by AFTERBELL_FILES_PATH; SettingsError when there is none."""
        if settings.files_path is None:
            raise SettingsError(
                "the provider `files` without AFTERBELL_FILES_PATH",
                "a folder of CSV or Parquet files, or one such file; a local path or a URL",
                "Set AFTERBELL_FILES_PATH",
            )
        return cls(settings.files_path, settings.files_columns, settings.files_reference)

    @property
    def source(self) -> str:
        """The URL without a key, or a local path's last component."""
        return f"files: {self._place.name}"

    def last_session(self, until: date = date.max) -> date:
        """The latest date in any file up to `until`; only files whose names and statistics leave it open are read."""
        latest = date.min
        for file in sorted(self._files(), key=_named_end, reverse=True):
            if min(_named_end(file), until) <= latest:
                break
            latest = max(latest, last_date(self._place, file, self._columns, until))
        if latest == date.min:
            raise ProviderError(f"no bar up to {until} in {self.source}", "at least one", "Check AFTERBELL_FILES_PATH")
        return latest

    def deliver(self, request: Request, have: Container[str]) -> Iterator[Part]:
        """As Provider.deliver: the part "reference" where there is one, then one part a calendar year ("2012"), then
        "strays".

        Each file is read once and in batches; years that cannot be told apart beforehand are spread over temporary
        files. Prices that do not read as numbers are NaN, and are counted in the log. Adjusted closes are delivered
        from LEAD before the request on. ProviderUnavailable when a file was changed while it was read.
        """
        if self._reference is not None and REFERENCE_PART not in have:
            yield Part(REFERENCE_PART, RECEIVED.empty(), reference=read_reference(self._reference))
        asked = range(_since(request).year, request.end.year + 1)
        years = [year for year in asked if str(year) not in have]
        absent = set(request.symbols)
        for group, files in self._groups(request, years):
            for part in self._parts(request, group, files):
                absent -= set(part.bars["symbol"]) if absent else set()
                yield part
        if request.strays_after is not None and STRAYS_PART not in have:
            yield from self._strays(request, request.strays_after + timedelta(days=1))
        if absent and len(years) == len(asked):
            log.warning("no rows in this span for %s of AFTERBELL_SYMBOLS", ", ".join(sorted(absent)))

    def _files(self) -> list[File]:
        return self._place.files(without=self._reference)

    def _parts(self, request: Request, years: Sequence[int], files: Sequence[File]) -> Iterator[Part]:
        span = max(_since(request), date(years[0], 1, 1)), min(request.end, date(years[-1], 12, 31))
        with closing(ByYear(years)) as rows:
            for file in files:
                for some in read_rows(self._place, file, self._columns, span, request.symbols):
                    rows.add(some)
            for year in rows.years():
                part = _part(str(year), rows.take(year), request.start)
                if len(part.bars) or part.adj_close is not None:
                    yield part

    def _strays(self, request: Request, first: date) -> Iterator[Part]:
        """The rows from `first` on, as one part without actions; they are mistakes and so few."""
        rows = [
            some.select(list(RECEIVED.columns))
            for file in self._files()
            if _named_end(file) >= first
            for some in read_rows(self._place, file, self._columns, (first, date.max), request.symbols)
        ]
        if rows:
            yield _part(STRAYS_PART, pa.concat_tables(rows), first)

    def _groups(self, request: Request, years: Sequence[int]) -> Iterator[tuple[list[int], list[File]]]:
        """Years that must be read together because a file may hold rows of several, with their files."""
        wanted = [(file, self._years_in(file, request, years)) for file in self._files()]
        linked = {pair for _, held in wanted for pair in pairwise(held)}
        group: list[int] = []
        for year, following in pairwise([*years, date.max.year + 1]):
            group.append(year)
            if (year, following) not in linked:
                yield group, [file for file, held in wanted if not set(group).isdisjoint(held)]
                group = []

    def _years_in(self, file: File, request: Request, years: Sequence[int]) -> list[int]:
        """Those of `years` of which the file may hold rows that were asked for."""
        key = file.keys.get(self._columns.get("symbol", "symbol"))
        if request.symbols and key is not None and key not in request.symbols:
            return []
        span: Span | None = file.named or statistics_span(self._place, file, self._columns)
        if span is None:
            return list(years)
        first, last = max(span[0], _since(request)), min(span[1], request.end)
        return [year for year in years if first <= last and first.year <= year <= last.year]


def _since(request: Request) -> date:
    return max(request.start, date.min + LEAD) - LEAD


def _named_end(file: File) -> date:
    return date.max if file.named is None else file.named[1]


def _part(name: str, rows: pa.Table, start: date) -> Part:
    """A year's rows; of those before `start` only the adjusted closes."""
    frame = pd.DataFrame(
        {
            "symbol": rows["symbol"].cast(pa.large_string()).to_pandas().astype("str"),
            "date": rows["date"].cast(pa.timestamp("us")).to_pandas(),
            **{column: rows[column].to_pandas() for column in rows.column_names if column not in ("symbol", "date")},
        }
    )
    before = frame["date"] < pd.Timestamp(start)
    own = frame[~before] if before.any() else frame
    return Part(
        name,
        bars=RECEIVED.cast(own),
        actions=_actions(own),
        adj_close=ADJ_CLOSE.cast(frame) if "adj_close" in frame else None,
    )


def _actions(rows: pd.DataFrame) -> pd.DataFrame | None:
    """Splits and dividends written beside the bars; None when there are no such columns.

    A bar that comes twice brings its action once: the last word counts.
    """
    kinds = [kind for kind in NO_ACTION if kind in rows]
    if not kinds:
        return None
    found = pd.concat([ACTIONS.empty(), *(_of_kind(rows, kind) for kind in kinds)], ignore_index=True)
    return tidy_actions(found.drop_duplicates(list(ACTIONS.key), keep="last"))


def _of_kind(rows: pd.DataFrame, kind: str) -> pd.DataFrame:
    value = rows[kind]
    negative = int((value < 0).sum())
    if negative:
        log.warning("%d negative values in the column %s were ignored", negative, kind)
    real = (value > 0) & (value != NO_ACTION[kind]) & rows["symbol"].notna()
    return pd.DataFrame(
        {"symbol": rows["symbol"][real], "ex_date": rows["date"][real], "kind": kind, "value": value[real]}
    )
