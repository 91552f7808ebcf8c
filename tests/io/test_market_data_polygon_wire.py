"""What can go wrong on the wire: the real client, the real sockets, a local server that misbehaves."""

from __future__ import annotations

import gzip
import json
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pandas as pd
import pytest

from ml.errors import ProviderError, ProviderRejected, ProviderUnavailable
from ml.io.market_data.polygon import Polygon
from ml.io.market_data.polygon_http import ATTEMPTS
from ml.io.throttle import FAILURES_TO_OPEN, Throttle, fingerprint
from ml.io.warehouse import Warehouse
from tests.io.polygon_day import BAR, MARKET, ONE, asked, body, deliver, one_day
from tests.io.polygon_server import KEY, Unhurried, Vendor


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with one_day() as running:
        yield running


def test_a_wrong_key_is_final(vendor: Vendor) -> None:
    source = Polygon("wrong", vendor.url, Unhurried())
    with pytest.raises(ProviderRejected, match=r"status 401 .*Unknown API Key"):
        list(source.deliver(ONE, ()))
    assert len(vendor.requests) == 1, "a refusal is not tried again"
    with pytest.raises(ProviderRejected):
        source.last_session()


def test_a_plan_that_does_not_cover_the_bars_is_final(vendor: Vendor) -> None:
    vendor.plant("/range/", 403, b'{"status": "NOT_AUTHORIZED", "message": "You are not entitled to this data."}')
    with pytest.raises(ProviderRejected, match="not entitled") as caught:
        deliver(vendor)
    assert asked(vendor) == 1
    assert "HISTORY_START" not in str(caught.value)


def test_a_history_that_is_too_long_for_the_plan_names_the_setting(vendor: Vendor) -> None:
    told = "Your plan doesn't include this data timeframe. Please upgrade your plan at https://polygon.io/pricing"
    vendor.plant("/aggs/", 403, json.dumps({"status": "NOT_AUTHORIZED", "message": told}).encode())
    for request in (ONE, MARKET):
        with pytest.raises(ProviderRejected, match=r"include this data timeframe.*AFTERBELL_HISTORY_START"):
            deliver(vendor, request)
    assert len(vendor.requests) == 2


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_a_busy_or_broken_vendor_is_tried_again_and_then_unavailable(vendor: Vendor, status: int) -> None:
    vendor.plant("/range/", status, b"slow down")
    with pytest.raises(ProviderUnavailable, match=f"status {status}"):
        deliver(vendor)
    assert asked(vendor) == ATTEMPTS


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_short_failure_is_not_noticed(vendor: Vendor, status: int) -> None:
    vendor.plant("/range/", status, times=2)
    assert len(deliver(vendor)[0].bars) == 1


def test_failures_are_waited_for_longer_each_time_and_at_random(vendor: Vendor) -> None:
    waits = []
    for _ in range(8):
        pacer = Unhurried()
        vendor.plant("/range/", 500, times=3)
        deliver(vendor, pacer=pacer)
        waits.append(pacer.waits[:4])
    for first, *later in waits:
        assert first == 0
        assert all(0 <= wait <= 2**n for n, wait in enumerate(later))
    assert len({wait[3] for wait in waits}) > 1
    assert max(wait[3] for wait in waits) > 1, "longer than the first wait can be"


def test_who_asks_too_often_without_being_told_how_long_to_wait_pauses_every_task(vendor: Vendor) -> None:
    pacer = Unhurried()
    vendor.plant("/range/", 429, times=3)
    deliver(vendor, pacer=pacer)
    assert len(pacer.pauses) == 3
    assert all(0 <= pause <= 16 * 2**n for n, pause in enumerate(pacer.pauses))


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_honoured_in_seconds_and_as_a_date_by_the_vendors_clock(vendor: Vendor, status: int) -> None:
    pacer = Unhurried()
    now = datetime(2030, 1, 1, tzinfo=UTC)
    until = {"Retry-After": format_datetime(now + timedelta(seconds=40), usegmt=True)}
    vendor.plant("/range/", status, headers={"Retry-After": "17"}, times=1)
    vendor.plant("/range/", status, headers={**until, "Date": format_datetime(now, usegmt=True)}, times=1)
    deliver(vendor, pacer=pacer)
    assert pacer.pauses == [17, 40]


def test_the_wish_of_the_last_answer_before_giving_up_still_reaches_the_other_tasks(vendor: Vendor) -> None:
    pacer = Unhurried()
    vendor.plant("/range/", 503, headers={"Retry-After": "50"})
    with pytest.raises(ProviderUnavailable):
        deliver(vendor, pacer=pacer)
    assert pacer.pauses == [50] * ATTEMPTS


@pytest.mark.parametrize("text", ["soon", "-5", "1e9", ""])
def test_an_unreadable_retry_after_is_as_none(vendor: Vendor, text: str) -> None:
    pacer = Unhurried()
    vendor.plant("/range/", 429, headers={"Retry-After": text}, times=1)
    deliver(vendor, pacer=pacer)
    assert 0 <= pacer.pauses[0] <= 16


def test_a_long_retry_after_ends_the_task_at_once_and_holds_off_the_others(vendor: Vendor, warehouse_dsn: str) -> None:
    slept: list[float] = []
    pacer = Throttle(Warehouse(warehouse_dsn), fingerprint("polygon", KEY), 0, slept.append)
    vendor.plant("/range/", 429, headers={"Retry-After": "600"}, times=1)
    for _ in range(2):
        with pytest.raises(ProviderUnavailable, match="wish to be left alone"):
            deliver(vendor, pacer=pacer)
    assert (asked(vendor), slept) == (1, [])


def test_a_dead_vendor_opens_the_circuit_and_is_then_left_alone(vendor: Vendor, warehouse_dsn: str) -> None:
    pacer = Throttle(Warehouse(warehouse_dsn), fingerprint("polygon", KEY), 0, lambda seconds: None)
    vendor.plant("/", 500)
    with pytest.raises(ProviderUnavailable, match="status 500"):
        deliver(vendor, pacer=pacer)
    for _ in range(2):
        with pytest.raises(ProviderUnavailable, match="open circuit after 5 failures in a row"):
            deliver(vendor, pacer=pacer)
    assert len(vendor.requests) == FAILURES_TO_OPEN


def test_a_refusal_is_an_answer_and_opens_no_circuit(vendor: Vendor) -> None:
    pacer = Unhurried()
    for status in (401, 403, 404, 429):
        vendor.plant("/range/", 500, times=1)
        vendor.plant("/range/", status, times=1)
        if status == 429:
            deliver(vendor, pacer=pacer)
        else:
            with pytest.raises(ProviderError):
                deliver(vendor, pacer=pacer)
        assert pacer.failures == 0


def test_every_request_is_paced_pages_and_retries_included(vendor: Vendor) -> None:
    pacer = Unhurried()
    vendor.plant("/range/", 500, times=1)
    deliver(vendor, pacer=pacer)
    deliver(vendor, MARKET, pacer)
    assert len(pacer.waits) == len(vendor.requests)


def test_a_hanging_socket_ends_by_the_timeout(vendor: Vendor) -> None:
    vendor.plant("/range/", seconds=1)
    started = time.monotonic()
    with pytest.raises(ProviderUnavailable, match=r"[Tt]imed? ?out"):
        deliver(vendor, timeout_seconds=0.1)
    assert asked(vendor) == ATTEMPTS
    assert time.monotonic() - started < ATTEMPTS * 0.9


def test_a_dripping_socket_ends_too(vendor: Vendor) -> None:
    vendor.plant("/range/", 200, b" " * 1_000, drip=0.02, headers={"Content-Encoding": "identity"})
    with pytest.raises(ProviderUnavailable, match="no end"):
        deliver(vendor, timeout_seconds=0.1)


def test_nobody_listening_is_unavailable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: nobody else gets this port
        with pytest.raises(ProviderUnavailable, match="refused"):
            Polygon(KEY, f"http://127.0.0.1:{taken.getsockname()[1]}", Unhurried()).last_session()


def test_answers_come_compressed_or_plain(vendor: Vendor) -> None:
    plain = {"Content-Encoding": "identity"}
    vendor.plant("/range/", 200, body([BAR]), headers=plain, times=1)
    assert len(deliver(vendor)[0].bars) == 1
    packed = gzip.compress(body([BAR] * 1_000))
    vendor.plant("/range/", 200, packed, headers={"Content-Encoding": "gzip"}, times=1)
    assert len(deliver(vendor)[0].bars) == 1_000


def test_a_broken_compression_is_unavailable(vendor: Vendor) -> None:
    vendor.plant("/range/", 200, b"no gzip", headers={"Content-Encoding": "gzip"})
    with pytest.raises(ProviderUnavailable, match="gzip"):
        deliver(vendor)


def test_an_answer_cut_off_on_the_wire_is_unavailable(vendor: Vendor) -> None:
    cut = {"Content-Length": "500", "Content-Encoding": "identity", "Connection": "close"}
    vendor.plant("/range/", 200, b'{"status": "OK", "results": [', headers=cut)
    with pytest.raises(ProviderUnavailable):
        deliver(vendor, timeout_seconds=0.5)


@pytest.mark.parametrize(
    "answer",
    [
        b'["a", "list"]',
        b'{"status": "OK", "results": {"o": 1}}',
        b'{"status": "OK", "results": null, "resultsCount": 0}',
        b'{"status": "OK", "results": [null]}',
        b'{"status": "OK", "resultsCount": 8000}',
        b'{"status": "ERROR", "error": "something broke"}',
    ],
)
def test_an_unusable_answer_is_an_error_and_never_an_empty_session(vendor: Vendor, answer: bytes) -> None:
    vendor.plant("/v2/aggs/", 200, answer)
    for request in (ONE, MARKET):
        with pytest.raises(ProviderError) as caught:
            deliver(vendor, request)
        assert not isinstance(caught.value, (ProviderRejected, ProviderUnavailable))
    assert asked(vendor, "/v2/aggs/") == 2, "asked again, it would be the same"


NO_JSON = [
    b'{"status": "OK", "results": [{"T": "AAA", "o": 1',
    b"<html>Bad gateway</html>",
    b'{"status": "OK", "results": "\xff\xfe"}',
    b"[" * 100_000,
    b"",
]


@pytest.mark.parametrize("answer", NO_JSON)
def test_an_answer_that_is_no_json_is_tried_again_and_then_unavailable(vendor: Vendor, answer: bytes) -> None:
    pacer = Unhurried()
    vendor.plant("/v2/aggs/", 200, answer)
    for request in (ONE, MARKET):
        with pytest.raises(ProviderUnavailable, match=f"{len(answer)} bytes that are no JSON from .*/v2/aggs/"):
            deliver(vendor, request, pacer)
    assert asked(vendor, "/v2/aggs/") == pacer.failures == 2 * ATTEMPTS


@pytest.mark.parametrize("answer", NO_JSON)
def test_an_answer_cut_off_once_is_not_noticed(vendor: Vendor, answer: bytes) -> None:
    pacer = Unhurried()
    vendor.plant("/v2/aggs/", 200, answer, times=2)
    assert len(deliver(vendor, pacer=pacer)[0].bars) == 1
    assert pacer.failures == 0


def test_a_price_of_a_wrong_type_costs_its_row_and_not_the_night(vendor: Vendor) -> None:
    wrong = {**BAR, "o": "10.5", "h": None, "l": True, "c": "n/a", "v": [1]}
    vendor.plant("/v2/aggs/", 200, body([wrong, {**BAR, "v": 10**30}]))
    for request in (ONE, MARKET):
        first, second = deliver(vendor, request)[0].bars.itertuples()
        assert first.open == 10.5
        assert pd.isna([first.high, first.low, first.close, first.volume]).all()
        assert second.volume == 1e30


def test_a_ticker_that_is_no_text_is_missing(vendor: Vendor) -> None:
    vendor.plant("/grouped/", 200, body([{**BAR, "T": 7}, BAR]))
    assert deliver(vendor, MARKET)[0].bars["symbol"].isna().tolist() == [True, False]


@pytest.mark.parametrize("stamp", [None, "yesterday", -1, 1e300])
def test_a_bar_without_a_time_is_an_error(vendor: Vendor, stamp: Any) -> None:
    vendor.plant("/range/", 200, body([{**BAR, "t": stamp}]))
    with pytest.raises(ProviderError, match="without its time"):
        deliver(vendor)


@pytest.mark.parametrize(
    ("path", "row", "told"),
    [
        ("/splits", {"ticker": "AAA", "execution_date": "2012-03-08"}, "without its ratio"),
        ("/splits", {"ticker": "AAA", "split_from": 1, "split_to": 2}, "split dated None"),
        ("/splits", {"execution_date": "2012-03-08", "split_from": 1, "split_to": 2}, "split of the ticker None"),
        ("/splits", {"ticker": "AAA", "execution_date": "2012-03-08", "split_from": 0, "split_to": 2}, "its ratio"),
        ("/dividends", {"ticker": "AAA", "cash_amount": 1}, "dividend dated None"),
        ("/dividends", {"ticker": "AAA", "ex_dividend_date": "2012-03-08", "cash_amount": "much"}, "'much'"),
        ("/dividends", {"ticker": "AAA", "ex_dividend_date": "2012-03-08"}, "a dividend of AAA on 2012-03-08 of None"),
    ],
)
def test_an_action_that_cannot_be_read_is_an_error(vendor: Vendor, path: str, row: Any, told: str) -> None:
    vendor.plant(path, 200, body([row]))
    with pytest.raises(ProviderError, match=told):
        deliver(vendor)


def test_a_next_url_of_null_ends_a_listing(vendor: Vendor) -> None:
    vendor.plant("/range/", 200, body([BAR], next_url=None))
    assert len(deliver(vendor)[0].bars) == 1
