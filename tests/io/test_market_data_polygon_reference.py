"""Who was behind a ticker, by the real client from a local server of the vendor's wire format."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ml.errors import ProviderError
from ml.frames import RECEIVED, REFERENCE
from ml.io.market_data.polygon import Polygon
from ml.io.market_data.received import Request
from tests.io.polygon_server import Unhurried, Vendor, serve

META = {
    "ticker": "META",
    "active": True,
    "composite_figi": "BBG000MM2P62",
    "name": "Meta Platforms, Inc. Class A Common Stock",
    "type": "CS",
    "primary_exchange": "XNAS",
    "market": "stocks",
    "sic_description": "SERVICES-COMPUTER PROGRAMMING",
    "list_date": "2012-05-18",
}
META_CHANGES = [("2022-06-09", "META"), ("2012-05-18", "FB"), ("2022-06-09", "META")]


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with serve(RECEIVED.empty()) as running:
        yield running


def listing(ticker: str, figi: str | None, delisted: str | None = None, **more: Any) -> dict[str, Any]:
    row = {"ticker": ticker, "active": delisted is None, "composite_figi": figi, "name": f"{ticker} {figi}", **more}
    return row if delisted is None else {**row, "delisted_utc": delisted}


def reference(vendor: Vendor, *symbols: str, day: date = date(2024, 1, 5)) -> pd.DataFrame:
    parts = Polygon(vendor.key, vendor.url, Unhurried()).deliver(Request(day, day, symbols), ())
    frames = [part.reference for part in parts if part.reference is not None]
    return REFERENCE.check(pd.concat(frames, ignore_index=True))


def intervals(found: pd.DataFrame) -> list[tuple[str, str, str, str]]:
    """Ticker, instrument, from and to, written out; "" where open."""
    written = found[["valid_from", "valid_to"]].apply(lambda days: days.dt.strftime("%Y-%m-%d").fillna(""))
    return list(zip(found["symbol"], found["instrument"], written["valid_from"], written["valid_to"], strict=True))


def test_details_tell_what_a_ticker_is(vendor: Vendor) -> None:
    vendor.tickers = [META]
    found = reference(vendor, "META").iloc[0].to_dict()
    assert found == {
        "instrument": "BBG000MM2P62",
        "symbol": "META",
        "valid_from": pd.Timestamp("2012-05-18"),
        "valid_to": pd.NaT,
        "name": META["name"],
        "type": "CS",
        "exchange": "XNAS",
        "sector": META["sic_description"],
        "listed": pd.Timestamp("2012-05-18"),
        "delisted": pd.NaT,
    } | {"valid_to": found["valid_to"], "delisted": found["delisted"]}
    assert pd.isna(found["valid_to"])
    assert pd.isna(found["delisted"])
    assert any("/META?" in path and "date=2024-01-05" in path for path in vendor.requests)


def test_a_renamed_instrument_has_each_ticker_in_its_time(vendor: Vendor) -> None:
    vendor.tickers, vendor.events = [META], {"BBG000MM2P62": META_CHANGES}
    assert intervals(reference(vendor, "META")) == [
        ("FB", "BBG000MM2P62", "2012-05-18", "2022-06-09"),
        ("META", "BBG000MM2P62", "2022-06-09", ""),
    ]


def test_what_is_told_twice_of_a_ticker_is_one_interval(vendor: Vendor) -> None:
    vendor.tickers = [META, listing("FB", "BBG000MM2P62", "2022-06-09")]
    vendor.events = {"BBG000MM2P62": META_CHANGES}
    assert intervals(reference(vendor, "META", "FB")) == [
        ("FB", "BBG000MM2P62", "", "2022-06-10"),
        ("META", "BBG000MM2P62", "2022-06-09", ""),
    ]


def test_a_tickers_owner_leaves_when_a_later_one_comes(vendor: Vendor) -> None:
    vendor.tickers = [META, {**listing("FB", "NEW"), "list_date": "2020-01-02"}]
    vendor.events = {"BBG000MM2P62": META_CHANGES}
    assert intervals(reference(vendor, "META", "FB")) == [
        ("FB", "BBG000MM2P62", "2012-05-18", "2020-01-02"),
        ("FB", "NEW", "2020-01-02", ""),
        ("META", "BBG000MM2P62", "2022-06-09", ""),
    ]


def test_of_two_owners_since_the_same_day_the_first_is_kept(vendor: Vendor, caplog: pytest.LogCaptureFixture) -> None:
    vendor.tickers = [META, {**listing("FB", "NEW"), "list_date": "2012-05-18"}]
    vendor.events = {"BBG000MM2P62": META_CHANGES}
    found = intervals(reference(vendor, "META", "FB"))
    assert [row[:2] for row in found] == [("FB", "BBG000MM2P62"), ("META", "BBG000MM2P62")]
    assert "FB belongs to BBG000MM2P62 and to NEW" in caplog.text


def test_a_first_change_later_than_the_listing_does_not_cut_the_history(vendor: Vendor) -> None:
    vendor.tickers = [{**META, "list_date": "1980-12-12"}]
    vendor.events = {"BBG000MM2P62": [("2003-09-10", "META")]}
    assert intervals(reference(vendor, "META")) == [("META", "BBG000MM2P62", "1980-12-12", "")]


def test_changes_that_do_not_lead_to_the_ticker_are_left_out(vendor: Vendor, caplog: pytest.LogCaptureFixture) -> None:
    vendor.tickers, vendor.events = [META], {"BBG000MM2P62": [("2015-01-01", "S258")]}
    assert intervals(reference(vendor, "META")) == [("META", "BBG000MM2P62", "2012-05-18", "")]
    assert "do not lead to META" in caplog.text


def test_a_listing_after_the_last_day_of_trading_is_not_believed(vendor: Vendor) -> None:
    vendor.tickers = [{**META, "active": False, "delisted_utc": "2010-06-30", "list_date": "2010-07-09"}]
    vendor.plant("/v3/reference/tickers/META", 200, json.dumps({"results": vendor.tickers[0]}).encode())
    found = reference(vendor, "META")
    assert intervals(found) == [("META", "BBG000MM2P62", "", "2010-07-01")]
    assert found["listed"].tolist() == [pd.Timestamp("2010-07-09")], "what the vendor says is kept as a fact"


def test_without_a_figi_the_ticker_stands_for_its_owner(vendor: Vendor) -> None:
    vendor.tickers = [{"ticker": "XYZ", "active": True, "name": " "}]
    found = reference(vendor, "XYZ")
    assert intervals(found) == [("XYZ", "ticker:XYZ", "", "")]
    assert found["name"].isna().all()


def test_a_ticker_of_a_past_owner_is_looked_up_on_the_day_that_is_asked_for(vendor: Vendor) -> None:
    vendor.tickers = [
        {**listing("FB", "OLD", "2008-02-29T00:00:00Z"), "list_date": "1999-01-04"},
        {**listing("FB", "NEW"), "list_date": "2012-05-18"},
    ]
    both = [("FB", "OLD", "1999-01-04", "2008-03-01"), ("FB", "NEW", "2012-05-18", "")]
    assert intervals(reference(vendor, "FB", day=date(2005, 1, 5))) == both
    # without an end or a beginning told, the one of then has the ticker on that day and the one of today after it
    vendor.tickers = [listing("FB", "NEW")]
    vendor.plant("date=2005-01-05", 200, json.dumps({"results": listing("FB", "OLD")}).encode())
    both = [("FB", "OLD", "", "2005-01-06"), ("FB", "NEW", "2005-01-06", "")]
    assert intervals(reference(vendor, "FB", day=date(2005, 1, 5))) == both


def test_two_owners_without_a_figi_are_two(vendor: Vendor) -> None:
    vendor.tickers = [listing("ABC", None, "2008-02-29"), listing("ABC", None, "2012-06-29"), listing("ABC", None)]
    assert intervals(reference(vendor)) == [
        ("ABC", "ticker:ABC:2008-02-29", "", "2008-03-01"),
        ("ABC", "ticker:ABC:2012-06-29", "2008-03-01", "2012-06-30"),
        ("ABC", "ticker:ABC", "2012-06-30", ""),
    ]


def test_a_delisted_ticker_is_found_among_the_delisted(vendor: Vendor) -> None:
    vendor.tickers = [listing("GONE", "ONE", "2010-06-30T00:00:00Z"), listing("OTHER", "TWO", "2011-06-30")]
    found = reference(vendor, "GONE")
    assert intervals(found) == [("GONE", "ONE", "", "2010-07-01")]
    assert found["delisted"].tolist() == [pd.Timestamp("2010-06-30")]


def test_an_unknown_ticker_has_no_reference(vendor: Vendor, caplog: pytest.LogCaptureFixture) -> None:
    assert reference(vendor, "NOBODY").empty
    assert "does not know who is behind NOBODY" in caplog.text


def test_the_whole_market_keeps_owners_of_one_ticker_apart_by_the_day_they_left(vendor: Vendor) -> None:
    vendor.tickers = [
        listing("META", "BBG000MM2P62"),
        listing("FB", "BBG000MM2P62", "2022-06-08T00:00:00Z"),
        listing("FB", "FIRST", "2008-02-29"),
        listing("META", "ETF", "2022-01-31"),
        {**listing("NOEND", "LOST"), "active": False},
        listing("NOEND", "FOUND"),
        {**listing("FUND", "OTC"), "market": "otc"},
    ]
    assert intervals(reference(vendor)) == [
        ("FB", "FIRST", "", "2008-03-01"),
        ("FB", "BBG000MM2P62", "2008-03-01", "2022-06-09"),
        ("META", "ETF", "", "2022-02-01"),
        ("META", "BBG000MM2P62", "2022-02-01", ""),
        ("NOEND", "FOUND", "", ""),
    ]


def test_an_instrument_listed_again_under_its_ticker_is_one(vendor: Vendor) -> None:
    vendor.tickers = [listing("AAA", "ONE", "2010-06-30"), listing("AAA", "ONE")]
    assert intervals(reference(vendor)) == [("AAA", "ONE", "", "")]


LISTINGS = st.lists(
    st.builds(
        listing,
        st.sampled_from(["AAA", "BBB"]),
        st.sampled_from([None, "F1", "F2", "F3"]),
        st.sampled_from([None, "2010-06-30", "2010-07-01T00:00:00Z", "2011-06-30", "2012-06-29"]),
    ),
    max_size=8,
)


DAYS = st.sampled_from(["2009-01-02", "2010-06-30", "2010-07-01", "2011-06-30", "2012-06-29"])
CHANGES = st.lists(st.tuples(DAYS, st.sampled_from(["AAA", "BBB", "CCC"])), max_size=4)


@given(LISTINGS, st.dictionaries(st.sampled_from(["F1", "F2", "F3", "AAA"]), CHANGES), st.lists(DAYS, min_size=8))
@hypothesis_settings(max_examples=40, deadline=None)
def test_whatever_is_told_of_named_tickers_no_two_owners_hold_one_at_once(
    listings: list[dict[str, Any]], changes: dict[str, list[tuple[str, str]]], listed: list[str]
) -> None:
    with serve(RECEIVED.empty()) as vendor:
        vendor.tickers = [
            row if day == "2010-06-30" else {**row, "list_date": day}
            for row, day in zip(listings, listed, strict=False)
        ]
        vendor.events = changes
        found = reference(vendor, "AAA", "BBB", "CCC", day=date(2011, 1, 3))
    for _, owners in found.groupby("symbol"):
        begins, ends = owners["valid_from"].to_list(), owners["valid_to"].to_list()
        assert all(pd.isna(a) or pd.isna(b) or a < b for a, b in zip(begins, ends, strict=True))
        assert all(end <= begin for end, begin in zip(ends[:-1], begins[1:], strict=True))


@given(LISTINGS)
@hypothesis_settings(max_examples=40, deadline=None)
def test_no_two_owners_ever_hold_a_listed_ticker_at_once(listings: list[dict[str, Any]]) -> None:
    with serve(RECEIVED.empty()) as vendor:
        vendor.tickers = listings
        found = reference(vendor)
    assert set(found["symbol"]) == {row["ticker"] for row in listings}
    for _, owners in found.groupby("symbol"):
        begins, ends = owners["valid_from"].to_list(), owners["valid_to"].to_list()
        assert pd.isna(begins[0])
        assert begins[1:] == ends[:-1]
        assert owners["valid_to"].iloc[:-1].is_monotonic_increasing
        assert not owners.duplicated(["valid_from"]).any()


def test_of_two_that_left_on_one_day_the_first_is_kept(vendor: Vendor) -> None:
    ends = ["2010-06-30", "2010-06-30", "2011-06-30", None]
    vendor.tickers = [listing("AAA", f"F{n}", end) for n, end in enumerate(ends)]
    assert intervals(reference(vendor)) == [
        ("AAA", "F0", "", "2010-07-01"),
        ("AAA", "F2", "2010-07-01", "2011-07-01"),
        ("AAA", "F3", "2011-07-01", ""),
    ]


def test_the_whole_market_costs_one_request_a_page() -> None:
    with serve(RECEIVED.empty(), page_size=2) as vendor:
        vendor.tickers = [listing(f"T{n}", f"F{n}") for n in range(5)]
        assert len(reference(vendor)) == 5
        asked = [path for path in vendor.requests if path.startswith("/v3/reference/tickers")]
    assert len(asked) == 3 + 1
    assert "limit=1000" in asked[0]


def test_a_delisting_without_a_readable_date_is_an_error(vendor: Vendor) -> None:
    vendor.tickers = [listing("AAA", "ONE", "soon")]
    with pytest.raises(ProviderError, match="delisting of AAA dated 'soon'"):
        reference(vendor)
