"""The key to the vendor goes to its host alone, and into no error and no log."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from ml.errors import ProviderError, ProviderRejected
from ml.frames import RECEIVED
from ml.io.market_data.polygon import Polygon
from ml.io.market_data.polygon_http import Http
from tests.io.polygon_day import BAR, ONE, asked, body, deliver, one_day
from tests.io.polygon_server import KEY, Unhurried, Vendor, serve


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with one_day() as running:
        yield running


@pytest.mark.parametrize(
    "next_url",
    [
        "http://other.test/v2/aggs/ticker/AAA/range/1/day/2012-03-08/2012-03-08?cursor=1",
        "https://api.polygon.io//other.test/v2/aggs/ticker/AAA/range/1/day/2012-03-08/2012-03-08",
        "@{other}/v2/aggs",
        ".other.test/v2/aggs",
        "other.test",
        ":80@{other}/v2",
        "http://[broken/v2",
        7,
    ],
)
def test_the_key_goes_to_the_configured_host_and_to_no_other(vendor: Vendor, next_url: Any) -> None:
    with serve(RECEIVED.empty()) as other:
        address = next_url.format(other=other.url.removeprefix("http://")) if isinstance(next_url, str) else next_url
        address = address.replace("http://other.test", other.url) if isinstance(address, str) else address
        vendor.plant("/range/", 200, body([BAR], next_url=address), times=1)
        with suppress(ProviderError):
            deliver(vendor)
        assert other.requests == []
    assert asked(vendor) >= 1


def test_even_a_client_that_asked_another_host_would_not_hand_it_the_key(vendor: Vendor) -> None:
    with serve(RECEIVED.empty()) as other:
        connections = Http(KEY, {"Authorization": f"Bearer {KEY}"}, vendor.url, 1, Unhurried())
        for address in (other.url, vendor.url.replace("http:", "https:"), f"{vendor.url}@{other.url[7:]}"):
            with pytest.raises(ProviderError, match="which may see the key"):
                connections.request("GET", f"{address}/v1/marketstatus/now")
        assert other.requests + vendor.requests == []


def test_a_redirect_is_not_followed(vendor: Vendor) -> None:
    with serve(RECEIVED.empty()) as other:
        vendor.plant("/range/", 302, headers={"Location": other.url + "/v2/aggs"})
        with pytest.raises(ProviderError, match="status 302"):
            deliver(vendor)
        assert other.requests == []


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (401, f"bad key {KEY}".encode()),
        (429, KEY.encode()),
        (500, KEY.encode()),
        (200, b"{broken"),
        (200, body([BAR], next_url=f"other.test?apiKey={KEY}")),
        (200, json.dumps({"status": "ERROR", "error": KEY}).encode()),
        (404, KEY.encode()),
    ],
)
def test_the_key_is_in_no_error_and_in_no_log(
    vendor: Vendor, status: int, answer: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    vendor.plant("/range/", status, answer)
    source = Polygon(vendor.key, vendor.url, Unhurried())
    with pytest.raises(ProviderError) as caught:
        list(source.deliver(ONE, ()))
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + caplog.text + repr(source)
    assert vendor.url in told or "vendor" in told
    assert "GET /v2/aggs" in told, "the debug log of the connections is in what was searched"
    assert KEY not in told
    assert all(KEY not in path for path in vendor.requests)


@pytest.mark.parametrize("key", ["a-secret\nkey", "a-secret key", "a-secret…key"])
def test_a_key_that_no_header_can_carry_is_refused_and_not_quoted(vendor: Vendor, key: str) -> None:
    with pytest.raises(ProviderRejected, match="POLYGON_API_KEY") as caught:
        Polygon(key, vendor.url, Unhurried()).last_session()
    assert "secret" not in "".join(traceback.format_exception(caught.value))


def test_a_key_in_the_vendors_own_next_url_is_not_passed_on(vendor: Vendor, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    second = f"https://api.polygon.io/v2/aggs/ticker/AAA/range/1/day/2012-03-08/2012-03-08?cursor=1&apiKey={KEY}"
    vendor.plant("/range/", 200, body([BAR], next_url=second), times=1)
    deliver(vendor)
    assert "cursor=1" in vendor.requests[1]
    assert KEY not in caplog.text + "".join(vendor.requests)
