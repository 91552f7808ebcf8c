"""The table of who was behind a ticker, beside files of bars."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pandas.testing import assert_frame_equal

from ml.errors import ProviderError, ProviderUnavailable
from ml.frames import RECEIVED, REFERENCE
from ml.io.market_data import Request, provider
from ml.io.market_data.files import Files
from ml.settings import Settings

ALWAYS = Request(date(1990, 1, 1), date(2030, 1, 1))
BARS = "symbol,date,open,high,low,close,volume\nFB,2012-06-05,1,1,1,1,1\n"
TABLE = "Instrument,symbol,Valid From,valid_to,name\n1,FB,,2022-06-09,Facebook\n1,META,2022-06-09,,\n2,NA,,,National\n"


@pytest.fixture
def bars(tmp_path: Path) -> Path:
    (tmp_path / "bars.csv").write_text(BARS)
    return tmp_path


def read(bars: Path, text: str) -> pd.DataFrame:
    path = bars / "reference.csv"
    path.write_text(text)
    part = next(iter(Files(bars, reference=path).deliver(ALWAYS, ())))
    assert part.reference is not None
    return part.reference


def expected() -> pd.DataFrame:
    """What TABLE says, written out by hand."""
    rows = [("1", "FB", None, "2022-06-09", "Facebook"), ("1", "META", "2022-06-09", None, None)]
    columns = ["instrument", "symbol", "valid_from", "valid_to", "name"]
    frame = pd.DataFrame([*rows, ("2", "NA", None, None, "National")], columns=columns)
    return REFERENCE.cast(frame.reindex(columns=list(REFERENCE.columns)))


def test_the_reference_is_a_part_of_its_own_and_no_file_of_bars(bars: Path) -> None:
    (bars / "reference.csv").write_text(TABLE)
    config = Settings(provider="files", files_path=str(bars), files_reference=str(bars / "reference.csv"))
    first, second = provider(config).deliver(ALWAYS, ())
    assert (first.name, second.name) == ("reference", "2012")
    assert first.bars.empty
    assert RECEIVED.check(first.bars) is first.bars
    assert first.reference is not None
    assert_frame_equal(REFERENCE.check(first.reference), expected())
    assert second.reference is None
    assert [part.name for part in provider(config).deliver(ALWAYS, {"reference"})] == ["2012"]


def test_parquet_with_types_of_its_own_reads_the_same(bars: Path) -> None:
    table = pa.Table.from_pandas(expected(), preserve_index=False)
    typed = table.set_column(2, "valid_from", table["valid_from"].cast(pa.date32()))
    typed = typed.set_column(0, "instrument", pa.array([1, 1, 2]))
    pq.write_table(typed, bars / "reference.parquet")
    part = next(iter(Files(bars, reference=bars / "reference.parquet").deliver(ALWAYS, ())))
    assert part.reference is not None
    assert_frame_equal(part.reference, expected())


def test_symbol_and_instrument_are_enough(bars: Path) -> None:
    reference = read(bars, "symbol,instrument\nFB,1\n")
    assert reference[["symbol", "instrument"]].to_numpy().tolist() == [["FB", "1"]]
    assert reference.drop(columns=["symbol", "instrument"]).isna().to_numpy().all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("symbol\nFB\n", "add instrument"),
        ("symbol,instrument,colour\nFB,1,red\n", "remove colour"),
        ("symbol,instrument,Symbol\nFB,1,FB\n", "name each column once"),
        ("symbol,instrument,symbol\nFB,1,FB\n", "name each column once"),
        ("symbol,instrument\nFB,1\n,2\n", "without symbol in row 2"),
        ("symbol,instrument\nFB, \n", "without instrument in row 1"),
        ("symbol,instrument,valid_from\nFB,1,soon\n", r"'soon' in the column 'valid_from' of .*, row 1 below"),
        ("symbol,instrument,listed\nFB,1,\nGM,2,31.12.2001\n", r"'31\.12\.2001' in the column 'listed' of .*, row 2"),
        ("symbol,instrument\nFB,1\nGM,2\nFB,3\n", r"FB twice: 1 \[always, still\) and 3 \[always, still\)"),
        ("symbol,instrument\nFB,1\nFB,1\n", "FB twice"),
        ("symbol,instrument,valid_from,valid_to\nT,1,2001-01-01,2002-01-02\nT,2,2002-01-01,\n", r"T twice: 1 \[2001"),
        ("symbol,instrument,valid_from,valid_to\nT,1,2001-01-01,\nT,2,2002-01-01,\n", r"2001-01-01, still\) and 2"),
        ("symbol,instrument,valid_from,valid_to\nT,2,2002-01-01,\nT,1,,2003-01-01\n", r"T twice: 1 \[always"),
        ("symbol,instrument,valid_from,valid_to\nT,1,2001-01-01,2001-01-01\n", "valid_from before valid_to"),
        ("", r"reference\.csv, which cannot be read"),
        ("symbol,instrument\nFB\n", r"reference\.csv, which cannot be read"),
    ],
)
def test_a_wrong_table_is_an_error_that_says_what_to_correct(bars: Path, text: str, message: str) -> None:
    with pytest.raises(ProviderError, match=message) as caught:
        read(bars, text)
    assert not isinstance(caught.value, ProviderUnavailable)
    assert "reference.csv" in caught.value.found


def test_a_ticker_may_pass_from_one_owner_to_the_next_on_one_day(bars: Path) -> None:
    table = "symbol,instrument,valid_from,valid_to\nT,2,2002-01-01,\nT,1,,2002-01-01\nU,1,2002-01-01,\n"
    assert read(bars, table)["instrument"].tolist() == ["2", "1", "1"]


def test_a_reference_that_is_not_there_is_an_error_that_names_the_setting(bars: Path) -> None:
    with pytest.raises(ProviderError, match=r"nowhere\.csv.*AFTERBELL_FILES_REFERENCE"):
        list(Files(bars, reference=bars / "nowhere.csv").deliver(ALWAYS, ()))
