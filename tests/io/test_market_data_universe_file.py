from __future__ import annotations

from pathlib import Path

import fsspec
import pandas as pd
import pytest

from ml.errors import ProviderError, SettingsError
from ml.frames import MEMBERS
from ml.io.market_data.universe_file import read_universe

TEXT = "symbol,from,to\nIBM,,\nAAPL,2015-01-02,\nAAPL,2001-01-02,2010-06-01\nBRK.B,,2012-01-31\n"
ROWS = [
    ("AAPL", "2001-01-02", "2010-06-01"),
    ("AAPL", "2015-01-02", ""),
    ("BRK.B", "", "2012-01-31"),
    ("IBM", "", ""),
]


def shown(members: pd.DataFrame) -> list[tuple[str, ...]]:
    MEMBERS.check(members)
    return [
        (symbol, *("" if pd.isna(day) else str(day.date()) for day in days)) for symbol, *days in members.to_numpy()
    ]


def written(folder: Path, text: str, name: str = "universe.csv") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def test_members_are_read_from_csv_parquet_and_a_store(tmp_path: Path) -> None:
    assert shown(read_universe(written(tmp_path, TEXT))) == ROWS
    frame = pd.read_csv(tmp_path / "universe.csv", parse_dates=["from", "to"])
    frame.rename(columns=str.title).to_parquet(tmp_path / "universe.parquet")
    assert shown(read_universe(str(tmp_path / "universe.parquet"))) == ROWS
    frame.to_csv(tmp_path / "universe.csv.gz", index=False)
    assert shown(read_universe(str(tmp_path / "universe.csv.gz"))) == ROWS
    with fsspec.open("memory://universe/members.csv", "w") as file:
        file.write(TEXT)
    assert shown(read_universe("memory://universe/members.csv")) == ROWS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("symbol,from\nA,2001-01-02\n", "columns symbol, from and to"),
        ("symbol,from,to\n", "at least one row"),
        ("symbol,from,to\n,2001-01-02,\n", "without a symbol in row 1"),
        ("symbol,from,to\nA,2001-01-02,soon\n", "'soon' in the column 'to' .* row 1"),
        ("symbol,from,to\nA,2010-01-02,2001-01-02\n", "A from 2010-01-02 to 2001-01-02"),
        ("symbol,from,to\nA,,2010-01-02\nA,2010-01-01,\n", "A from 2010-01-01 to open"),
        ("symbol,from,to\nA,,\nA,,\n", "A from open to open"),
    ],
)
def test_a_file_that_cannot_be_believed_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ProviderError, match=message):
        read_universe(written(tmp_path, text))


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProviderError, match=r"nothing\.csv"):
        read_universe(str(tmp_path / "nothing.csv"))
    with pytest.raises(ProviderError, match="cannot be read"):
        read_universe(written(tmp_path, "PAR1 no parquet", "universe.parquet"))
    with pytest.raises(SettingsError, match="AFTERBELL_UNIVERSE_PATH"):
        read_universe("nosuchstore://bucket/universe.csv")
