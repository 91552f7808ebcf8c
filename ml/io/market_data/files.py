"""Bars from a folder of CSV, CSV.gz or Parquet files in long form: one row per symbol and session."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from ml.errors import ProviderError, SettingsError
from ml.frames import ACTIONS, RECEIVED
from ml.io.market_data.long_form import COLUMNS, SUFFIXES, last_date, read_rows, symbol_of, unreadable
from ml.io.market_data.received import ADJ_CLOSE, Received, tidy_actions
from ml.settings import Settings

log = logging.getLogger(__name__)

_NO_ACTION = {"dividend": 0.0, "split": 1.0}


class Files:
    """A file, or the files of a folder (not of its sub-folders), read anew at every call."""

    name = "files"

    def __init__(self, path: Path, columns: Mapping[str, str] | None = None) -> None:
        """`columns` maps our column names to those of the files, where they are not found by themselves."""
        self._path = path
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
                "a folder of CSV or Parquet files, or one such file",
                "Set AFTERBELL_FILES_PATH",
            )
        return cls(settings.files_path, settings.files_columns)

    def last_session(self) -> date:
        """The latest date in any file."""
        return max(last_date(file, self._columns) for file in self._found())

    def fetch(self, start: date, end: date, symbols: tuple[str, ...]) -> Received:
        """As Provider.fetch. Prices that do not read as numbers are NaN, and are counted in the log."""
        files = self._found()
        rows = pd.concat([read_rows(file, self._columns, start, end) for file in files], ignore_index=True)
        if symbols:
            rows = _only(rows, symbols)
        actions = _actions(rows)
        return Received(
            bars=RECEIVED.cast(rows),
            actions=actions,
            adj_close=ADJ_CLOSE.cast(rows) if actions is None and "adj_close" in rows else None,
            source=f"files: {self._path.name}, {len(files)} file{'s' if len(files) > 1 else ''}",
        )

    def _found(self) -> list[Path]:
        """The files, sorted by name, so that the order of rows is the same every night."""
        if self._path.is_file():
            return [self._path]
        try:
            files = sorted(file for file in self._path.iterdir() if symbol_of(file) is not None and file.is_file())
        except OSError as error:
            raise unreadable(self._path, error) from error
        if not files:
            raise ProviderError(
                f"no bars in {self._path}",
                f"files ending in {', '.join(SUFFIXES)} in that folder itself",
                "Put files there or correct AFTERBELL_FILES_PATH",
            )
        return files


def _only(rows: pd.DataFrame, symbols: tuple[str, ...]) -> pd.DataFrame:
    absent = sorted(set(symbols) - set(rows["symbol"].unique()))
    if absent:
        log.warning("no rows in this span for %s of AFTERBELL_SYMBOLS", ", ".join(absent))
    return rows[rows["symbol"].isin(symbols)].reset_index(drop=True)


def _actions(rows: pd.DataFrame) -> pd.DataFrame | None:
    """Splits and dividends written beside the bars; None when there are no such columns.

    A bar that comes twice brings its action once: the last word counts.
    """
    kinds = [kind for kind in _NO_ACTION if kind in rows]
    if not kinds:
        return None
    found = pd.concat([ACTIONS.empty(), *(_of_kind(rows, kind) for kind in kinds)], ignore_index=True)
    return tidy_actions(found.drop_duplicates(list(ACTIONS.key), keep="last"))


def _of_kind(rows: pd.DataFrame, kind: str) -> pd.DataFrame:
    value = rows[kind]
    negative = int((value < 0).sum())
    if negative:
        log.warning("%d negative values in the column %s were ignored", negative, kind)
    real = np.isfinite(value) & (value > 0) & (value != _NO_ACTION[kind]) & rows["symbol"].notna()
    return pd.DataFrame(
        {"symbol": rows["symbol"][real], "ex_date": rows["date"][real], "kind": kind, "value": value[real]}
    )
