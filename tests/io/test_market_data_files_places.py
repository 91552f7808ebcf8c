"""Where files of bars lie: trees, partitions, object stores, the vendor's flat files; and what names promise."""

from __future__ import annotations

import gzip
import uuid
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import fsspec
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pandas.testing import assert_frame_equal

from ml.errors import ProviderError, SettingsError
from ml.frames import RECEIVED
from ml.io.market_data import Part, Request, provider
from ml.io.market_data.files import Files
from ml.settings import Settings

ALWAYS = Request(date(1990, 1, 1), date(2030, 1, 1))
HEADER = "symbol,date,open,high,low,close,volume\n"
NO_SYMBOL = "date,open,high,low,close,volume\n"
FLAT = "ticker,volume,open,close,high,low,window_start,transactions\n"


def row(symbol: str, day: str, close: float = 11) -> str:
    return f"{symbol},{day},10,12,9,{close},1000\n"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def parts(url: str | Path, request: Request = ALWAYS, columns: dict[str, str] | None = None) -> list[Part]:
    return list(Files(url, columns).deliver(request, ()))


def bars(url: str | Path, request: Request = ALWAYS, columns: dict[str, str] | None = None) -> pd.DataFrame:
    frames = [part.bars for part in parts(url, request, columns)]
    return RECEIVED.check(pd.concat([RECEIVED.empty(), *frames], ignore_index=True))


def keys(frame: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(frame["symbol"], frame["date"].dt.strftime("%Y-%m-%d"), strict=True))


@pytest.fixture
def store() -> Iterator[str]:
    """The URL of an empty folder in an object store in memory."""
    url = f"memory://{uuid.uuid4().hex}"
    yield url
    system, root = fsspec.url_to_fs(url)
    if system.exists(root):
        system.rm(root, recursive=True)


def test_a_tree_of_folders_is_read_by_name(tmp_path: Path) -> None:
    write(tmp_path / "b.csv", HEADER + row("B", "2012-01-03"))
    write(tmp_path / "nyse" / "z.csv.gz", HEADER + row("Z", "2012-01-03"))
    write(tmp_path / "amex" / "deep" / "a.csv", HEADER + row("A", "2012-01-04") + row("A", "2012-01-03"))
    found = keys(bars(tmp_path))
    assert found == [("A", "2012-01-04"), ("A", "2012-01-03"), ("B", "2012-01-03"), ("Z", "2012-01-03")]


def test_hidden_files_and_those_of_other_tools_are_not_bars(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", HEADER + row("A", "2012-01-03"))
    for name in (".tmp/x.csv", "_delta_log/x.parquet", "_SUCCESS", "notes.txt", "a.csv.crc"):
        write(tmp_path / name, "no bars")
    assert keys(bars(tmp_path)) == [("A", "2012-01-03")]


def test_links_are_followed_and_a_link_to_a_parent_does_not_turn_in_circles(tmp_path: Path) -> None:
    real = write(tmp_path / "elsewhere" / "a.csv", HEADER + row("A", "2012-01-03"))
    folder = tmp_path / "bars"
    folder.mkdir()
    (folder / "linked").symlink_to(real.parent, target_is_directory=True)
    (folder / "b.csv").symlink_to(real)
    (folder / "again").symlink_to(folder, target_is_directory=True)
    assert keys(bars(folder)) == [("A", "2012-01-03")] * 2


def test_partitions_that_another_writer_made_are_columns(tmp_path: Path) -> None:
    """Written by Arrow's own partitioned writer, which drops the column from the files."""
    frame = pd.DataFrame({"symbol": ["A/B", "NA", "NA"], "date": pd.to_datetime(["2012-01-03"] * 2 + ["2013-01-03"])})
    frame = frame.assign(open=1.0, high=2.0, low=0.5, close=1.5, volume=7.0)
    table = pa.Table.from_pandas(frame.assign(year=frame["date"].dt.year), preserve_index=False)
    pq.write_to_dataset(table, tmp_path, partition_cols=["year", "symbol"])
    assert keys(bars(tmp_path)) == [("A/B", "2012-01-03"), ("NA", "2012-01-03"), ("NA", "2013-01-03")]


def test_the_symbol_of_a_partition_serves_text_files_and_spares_those_not_asked_for(tmp_path: Path) -> None:
    write(tmp_path / "symbol=AAA" / "1.csv", NO_SYMBOL + "2012-01-03,1,2,1,2,5\n")
    write(tmp_path / "symbol=BBB" / "1.csv", "not read at all")
    only = Request(ALWAYS.start, ALWAYS.end, ("AAA",))
    assert keys(bars(tmp_path, only)) == [("AAA", "2012-01-03")]
    with pytest.raises(ProviderError, match="symbol=BBB"):
        bars(tmp_path)


def test_a_partition_can_be_mapped_and_wins_over_a_column_of_its_name(tmp_path: Path) -> None:
    write(tmp_path / "sec=AAA" / "1.csv", "sec," + NO_SYMBOL + "zzz,2012-01-03,1,2,1,2,5\n")
    assert keys(bars(tmp_path, columns={"symbol": "sec"})) == [("AAA", "2012-01-03")]


def test_the_date_of_a_partition_is_the_date_of_its_rows(tmp_path: Path) -> None:
    for day in ("2012-12-31", "2013-01-02"):
        write(tmp_path / f"date={day}" / "x.csv", "symbol,open,high,low,close,volume\nA,1,2,1,2,5\n")
    assert [part.name for part in parts(tmp_path)] == ["2012", "2013"]
    assert Files(tmp_path).last_session() == date(2013, 1, 2)
    write(tmp_path / "date=soon" / "x.csv", "symbol,open,high,low,close,volume\nA,1,2,1,2,5\n")
    with pytest.raises(ProviderError, match=r"'soon' in the column 'date' of .*date=soon/x.csv, row 1"):
        bars(tmp_path)


@pytest.mark.parametrize("folder", ["year=2014", "year=2014/month=02", "year=2014/month=2/day=3"])
def test_a_row_that_the_folder_does_not_promise_is_an_error(tmp_path: Path, folder: str) -> None:
    write(tmp_path / folder / "x.csv", HEADER + row("A", "2014-02-03") + row("A", "2013-12-31"))
    with pytest.raises(ProviderError, match=r"a bar of 2013-12-31 in .*x\.csv, row 2 below the header; expected only"):
        bars(tmp_path)


def test_folders_that_promise_nothing_readable_are_only_folders(tmp_path: Path) -> None:
    write(tmp_path / "year=all" / "x.csv", HEADER + row("A", "2014-02-03") + row("A", "2013-12-31"))
    assert [part.name for part in parts(tmp_path)] == ["2013", "2014"]


def test_files_that_promise_other_days_are_not_opened(tmp_path: Path) -> None:
    write(tmp_path / "year=2012" / "x.csv", HEADER + row("A", "2012-01-03"))
    for other in ("year=2010", "year=2013"):  # the last days of 2011 may hold the adjusted close before the first
        write(tmp_path / other / "x.csv", "no bars at all")
    asked = Request(date(2012, 1, 1), date(2012, 12, 31))
    assert keys(bars(tmp_path, asked)) == [("A", "2012-01-03")]
    source = Files(tmp_path).deliver(ALWAYS, {"2010", "2013"})
    assert [part.name for part in source] == ["2012"]


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz", "x.parquet"])
def test_an_object_store_gives_the_same_as_a_local_folder(tmp_path: Path, store: str, name: str) -> None:
    frame = pd.DataFrame({"symbol": ["A", "B"], "date": pd.to_datetime(["2012-01-03", "2013-01-03"]).as_unit("us")})
    frame = frame.assign(open=10.0, high=12.0, low=9.0, close=11.0, volume=1000.0)
    local = tmp_path / "deep" / name
    local.parent.mkdir()
    if name.endswith("parquet"):
        pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), local)
    else:
        frame.to_csv(local, index=False)
    with fsspec.open(f"{store}/bars/deep/{name}", "wb") as remote:
        remote.write(local.read_bytes())
    for url in (f"{store}/bars", f"{store}/bars/deep/{name}"):
        assert_frame_equal(bars(url), bars(tmp_path))
        assert Files(url).last_session() == date(2013, 1, 3)
        assert Files(url).source == f"files: {url.replace('memory://', 'memory:///')}"


def test_an_object_store_is_listed_anew_and_says_what_is_missing(store: str) -> None:
    source = Files(f"{store}/bars")
    with pytest.raises(ProviderError, match=r"memory:///.*/bars, which cannot be read"):
        list(source.deliver(ALWAYS, ()))
    for name, symbol in (("a", "A"), ("b", "B")):
        with fsspec.open(f"{store}/bars/{name}.csv", "wb") as remote:
            remote.write((HEADER + row(symbol, "2012-01-03")).encode())
    assert keys(bars(f"{store}/bars")) == [("A", "2012-01-03"), ("B", "2012-01-03")]


def test_a_store_without_its_package_is_a_settings_error_that_names_the_package() -> None:
    for path, package in (("s3://bucket/bars", "s3fs"), ("gs://bucket/bars", "gcsfs"), ("abfs://box/bars", "adlfs")):
        if not _installed(package):
            told = rf"{path} in AFTERBELL_FILES_PATH.*[Ii]nstall {package} to access .*docs/market-data-files\.md"
            with pytest.raises(SettingsError, match=told):
                provider(Settings(provider="files", files_path=path))
    with pytest.raises(SettingsError, match="AFTERBELL_FILES_REFERENCE"):
        Files("memory://x", reference="nostore://bucket/x.csv")


def _installed(package: str) -> bool:
    try:
        __import__(package)
    except ImportError:
        return False
    return True


def test_no_key_of_a_url_is_ever_shown() -> None:
    with pytest.raises(SettingsError) as refused:
        Files("nostore://user:secret@bucket/bars")
    assert "secret" not in str(refused.value)
    source = Files("https://user:secret@127.0.0.1:9/bars.csv?signature=abc").source
    assert source == "files: https://127.0.0.1:9/bars.csv"


def _flat(day: str, *rows: tuple[str, float], hour: str = "00:00") -> str:
    start = pd.Timestamp(f"{day} {hour}", tz="America/New_York").value
    return FLAT + "".join(f"{symbol},1000,10,{close},12,9,{start},77\n" for symbol, close in rows)


def test_the_vendors_flat_files_are_recognised_by_their_columns(tmp_path: Path) -> None:
    """Sessions of winter and summer time, and around the nights on which the clock changes."""
    days = ("2013-12-31", "2014-01-02", "2014-03-07", "2014-03-10", "2014-07-01", "2014-10-31", "2014-11-03")
    for day in days:
        year, month, _ = day.split("-")
        write(tmp_path / year / month / f"{day}.csv.gz", _flat(day, ("NA", 11.0), ("BRK.B", 11.5)))
    delivered = parts(tmp_path)
    assert [part.name for part in delivered] == ["2013", "2014"]
    assert keys(delivered[1].bars) == [(symbol, day) for day in days[1:] for symbol in ("NA", "BRK.B")]
    assert delivered[0].bars.iloc[1, 2:].tolist() == [10.0, 12.0, 9.0, 11.5, 1000.0]
    assert Files(tmp_path).last_session() == date(2014, 11, 3)


def test_only_the_flat_files_of_the_days_asked_for_are_opened(tmp_path: Path) -> None:
    write(tmp_path / "2014" / "01" / "2014-01-02.csv.gz", _flat("2014-01-02", ("A", 11)))
    (tmp_path / "2014" / "01" / "2014-01-03.csv.gz").write_bytes(b"not even gzip")
    day = date(2014, 1, 2)
    assert keys(bars(tmp_path, Request(day, day))) == [("A", "2014-01-02")]
    assert Files(tmp_path).last_session() == date(2014, 1, 3)


def test_a_flat_file_in_one_folder_or_under_another_name_is_read_by_its_content(tmp_path: Path) -> None:
    write(tmp_path / "all.csv", _flat("2014-01-02", ("A", 11)) + _flat("2015-07-06", ("A", 12)).removeprefix(FLAT))
    assert keys(bars(tmp_path)) == [("A", "2014-01-02"), ("A", "2015-07-06")]
    assert Files(tmp_path).last_session() == date(2015, 7, 6)


def test_a_flat_file_of_another_day_than_its_name_is_an_error(tmp_path: Path) -> None:
    write(tmp_path / "2014" / "01" / "2014-01-03.csv.gz", _flat("2014-01-02", ("A", 11)))
    with pytest.raises(ProviderError, match=r"a bar of 2014-01-02 in .*2014-01-03\.csv\.gz, row 1"):
        bars(tmp_path)


def test_flat_files_of_minutes_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "minutes.csv.gz", _flat("2014-01-02", ("A", 11), hour="09:31"))
    for use in (lambda: bars(tmp_path), lambda: Files(tmp_path).last_session()):
        with pytest.raises(ProviderError, match=r"starts at 2014-01-02 09:31:00.*day_aggs"):
            use()


@pytest.mark.parametrize("bad", ["", "soon", "1388638800"])
def test_a_window_that_is_no_instant_is_an_error(tmp_path: Path, bad: str) -> None:
    write(tmp_path / "x.csv", f"{FLAT}A,1000,10,11,12,9,{bad},77\n")
    with pytest.raises(ProviderError, match=r"in the column 'window_start' of .*x\.csv, row 1 below the header"):
        bars(tmp_path)
