"""Files of bars for tests, and how they are read back."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ml.frames import RECEIVED
from ml.io.market_data import Part, Request
from ml.io.market_data.files import Files

ALWAYS = Request(date(1990, 1, 1), date(2030, 1, 1))
HEADER = "symbol,date,open,high,low,close,volume"
AAA = "AAA,2012-01-03,10,12,9,11,1000\nAAA,2012-01-04,11,13,10,12,2000\n"
BBB = "BBB,2012-01-03,20,22,19,21.5,3000\n"


def expected() -> pd.DataFrame:
    """What HEADER + AAA + BBB say, written out by hand."""
    return pd.DataFrame(
        {
            "symbol": pd.Series(["AAA", "AAA", "BBB"], dtype="str"),
            "date": pd.to_datetime(["2012-01-03", "2012-01-04", "2012-01-03"]).as_unit("us"),
            "open": [10.0, 11.0, 20.0],
            "high": [12.0, 13.0, 22.0],
            "low": [9.0, 10.0, 19.0],
            "close": [11.0, 12.0, 21.5],
            "volume": [1000.0, 2000.0, 3000.0],
        }
    )


def write(folder: Path, text: str, name: str = "bars.csv") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def bars_of(source: Files, request: Request = ALWAYS) -> pd.DataFrame:
    """The bars of all parts, one below the other."""
    bars = [part.bars for part in source.deliver(request, ())]
    return RECEIVED.check(pd.concat([RECEIVED.empty(), *bars], ignore_index=True))


def read(path: Path, columns: dict[str, str] | None = None, symbols: tuple[str, ...] = ()) -> Part:
    """The only part of files whose bars are all of one year."""
    [part] = Files(path, columns).deliver(Request(ALWAYS.start, ALWAYS.end, symbols), ())
    RECEIVED.check(part.bars)
    return part


def to_parquet(path: Path, frame: pd.DataFrame) -> None:
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path)
