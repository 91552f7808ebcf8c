"""Rows of bars sorted into calendar years while they stream by, in bounded memory."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

IN_MEMORY = 3_000_000
"""Rows, of some 60 bytes each, that are held before they are written to temporary files."""


class ByYear:
    """Takes rows in any order of dates and gives them back year by year, within a year as they came.

    Beyond IN_MEMORY rows, what was taken so far moves into Parquet files in a temporary folder, until `close`.
    """

    def __init__(self, years: Collection[int]) -> None:
        self._wanted = list(years)
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._held: defaultdict[int, list[pa.Table]] = defaultdict(list)
        self._written: defaultdict[int, list[Path]] = defaultdict(list)
        self._rows = 0

    def add(self, rows: pa.Table) -> None:
        """Rows with a column `date`; those of years not wanted are forgotten."""
        years = pc.year(rows["date"]).to_numpy().astype(np.int16)
        wanted = np.isin(years, self._wanted)
        if not wanted.all():
            rows, years = rows.filter(pa.array(wanted)), years[wanted]
        if (years != years[:1]).any():
            order = np.argsort(years, kind="stable")
            rows, years = rows.take(pa.array(order)), years[order]
        present, starts, counts = np.unique(years, return_index=True, return_counts=True)
        for year, start, count in zip(present.tolist(), starts, counts, strict=True):
            self._held[year].append(rows.slice(start, count))
        self._rows += len(years)
        if self._rows > IN_MEMORY:
            self._write()

    def years(self) -> list[int]:
        """The years that have rows, ascending."""
        return sorted({*self._held, *self._written})

    def take(self, year: int) -> pa.Table:
        """All rows of one of `years`, which are then forgotten."""
        files, held = self._written.pop(year, []), self._held.pop(year, [])
        tables = [pq.read_table(file, read_dictionary=["symbol"], partitioning=None) for file in files] + held
        for file in files:
            file.unlink()
        return pa.concat_tables(tables, promote_options="default")

    def close(self) -> None:
        """Remove the temporary folder."""
        if self._folder is not None:
            self._folder.cleanup()

    def _write(self) -> None:
        self._folder = self._folder or tempfile.TemporaryDirectory(prefix="afterbell-files-")
        for year, tables in self._held.items():
            file = Path(self._folder.name) / f"{year}-{len(self._written[year])}.parquet"
            whole = pa.concat_tables(tables, promote_options="default").unify_dictionaries()
            pq.write_table(whole, file, compression="lz4", use_dictionary=["symbol"], write_statistics=False)
            self._written[year].append(file)
        self._held.clear()
        self._rows = 0
