"""Every way in which files of bars are wrong, and what is said of it."""

from __future__ import annotations

import gzip
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from ml.errors import ProviderError, SettingsError
from ml.frames import RECEIVED
from ml.io.market_data import Request, provider
from ml.io.market_data.files import Files
from ml.settings import Settings
from tests.io.bar_files import AAA, ALWAYS, HEADER, expected, read, to_parquet, write


def test_no_path_and_a_wrong_mapping_are_settings_errors(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="AFTERBELL_FILES_PATH"):
        provider(Settings(provider="files", files_path=None))
    for mapping in ({"clse": "Close"}, {"close": "x", "open": "x"}):
        with pytest.raises(SettingsError, match="AFTERBELL_FILES_COLUMNS"):
            Files(tmp_path, mapping)


def test_a_path_that_does_not_exist_and_a_folder_without_bars_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ProviderError, match=r"nowhere.*AFTERBELL_FILES_PATH"):
        read(tmp_path / "nowhere")
    write(tmp_path, "not bars", "README.md")
    write(tmp_path, f"{HEADER}\n{AAA}", ".hidden.csv")
    write(tmp_path / "empty", "", "_SUCCESS")
    for use in (lambda: read(tmp_path), lambda: Files(tmp_path).last_session()):
        with pytest.raises(ProviderError, match=r"no bars in .*\.csv, \.csv\.gz, \.parquet"):
            use()


@pytest.mark.parametrize("text", ["", f"{HEADER}\n"])
def test_an_empty_file_is_an_error_that_names_it(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, text, "empty.csv")
    for use in (lambda: read(path), lambda: Files(path).last_session()):
        with pytest.raises(ProviderError, match=r"empty\.csv"):
            use()


def test_an_empty_parquet_file_is_an_error_and_one_without_rows_in_the_span_is_not(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    to_parquet(path, expected())
    assert list(Files(path).deliver(Request(date(2020, 1, 1), ALWAYS.end), ())) == []
    to_parquet(path, RECEIVED.empty())
    with pytest.raises(ProviderError, match="without a single row"):
        read(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("broken.parquet", b"PAR1 this is no parquet PAR1"),
        ("broken.csv.gz", gzip.compress(f"{HEADER}\n{AAA * 10_000}".encode(), mtime=0)[:200]),
        ("broken.csv.gz", b"no gzip at all"),
        ("broken.csv", b"symbol,date,open,high,low,close,volume\nA\xff\xfe,2012-01-03,1,1,1,1,1\n"),
        ("broken.csv", f"{HEADER}\nAAA,2012-01-03,1\n".encode()),
    ],
)
def test_an_unreadable_file_is_an_error_that_names_it(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    write(tmp_path, f"{HEADER}\n{AAA}", "good.csv")
    with pytest.raises(ProviderError, match=name):
        read(tmp_path)


def test_a_truncated_parquet_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "cut.parquet"
    to_parquet(path, expected())
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ProviderError, match=r"cut\.parquet"):
        read(path)


def test_a_missing_column_is_an_error_with_the_columns_found_and_how_to_map(tmp_path: Path) -> None:
    path = write(tmp_path, "symbol,date,open,high,low,last,volume\n")
    with pytest.raises(ProviderError) as caught:
        read(path)
    assert "bars.csv" in caught.value.found
    assert "'last'" in caught.value.found
    assert caught.value.found.endswith("without close")
    assert caught.value.todo.endswith('AFTERBELL_FILES_COLUMNS={"close": "their name"}')


def test_a_mapped_column_that_is_not_there_is_an_error_even_when_it_is_optional(tmp_path: Path) -> None:
    path = write(tmp_path, f"{HEADER}\n{AAA}")
    with pytest.raises(ProviderError, match="without split"):
        read(path, {"split": "factor"})


def test_two_columns_that_could_be_the_same_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ProviderError, match=r"\['close', 'Close'\], any of which could be 'close'"):
        read(write(tmp_path, f"{HEADER},Close\n"))


@pytest.mark.parametrize("bad", ["soon", "", "03/01/2012", "2012-13-01", "2012-02-30", "1325548800"])
def test_a_date_that_does_not_read_as_one_is_an_error_that_names_file_row_and_value(tmp_path: Path, bad: str) -> None:
    path = write(tmp_path, f"{HEADER}\n{AAA}AAA,{bad},1,1,1,1,1\n")
    for use in (lambda: read(path), lambda: Files(path).last_session()):
        with pytest.raises(ProviderError, match=r"bars\.csv, row 3 below the header") as caught:
            use()
        assert repr(bad) in caught.value.found


def test_a_missing_date_in_parquet_is_found_though_rows_are_filtered(tmp_path: Path) -> None:
    frame = expected()
    frame.loc[1, "date"] = pd.NaT
    to_parquet(tmp_path / "x.parquet", frame)
    with pytest.raises(ProviderError, match="row 2 below the header"):
        list(Files(tmp_path).deliver(Request(date(2020, 1, 1), ALWAYS.end), ()))
