"""Deliveries of files in parts: years, what is there already, bounded memory, and files that change meanwhile."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date
from pathlib import Path

import fsspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from ml.errors import ProviderError, ProviderUnavailable
from ml.frames import ACTIONS, RECEIVED
from ml.io.market_data import Part, Request, by_year, csv_blocks, long_form
from ml.io.market_data.by_year import ByYear
from ml.io.market_data.file_place import Place
from ml.io.market_data.files import Files
from ml.io.market_data.long_form import read_rows

ALWAYS = Request(date(1990, 1, 1), date(2030, 1, 1))
HEADER = "symbol,date,open,high,low,close,volume\n"


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go during the test."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "bars"
    path.mkdir()
    return path


def panel(years: range, symbols: int = 3) -> pd.DataFrame:
    """A bar a month and symbol, each with a close of its own, sorted by symbol as most files are."""
    days = [pd.Timestamp(year, month, 5) for year in years for month in range(1, 13)]
    index = pd.MultiIndex.from_product([[f"S{n}" for n in range(symbols)], days], names=["symbol", "date"])
    frame = index.to_frame(index=False).astype({"symbol": "str", "date": "datetime64[us]"})
    return pd.DataFrame(frame).assign(open=1.0, high=9e9, low=0.5, close=np.arange(len(frame), dtype=float), volume=7.0)


def to_parquet(path: Path, frame: pd.DataFrame, row_group_size: int | None = None) -> None:
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path, row_group_size=row_group_size)


def names(source: Files, have: set[str] | None = None) -> list[str]:
    return [part.name for part in source.deliver(ALWAYS, have or set())]


def of_year(frame: pd.DataFrame, year: str) -> pd.DataFrame:
    return pd.DataFrame(frame[frame["date"].dt.year == int(year)]).reset_index(drop=True)


def test_a_part_is_a_calendar_year_of_all_files_in_the_files_order(folder: Path) -> None:
    whole = panel(range(2010, 2014))
    to_parquet(folder / "b.parquet", whole)
    whole.iloc[::-1].to_csv(folder / "a.csv", index=False)
    both = pd.concat([whole.iloc[::-1], whole], ignore_index=True)
    delivered = list(Files(folder).deliver(ALWAYS, ()))
    assert [part.name for part in delivered] == ["2010", "2011", "2012", "2013"]
    for part in delivered:
        assert_frame_equal(RECEIVED.check(part.bars), of_year(both, part.name))


def test_parts_that_are_there_already_are_not_given_again(folder: Path) -> None:
    to_parquet(folder / "a.parquet", panel(range(2010, 2014)))
    assert names(Files(folder), {"2011", "2012", "actions"}) == ["2010", "2013"]
    assert names(Files(folder), {str(year) for year in range(1990, 2031)}) == []


def test_a_span_within_a_year_gives_a_part_of_that_year(folder: Path) -> None:
    to_parquet(folder / "a.parquet", panel(range(2010, 2014)))
    delivered = list(Files(folder).deliver(Request(date(2011, 6, 5), date(2012, 1, 4)), ()))
    assert [part.name for part in delivered] == ["2011"]
    assert sorted(delivered[0].bars["date"].dt.month.unique()) == [6, 7, 8, 9, 10, 11, 12]


@pytest.mark.parametrize("in_memory", [0, 20, 10**9])
def test_years_are_the_same_whether_they_pass_through_temporary_files_or_not(
    folder: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch, in_memory: int
) -> None:
    monkeypatch.setattr(by_year, "IN_MEMORY", in_memory)
    monkeypatch.setattr(long_form, "_BATCH", 7)
    whole = panel(range(2010, 2014), symbols=5)
    to_parquet(folder / "a.parquet", whole.assign(dividend=whole["close"] % 2))
    to_parquet(folder / "b.parquet", whole.assign(symbol="ZZ", split=3.0))
    both = pd.concat([whole, whole.assign(symbol="ZZ")], ignore_index=True)
    for part in Files(folder).deliver(ALWAYS, ()):
        assert any(scratch.rglob("*.parquet")) == (in_memory < 100 and part.name != "2013")
        assert_frame_equal(part.bars, of_year(both, part.name))
        assert part.actions is not None
        assert part.actions["kind"].value_counts().to_dict() == {"dividend": 30, "split": 12}
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("stop", [1, 2])
def test_no_temporary_file_is_left_when_nobody_asks_on(
    folder: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    monkeypatch.setattr(by_year, "IN_MEMORY", 0)
    to_parquet(folder / "a.parquet", panel(range(2010, 2014)))
    delivery = Files(folder).deliver(ALWAYS, ())
    for _ in range(stop):
        next(delivery)
    assert any(scratch.rglob("*.parquet"))
    delivery.close()  # type: ignore[attr-defined]  # a generator; a loop that is left early closes it too
    assert list(scratch.iterdir()) == []


def test_no_temporary_file_is_left_after_an_error(folder: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_year, "IN_MEMORY", 0)
    to_parquet(folder / "a.parquet", panel(range(2010, 2014)))
    (folder / "b.csv").write_text("no bars")
    with pytest.raises(ProviderError, match=r"b\.csv"):
        names(Files(folder))
    assert list(scratch.iterdir()) == []


DAYS = st.lists(st.lists(st.dates(date(2009, 1, 1), date(2013, 12, 31)), min_size=1, max_size=9), max_size=8)


@settings(max_examples=60, deadline=None)
@given(DAYS, st.sets(st.integers(2009, 2013)), st.integers(0, 20))
def test_rows_come_back_by_year_in_the_order_they_went_in(
    batches: list[list[date]], years: set[int], in_memory: int
) -> None:
    with pytest.MonkeyPatch.context() as patch, closing(ByYear(years)) as rows:
        patch.setattr(by_year, "IN_MEMORY", in_memory)
        count = 0
        for days in batches:
            symbols = pa.array([f"S{count + n}" for n in range(len(days))]).dictionary_encode()
            rows.add(pa.table({"symbol": symbols, "date": pa.array(days, pa.date32())}))
            count += len(days)
        numbered = list(enumerate(day for days in batches for day in days))
        assert rows.years() == sorted({day.year for _, day in numbered} & years)
        for year in rows.years():
            by_hand = [f"S{n}" for n, day in numbered if day.year == year]
            assert rows.take(year)["symbol"].to_pylist() == by_hand


def test_files_that_hold_one_year_each_are_read_one_after_the_other(folder: Path) -> None:
    """A second year that cannot be read does not keep the first from being delivered."""
    to_parquet(folder / "a.parquet", panel(range(2010, 2011)))
    (folder / "year=2011").mkdir()
    (folder / "year=2011" / "b.csv").write_text("no bars")
    delivery = Files(folder).deliver(ALWAYS, ())
    assert next(delivery).name == "2010"
    with pytest.raises(ProviderError, match=r"b\.csv"):
        next(delivery)


def test_row_groups_outside_of_the_span_are_not_read(folder: Path) -> None:
    whole = panel(range(2010, 2014), symbols=1)
    to_parquet(folder / "a.parquet", whole, row_group_size=12)
    with (folder / "a.parquet").open("r+b") as file:  # the first year's pages become unreadable
        file.seek(4)
        file.write(b"\xff" * 400)
    day = Request(date(2012, 1, 1), date(2012, 12, 31))
    [part] = Files(folder).deliver(day, ())
    assert_frame_equal(part.bars, of_year(whole, "2012"))
    assert Files(folder).last_session() == date(2013, 12, 5)
    with pytest.raises(ProviderError, match=r"a\.parquet"):
        names(Files(folder))


def test_bars_out_of_order_across_files_and_twice_are_delivered_as_they_are(folder: Path) -> None:
    """The checks decide which of two bars counts, not the reader."""
    whole = panel(range(2010, 2012), symbols=2)
    whole.iloc[30:].to_csv(folder / "a.csv", index=False)
    whole.assign(close=-1.0).to_csv(folder / "b.csv", index=False)
    delivered = {part.name: part.bars for part in Files(folder).deliver(ALWAYS, ())}
    twice = delivered["2011"]
    assert len(twice) == 12 + 24
    assert twice["close"].tolist() == [*whole["close"].iloc[36:], *[-1.0] * 24]
    assert len(delivered["2010"]) == 6 + 24


def test_the_same_action_on_several_rows_and_in_several_files_counts_once(folder: Path) -> None:
    header = f"{HEADER.strip()},dividend,split,Special Dividend,spin_off\n"
    day = "A,2012-01-03,1,1,1,1,1,0.5,2,3,1.25\n"
    (folder / "a.csv").write_text(header + day + day)
    (folder / "b.csv").write_text(header + day + "A,2012-01-03,1,1,1,1,1,0,1,,0\nB,2012-01-04,1,1,1,1,1,,,0,-1\n")
    [part] = Files(folder).deliver(ALWAYS, ())
    assert len(part.bars) == 5
    assert part.actions is not None
    found = ACTIONS.check(part.actions)
    assert dict(zip(found["kind"], found["value"], strict=True)) == {
        "dividend": 0.5,
        "special_dividend": 3.0,
        "spin_off": 1.25,
        "split": 2.0,
    }
    assert set(found["symbol"]) == {"A"}


def test_files_with_actions_and_with_an_adjusted_close_may_lie_side_by_side(folder: Path) -> None:
    (folder / "a.csv").write_text(f"{HEADER.strip()},dividend,adj_close\nA,2012-01-03,1,1,1,8,1,0.5,3\n")
    (folder / "b.csv").write_text(f"{HEADER.strip()},adj_close\nB,2012-01-03,1,1,1,8,1,4\n")
    [part] = Files(folder).deliver(ALWAYS, ())
    assert part.actions is not None
    assert part.actions[["symbol", "value"]].to_numpy().tolist() == [["A", 0.5]]
    assert part.adj_close is not None
    assert part.adj_close.dropna()[["symbol", "adj_close"]].to_numpy().tolist() == [["B", 4.0]]


def test_a_column_that_one_of_several_files_lacks_is_an_error_that_names_the_file(folder: Path) -> None:
    (folder / "a.csv").write_text(HEADER + "A,2012-01-03,1,1,1,1,1\n")
    (folder / "b.csv").write_text("symbol,date,open,high,low,close\nA,2012-01-03,1,1,1,1\n")
    with pytest.raises(ProviderError, match=r"b\.csv with columns .* without volume"):
        names(Files(folder))


def test_a_file_that_is_not_what_its_name_says_is_an_error_that_names_it(folder: Path) -> None:
    to_parquet(folder / "good.parquet", panel(range(2010, 2011)))
    content = (folder / "good.parquet").read_bytes()
    for wrong in ("x.csv", "x.csv.gz"):
        (folder / wrong).write_bytes(content)
        with pytest.raises(ProviderError, match=wrong):
            names(Files(folder))
        (folder / wrong).unlink()


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_row_of_a_bad_date_is_counted_over_all_batches(
    folder: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(csv_blocks, "_BLOCK", 256)
    monkeypatch.setattr(long_form, "_BATCH", 5)
    whole = panel(range(2010, 2014), symbols=1)
    whole.loc[40, "date"] = pd.NaT
    if kind == "csv":
        whole.to_csv(folder / "x.csv", index=False)
    else:
        to_parquet(folder / "x.parquet", whole, row_group_size=12)
    with pytest.raises(ProviderError, match=rf"x\.{kind}, row 41 below the header"):
        list(Files(folder).deliver(Request(date(2013, 1, 1), ALWAYS.end), ()))


def test_symbols_without_rows_are_logged_once_for_the_whole_delivery(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    to_parquet(folder / "a.parquet", panel(range(2010, 2012)))
    request = Request(ALWAYS.start, ALWAYS.end, ("S1", "ZZZ"))
    assert {part.name for part in Files(folder).deliver(request, ())} == {"2010", "2011"}
    assert [record.getMessage() for record in caplog.records] == ["no rows in this span for ZZZ of AFTERBELL_SYMBOLS"]


Change = Callable[[Path], None]


def _rewrite(path: Path) -> None:
    """What an editor or a copy does: the same name, another file."""
    other = path.with_name(".new")
    other.write_bytes(path.read_bytes())
    other.replace(path)


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"S0,2020-01-05,1,1,1,1,1\n")


@pytest.mark.parametrize("change", [_rewrite, _truncate, _append, Path.unlink])
@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz", "x.parquet"])
def test_a_file_that_changes_while_it_is_read_is_asked_for_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, change: Change
) -> None:
    monkeypatch.setattr(csv_blocks, "_BLOCK", 1 << 12)
    whole = panel(range(2000, 2020), symbols=20)
    if name.endswith("parquet"):
        to_parquet(folder / name, whole, row_group_size=100)
    else:
        whole.to_csv(folder / name, index=False)
    place = Place(str(folder), "AFTERBELL_FILES_PATH")
    [file] = place.files()
    rows = read_rows(place, file, {}, (ALWAYS.start, ALWAYS.end))
    assert next(rows).num_rows > 0
    change(folder / name)
    with pytest.raises(ProviderUnavailable, match=rf"{name}, which was changed while it was read"):
        list(rows)


def test_a_file_that_is_replaced_between_two_parts_is_asked_for_again(folder: Path) -> None:
    for year in (2010, 2011):
        to_parquet(folder / f"{year}.parquet", panel(range(year, year + 1)))
    delivery = Files(folder).deliver(ALWAYS, ())
    assert next(delivery).name == "2010"
    to_parquet(folder / "2011.parquet", panel(range(2011, 2012), symbols=4))
    with pytest.raises(ProviderUnavailable, match=r"2011\.parquet, which was changed"):
        next(delivery)
    assert names(Files(folder), {"2010"}) == ["2011"]


@pytest.fixture
def store() -> Iterator[str]:
    url = f"memory://{uuid.uuid4().hex}"
    yield url
    system, root = fsspec.url_to_fs(url)
    system.rm(root, recursive=True)


def test_an_object_that_is_replaced_or_removed_meanwhile_is_asked_for_again(store: str) -> None:
    for change in ("replace", "remove"):
        _put(f"{store}/year=2010/a.csv", panel(range(2010, 2011)))
        _put(f"{store}/year=2011/b.csv", panel(range(2011, 2012)))
        delivery: Iterator[Part] = Files(store).deliver(ALWAYS, ())
        assert next(delivery).name == "2010"
        if change == "replace":
            _put(f"{store}/year=2011/b.csv", panel(range(2011, 2012)))
        else:
            system, path = fsspec.url_to_fs(f"{store}/year=2011/b.csv")
            system.rm(path)
        with pytest.raises(ProviderUnavailable, match=r"b\.csv, which was changed"):
            next(delivery)


def _put(url: str, frame: pd.DataFrame) -> None:
    with fsspec.open(url, "wb") as file:
        file.write(frame.to_csv(index=False).encode())
