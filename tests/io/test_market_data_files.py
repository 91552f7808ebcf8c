"""Bars from files as people have them."""

from __future__ import annotations

import gzip
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from ml.errors import ProviderError
from ml.frames import ACTIONS, RECEIVED
from ml.io.market_data import ADJ_CLOSE, Request, provider
from ml.io.market_data.files import Files
from ml.settings import Settings
from tests.io.bar_files import AAA, ALWAYS, BBB, HEADER, bars_of, expected, read, to_parquet, write


def test_the_same_bars_are_read_from_csv_gzip_and_parquet_alone_or_in_a_folder(tmp_path: Path) -> None:
    text = f"{HEADER}\n{AAA}{BBB}"
    plain = write(tmp_path, text)
    packed, parquet = tmp_path / "bars.csv.gz", tmp_path / "bars.parquet"
    packed.write_bytes(gzip.compress(text.encode()))
    to_parquet(parquet, expected())
    for path in (plain, packed, parquet):
        assert_frame_equal(read(path).bars, expected())
    thrice = read(tmp_path)
    assert_frame_equal(thrice.bars, pd.concat([expected()] * 3, ignore_index=True))
    assert Files(tmp_path).source == f"files: {tmp_path.name}"


def test_rows_keep_the_files_order_and_their_mistakes(tmp_path: Path) -> None:
    """Duplicates, disorder, negative and absurd prices are for the checks to judge, not for the reader."""
    text = f"{HEADER}\n{BBB}{AAA}{BBB}AAA,2012-01-01,-1,0,1e9,5,-7\n"
    bars = read(write(tmp_path, text)).bars
    assert bars["symbol"].tolist() == ["BBB", "AAA", "AAA", "BBB", "AAA"]
    assert bars.iloc[-1][["open", "high", "low", "close", "volume"]].tolist() == [-1.0, 0.0, 1e9, 5.0, -7.0]


def test_only_the_span_is_returned_with_both_ends(tmp_path: Path) -> None:
    to_parquet(tmp_path / "a.parquet", expected())
    write(tmp_path, f"{HEADER}\n{AAA}{BBB}")
    day = date(2012, 1, 3)
    bars = bars_of(Files(tmp_path), Request(day, day))
    assert set(bars["date"]) == {pd.Timestamp(day)}
    assert len(bars) == 4
    assert list(Files(tmp_path).deliver(Request(date(2013, 1, 1), ALWAYS.end), ())) == []


def test_the_last_session_is_the_latest_date_of_any_file(tmp_path: Path) -> None:
    write(tmp_path, f"{HEADER}\n{AAA}", "a.csv")
    write(tmp_path, f"{HEADER}\n{BBB}", "b.csv")
    assert Files(tmp_path).last_session() == date(2012, 1, 4)


def test_the_last_session_up_to_a_day_leaves_later_rows_and_files_out(tmp_path: Path) -> None:
    write(tmp_path, f"{HEADER}\n{AAA}{BBB}", "a.csv")
    to_parquet(tmp_path / "b.parquet", expected().assign(date=pd.Timestamp("2060-01-05")))
    files = Files(tmp_path)
    assert files.last_session() == date(2060, 1, 5)
    assert files.last_session(date(2060, 1, 4)) == files.last_session(date(2012, 1, 4)) == date(2012, 1, 4)
    assert files.last_session(date(2012, 1, 3)) == date(2012, 1, 3)
    with pytest.raises(ProviderError, match="no bar up to 1999-12-31"):
        files.last_session(date(1999, 12, 31))


def test_strays_are_a_part_of_their_own_and_only_where_they_are_wanted(tmp_path: Path) -> None:
    stray = expected().head(1).assign(date=pd.Timestamp("9999-12-31"), dividend=1.0)
    write(tmp_path, f"{HEADER}\n{AAA}{BBB}", "a.csv")
    to_parquet(tmp_path / "b.parquet", stray)
    wanted = Request(ALWAYS.start, date(2012, 1, 4), strays_after=date(2012, 1, 5))
    [year, late] = Files(tmp_path).deliver(wanted, ())
    assert (year.name, late.name) == ("2012", "strays")
    assert_frame_equal(late.bars, RECEIVED.cast(stray))
    assert late.actions is None
    assert [part.name for part in Files(tmp_path).deliver(wanted, ("strays",))] == ["2012"]
    nobody = Request(ALWAYS.start, date(2012, 1, 4), ("ZZZ",), date(2012, 1, 5))
    assert list(Files(tmp_path).deliver(nobody, ())) == []
    assert [part.name for part in Files(tmp_path).deliver(Request(wanted.start, wanted.end), ())] == ["2012"]


def test_only_the_symbols_asked_come_and_absent_ones_are_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, f"{HEADER}\n{AAA}{BBB}")
    assert read(tmp_path, symbols=("BBB", "ZZZ")).bars["symbol"].tolist() == ["BBB"]
    assert "no rows in this span for ZZZ" in caplog.text


@pytest.mark.parametrize(
    "header",
    [
        "Ticker,Date,Open,High,Low,Close,Volume",
        "SYMBOL,DATE,OPEN,HIGH,LOW,CLOSE,VOLUME",
        " symbol ,date,open,high,low,close,volume",
    ],
)
def test_usual_names_are_recognised_in_any_case(tmp_path: Path, header: str) -> None:
    assert_frame_equal(read(write(tmp_path, f"{header}\n{AAA}{BBB}")).bars, expected())


def test_other_names_are_mapped_and_a_mapped_column_serves_once(tmp_path: Path) -> None:
    path = write(tmp_path, f"sec,when,o,h,l,Adj Close,vol\n{AAA}{BBB}")
    mapping = {"symbol": "sec", "date": "when", "open": "o", "high": "h", "low": "l", "volume": "vol"}
    received = read(path, {**mapping, "close": "Adj Close"})
    assert_frame_equal(received.bars, expected())
    assert received.adj_close is None


def test_the_factory_takes_path_and_mapping_from_the_settings(tmp_path: Path) -> None:
    path = write(tmp_path, f"sec,date,open,high,low,close,volume\n{AAA}{BBB}")
    source = provider(Settings(provider="files", files_path=str(path), files_columns={"symbol": "sec"}))
    assert source.name == "files"
    [part] = source.deliver(ALWAYS, ())
    assert_frame_equal(part.bars, expected())


def test_a_symbol_comes_from_the_files_name_when_there_is_no_column(tmp_path: Path) -> None:
    rows = "date,open,high,low,close,volume\n2012-01-03,1,2,1,2,5\n"
    write(tmp_path, rows, "BRK.B.csv")
    (tmp_path / "AAA.csv.gz").write_bytes(gzip.compress(rows.encode()))
    assert read(tmp_path).bars["symbol"].tolist() == ["AAA", "BRK.B"]


def test_symbols_that_look_like_missing_values_or_numbers_stay_symbols(tmp_path: Path) -> None:
    rows = "".join(f"{symbol},2012-01-03,1,2,1,2,5\n" for symbol in ("NA", "NAN", "TRUE", "0700", "null", ""))
    symbols = read(write(tmp_path, f"{HEADER}\n{rows}")).bars["symbol"]
    assert symbols[:5].tolist() == ["NA", "NAN", "TRUE", "0700", "null"]
    assert pd.isna(symbols[5])


def test_text_in_a_price_column_becomes_nan_and_is_counted_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = "AAA,2012-01-03,ten,12,9,11,1000\nAAA,2012-01-04,11,inf,,n/a,2000\nAAA,2012-01-05,1e1, 12 ,.5,11.,-3\n"
    bars = read(write(tmp_path, f"{HEADER}\n{rows}")).bars
    assert len(bars) == 3, "such a row is kept, for the quarantine"
    values = bars[["open", "high", "low", "close", "volume"]].to_numpy()
    by_hand = [[np.nan, 12, 9, 11, 1000], [11, np.nan, np.nan, np.nan, 2000], [10, 12, 0.5, 11, -3]]
    np.testing.assert_array_equal(values, by_hand)
    assert "1 values in the column 'open'" in caplog.text
    assert "1 values in the column 'high'" in caplog.text
    assert "'low'" not in caplog.text, "what is simply missing is not worth a line"
    assert "'close'" not in caplog.text


def test_a_text_far_below_the_first_rows_does_not_stop_the_reading(tmp_path: Path) -> None:
    """A reader that guesses types from the first block would refuse the file."""
    day = "AAA,2012-01-03,10,12,9,11,1000\n"
    bars = read(write(tmp_path, f"{HEADER}\n{day * 60_000}AAA,2012-01-04,10,12,9,oops,1000\n")).bars
    assert len(bars) == 60_001
    assert bars["close"].isna().sum() == 1


@pytest.mark.parametrize("kind", ["int32", "float32", "decimal", "text"])
def test_parquet_numbers_of_any_type_become_float64(tmp_path: Path, kind: str) -> None:
    types = {"int32": pa.int32(), "float32": pa.float32(), "decimal": pa.decimal128(24, 2), "text": pa.string()}
    table = pa.Table.from_pandas(expected(), preserve_index=False)
    volume = table["volume"].cast(pa.int64()).cast(types[kind])
    pq.write_table(table.set_column(6, "volume", volume), tmp_path / "x.parquet")
    assert_frame_equal(read(tmp_path).bars, expected())


@pytest.mark.parametrize(
    "days",
    [
        ["20120103", "20120104", "20120103"],
        ["2012/01/03", "2012/01/04", "2012/01/03"],
        ["2012-01-03 00:00:00-05:00", "2012-01-04T23:59:59-05:00", "2012-01-03T00:00:00Z"],
        [20120103, 20120104, 20120103],
    ],
)
def test_dates_are_read_as_they_are_written(tmp_path: Path, days: list[str] | list[int]) -> None:
    frame = expected().assign(date=days)
    frame.to_csv(tmp_path / "a.csv", index=False)
    to_parquet(tmp_path / "b.parquet", frame)
    assert_frame_equal(read(tmp_path).bars, pd.concat([expected()] * 2, ignore_index=True))


@pytest.mark.parametrize("unit", [pa.date32(), pa.date64(), pa.timestamp("ms"), pa.timestamp("ns")])
def test_parquet_dates_of_any_type_are_sessions(tmp_path: Path, unit: pa.DataType) -> None:
    table = pa.Table.from_pandas(expected(), preserve_index=False)
    pq.write_table(table.set_column(1, "date", table["date"].cast(unit)), tmp_path / "x.parquet")
    assert_frame_equal(read(tmp_path).bars, expected())
    day = date(2012, 1, 4)
    assert len(bars_of(Files(tmp_path), Request(day, day))) == 1


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo", "Pacific/Kiritimati", "UTC"])
def test_an_instant_in_a_zone_is_the_day_it_has_there(tmp_path: Path, zone: str) -> None:
    to_parquet(tmp_path / "x.parquet", expected().assign(date=expected()["date"].dt.tz_localize(zone)))
    assert_frame_equal(read(tmp_path).bars, expected())
    day = date(2012, 1, 4)
    assert bars_of(Files(tmp_path), Request(day, day))["date"].tolist() == [pd.Timestamp(day)]
    assert Files(tmp_path).last_session() == day


def test_actions_come_from_dividend_and_split_columns_and_silence_the_adjusted_close(tmp_path: Path) -> None:
    text = (
        f"{HEADER},Dividends,Stock Splits,Adj Close\n"
        "BBB,2012-01-03,1,1,1,1,1,0,0,9\nBBB,2012-01-04,1,1,1,1,1,0.25,2,9\n"
        "AAA,2012-01-03,1,1,1,1,1,,,9\nAAA,2012-01-04,1,1,1,1,1,0,1,9\nAAA,2012-01-05,1,1,1,1,1,0,0.1,9\n"
        "AAA,2012-01-06,1,1,1,1,1,-1,none,9\n"
    )
    received = read(write(tmp_path, text))
    assert received.adj_close is None
    assert received.actions is not None
    days = pd.to_datetime(["2012-01-05", "2012-01-04", "2012-01-04"]).as_unit("us")
    by_hand = pd.DataFrame(
        {
            "symbol": pd.Series(["AAA", "BBB", "BBB"], dtype="str"),
            "ex_date": days,
            "kind": pd.Series(["split", "dividend", "split"], dtype="str"),
            "value": [0.1, 0.25, 2.0],
        }
    )
    assert_frame_equal(ACTIONS.check(received.actions), by_hand)


def test_a_bar_that_comes_twice_brings_its_dividend_once(tmp_path: Path) -> None:
    row = "AAA,2012-01-03,1,1,1,1,1,0.5\n"
    received = read(write(tmp_path, f"{HEADER},dividend\n{row}{row}"))
    assert len(received.bars) == 2
    assert received.actions is not None
    assert received.actions["value"].tolist() == [0.5]


def test_columns_of_actions_without_any_action_say_that_there_was_none(tmp_path: Path) -> None:
    received = read(write(tmp_path, f"{HEADER},dividend\nAAA,2012-01-03,1,1,1,1,1,0\n"))
    assert received.actions is not None
    assert_frame_equal(received.actions, ACTIONS.empty())


def test_an_adjusted_close_is_given_when_there_are_no_columns_of_actions(tmp_path: Path) -> None:
    received = read(write(tmp_path, f"{HEADER},Adj Close\nAAA,2012-01-03,1,1,1,8,1,4\n"))
    assert received.actions is None
    assert received.adj_close is not None
    assert ADJ_CLOSE.check(received.adj_close)[["close", "adj_close"]].to_numpy().tolist() == [[8.0, 4.0]]


def test_neither_is_neither(tmp_path: Path) -> None:
    received = read(write(tmp_path, f"{HEADER}\n{AAA}"))
    assert received.actions is None
    assert received.adj_close is None


PRICES = st.floats(allow_nan=False, allow_infinity=False, width=64)
ROWS = st.lists(
    st.tuples(st.sampled_from(["A", "B.C", "NA"]), st.dates(date(1991, 1, 1), date(2029, 1, 1)), PRICES), min_size=1
)


@settings(max_examples=40, deadline=None)
@given(ROWS)
def test_any_bars_read_the_same_from_csv_and_parquet_as_pandas_wrote_them(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, date, float]]
) -> None:
    symbols, days, prices = zip(*rows, strict=True)
    frame = pd.DataFrame(
        {"symbol": pd.Series(symbols, dtype="str"), "date": pd.to_datetime(pd.Series(days)).astype("datetime64[us]")}
    )
    frame = frame.assign(**dict.fromkeys(("open", "high", "low", "close", "volume"), pd.Series(prices)))
    folder = tmp_path_factory.mktemp("bars")
    frame.to_csv(folder / "a.csv", index=False)
    to_parquet(folder / "b.parquet", frame)
    by_year = frame.sort_values("date", key=lambda days: days.dt.year, kind="stable", ignore_index=True)
    for name in ("a.csv", "b.parquet"):
        assert_frame_equal(bars_of(Files(folder / name)), by_year, check_exact=True)
