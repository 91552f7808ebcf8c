"""The real client of the vendor against a local server that speaks its wire format."""

from __future__ import annotations

import logging
import socket
import time
import traceback
from collections.abc import Iterator
from datetime import date, datetime

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from ml.errors import ProviderError, ProviderRejected, ProviderUnavailable
from ml.frames import ACTIONS, RECEIVED
from ml.io.market_data import provider
from ml.io.market_data.polygon import Polygon
from ml.settings import Settings
from tests.io.polygon_server import KEY, NEW_YORK, Vendor, serve

FIRST, LAST = date(2012, 3, 5), date(2012, 3, 14)
# the clocks change on 2012-03-11: midnight in New York moves from 05:00 to 04:00 UTC
SESSIONS = pd.to_datetime(["2012-03-08", "2012-03-09", "2012-03-12", "2012-03-13"])


def bars() -> pd.DataFrame:
    rows = [
        (symbol, day, price + n, price + n + 2, price + n - 1, price + n + 1, 1000.0 + n)
        for symbol, price in (("AAA", 10.0), ("BBB", 200.0))
        for n, day in enumerate(SESSIONS)
    ]
    return RECEIVED.cast(pd.DataFrame(rows, columns=list(RECEIVED.columns)))


def actions() -> pd.DataFrame:
    rows = [
        ("AAA", "2012-03-09", "dividend", 0.25),
        ("AAA", "2012-03-12", "split", 2.0),
        ("BBB", "2012-03-13", "split", 0.1),
        ("BBB", "2012-04-02", "dividend", 1.0),
    ]
    frame = pd.DataFrame(rows, columns=list(ACTIONS.columns))
    return ACTIONS.cast(frame.assign(ex_date=pd.to_datetime(frame["ex_date"])))


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with serve(bars(), actions()) as running:
        yield running


def client(vendor: Vendor, timeout_seconds: float = 5) -> Polygon:
    return Polygon(vendor.key, vendor.url, timeout_seconds)


def test_bars_of_named_symbols_come_raw_and_dated_by_their_session_on_both_sides_of_a_clock_change(
    vendor: Vendor,
) -> None:
    received = client(vendor).fetch(FIRST, LAST, ("AAA", "BBB"))
    assert_frame_equal(RECEIVED.check(received.bars), bars())
    assert all("adjusted=false" in path for path in vendor.requests if "/range/" in path)
    assert received.adj_close is None


def test_pages_are_followed_to_the_last_one() -> None:
    with serve(bars(), actions(), page_size=1) as vendor:
        received = client(vendor).fetch(FIRST, LAST, ("AAA", "BBB"))
    assert_frame_equal(received.bars, bars())
    assert len([path for path in vendor.requests if "/ticker/AAA/" in path]) == len(SESSIONS)


def test_without_symbols_the_whole_market_is_asked_day_by_day_and_closed_days_give_nothing(vendor: Vendor) -> None:
    received = client(vendor).fetch(FIRST, LAST, ())
    expected = bars().sort_values(["date", "symbol"]).reset_index(drop=True)
    assert_frame_equal(RECEIVED.check(received.bars), expected)
    assert received.actions is not None
    assert set(received.actions["symbol"]) == {"AAA", "BBB"}


def test_actions_are_new_shares_per_old_and_cash_per_share_within_the_span(vendor: Vendor) -> None:
    received = client(vendor).fetch(FIRST, LAST, ("AAA", "BBB"))
    assert received.actions is not None
    assert_frame_equal(ACTIONS.check(received.actions), actions().iloc[:3])


def test_two_dividends_on_one_day_add_up_and_two_splits_multiply() -> None:
    twice = pd.concat([actions(), actions()], ignore_index=True)
    with serve(bars(), twice) as vendor:
        received = client(vendor).fetch(FIRST, LAST, ("AAA", "BBB"))
    assert received.actions is not None
    assert received.actions["value"].tolist() == pytest.approx([0.5, 4.0, 0.01])


def test_an_empty_session_is_no_error(vendor: Vendor) -> None:
    received = client(vendor).fetch(date(2012, 3, 10), date(2012, 3, 11), ("AAA",))
    assert_frame_equal(received.bars, RECEIVED.empty())
    assert received.actions is not None
    assert_frame_equal(received.actions, ACTIONS.empty())
    assert_frame_equal(client(vendor).fetch(date(2012, 3, 10), date(2012, 3, 11), ()).bars, RECEIVED.empty())


def test_a_bar_without_a_price_is_kept_with_a_nan() -> None:
    holey = bars()
    holey.loc[2, "close"] = np.nan
    with serve(holey) as vendor:
        received = client(vendor).fetch(FIRST, LAST, ("AAA", "BBB"))
    assert_frame_equal(received.bars, holey)


def test_a_bar_without_a_time_is_an_error(vendor: Vendor) -> None:
    vendor.plant("/range/", body=b'{"status": "OK", "results": [{"o": 1, "h": 1, "l": 1, "c": 1, "v": 1}]}')
    with pytest.raises(ProviderError, match="without its time"):
        client(vendor).fetch(FIRST, LAST, ("AAA",))


@pytest.mark.parametrize(
    ("now", "market", "expected"),
    [
        ("2012-03-13T20:00", "closed", "2012-03-13"),
        ("2012-03-13T16:30", "after-hours", "2012-03-13"),
        ("2012-03-13T12:00", "open", "2012-03-12"),
        ("2012-03-12T05:00", "early-hours", "2012-03-09"),
        ("2012-03-11T12:00", "closed", "2012-03-09"),
        ("2012-03-20T12:00", "closed", "2012-03-13"),
    ],
)
def test_the_last_session_is_the_last_finished_one_with_bars(now: str, market: str, expected: str) -> None:
    clock = datetime.fromisoformat(now).replace(tzinfo=NEW_YORK)
    with serve(bars(), now=clock, market=market) as vendor:
        assert client(vendor).last_session() == date.fromisoformat(expected)


def test_a_plan_without_todays_bars_still_has_a_last_session(vendor: Vendor) -> None:
    vendor.plant("/grouped/locale/us/market/stocks/2012-03-13", 403, b'{"status": "NOT_AUTHORIZED"}')
    assert client(vendor).last_session() == date(2012, 3, 12)


def test_a_source_without_recent_bars_says_so() -> None:
    with (
        serve(bars(), now=datetime(2012, 6, 1, 20, tzinfo=NEW_YORK)) as vendor,
        pytest.raises(ProviderError, match="no bars in the 10 days before 2012-06-01"),
    ):
        client(vendor).last_session()


def test_a_missing_key_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POLYGON_API_KEY", raising=False)
    monkeypatch.delenv("AFTERBELL_POLYGON_API_KEY", raising=False)
    for given in ({}, {"POLYGON_API_KEY": " "}):
        with pytest.raises(ProviderRejected, match="POLYGON_API_KEY"):
            provider(Settings(provider="polygon", **given))  # type: ignore[arg-type]


def test_the_factory_uses_the_key_and_the_address_of_the_settings(vendor: Vendor) -> None:
    settings = Settings(provider="polygon", polygon_base_url=vendor.url + "/", POLYGON_API_KEY=vendor.key)  # type: ignore[call-arg]
    source = provider(settings)
    assert source.name == "polygon"
    assert len(source.fetch(FIRST, LAST, ("AAA",)).bars) == len(SESSIONS)


def test_a_wrong_key_is_final(vendor: Vendor) -> None:
    with pytest.raises(ProviderRejected, match=r"status 401 .*Unknown API Key"):
        Polygon("wrong", vendor.url).fetch(FIRST, LAST, ("AAA",))
    assert len(vendor.requests) == 1, "a refusal is not tried again"
    with pytest.raises(ProviderRejected):
        Polygon("wrong", vendor.url).last_session()


def test_a_plan_that_does_not_cover_the_bars_is_final(vendor: Vendor) -> None:
    vendor.plant("/range/", 403, b'{"status": "NOT_AUTHORIZED", "message": "You are not entitled to this data."}')
    with pytest.raises(ProviderRejected, match="not entitled"):
        client(vendor).fetch(FIRST, LAST, ("AAA",))


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_busy_or_broken_vendor_is_tried_again_a_few_times_and_then_unavailable(vendor: Vendor, status: int) -> None:
    vendor.plant("/range/", status, b"slow down", headers={"Retry-After": "600"})
    started = time.monotonic()
    with pytest.raises(ProviderUnavailable, match=f"status {status}"):
        client(vendor).fetch(FIRST, LAST, ("AAA",))
    assert len(vendor.requests) == 3
    assert time.monotonic() - started < 10, "a vendor's wish to be left alone is not slept through inside a task"


def test_a_short_failure_is_not_noticed(vendor: Vendor) -> None:
    vendor.plant("/range/", 503, times=2)
    assert len(client(vendor).fetch(FIRST, LAST, ("AAA",)).bars) == len(SESSIONS)


def test_every_request_has_a_timeout(vendor: Vendor) -> None:
    vendor.plant("/range/", seconds=3)
    started = time.monotonic()
    with pytest.raises(ProviderUnavailable, match=r"[Tt]imed? ?out"):
        client(vendor, timeout_seconds=0.1).fetch(FIRST, LAST, ("AAA",))
    assert time.monotonic() - started < 2.5


def test_nobody_listening_is_unavailable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: nobody else gets this port
        with pytest.raises(ProviderUnavailable, match="refused"):
            Polygon(KEY, f"http://127.0.0.1:{taken.getsockname()[1]}").last_session()


@pytest.mark.parametrize(
    "body",
    [
        b'{"status": "OK", "results": [{"T": "AAA", "o": 1',
        b"<html>Bad gateway</html>",
        b'{"status": "OK", "results": "\xff\xfe"}',
        b'["a", "list"]',
        b'{"status": "OK", "results": {"o": 1}}',
        b'{"status": "ERROR", "error": "something broke"}',
        b"",
    ],
)
def test_an_unusable_answer_is_an_error_and_never_an_empty_session(vendor: Vendor, body: bytes) -> None:
    vendor.plant("/v2/aggs/", 200, body)
    for symbols in (("AAA",), ()):
        with pytest.raises(ProviderError) as caught:
            client(vendor).fetch(FIRST, FIRST, symbols)
        assert not isinstance(caught.value, (ProviderRejected, ProviderUnavailable))


def test_an_answer_cut_off_on_the_wire_is_unavailable(vendor: Vendor) -> None:
    cut = {"Content-Length": "500", "Content-Encoding": "identity", "Connection": "close"}
    vendor.plant("/range/", 200, b'{"status": "OK", "results": [', headers=cut)
    with pytest.raises(ProviderUnavailable):
        client(vendor, timeout_seconds=0.5).fetch(FIRST, LAST, ("AAA",))


def test_a_split_without_its_ratio_and_a_dividend_without_its_date_are_errors(vendor: Vendor) -> None:
    vendor.plant("/splits", 200, b'{"results": [{"ticker": "AAA", "execution_date": "2012-03-08"}]}', times=1)
    with pytest.raises(ProviderError, match="without its ratio"):
        client(vendor).fetch(FIRST, LAST, ("AAA",))
    vendor.plant("/dividends", 200, b'{"results": [{"ticker": "AAA", "cash_amount": 1}]}')
    with pytest.raises(ProviderError, match="dividend dated None"):
        client(vendor).fetch(FIRST, LAST, ("AAA",))


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, f"bad key {KEY}".encode()),
        (429, KEY.encode()),
        (500, KEY.encode()),
        (200, b"{broken"),
        (404, KEY.encode()),
    ],
)
def test_the_key_is_in_no_error_and_in_no_log(
    vendor: Vendor, status: int, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    vendor.plant("/range/", status, body)
    source = client(vendor)
    with pytest.raises(ProviderError) as caught:
        source.fetch(FIRST, LAST, ("AAA",))
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + caplog.text + repr(source)
    assert vendor.url in told or "JSON" in told
    assert KEY not in told
    assert all(KEY not in path for path in vendor.requests)
