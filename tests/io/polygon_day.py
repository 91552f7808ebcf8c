"""One day at the vendor Polygon, for tests of the wire."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import pandas as pd

from ml.frames import RECEIVED
from ml.io.market_data.polygon import Polygon
from ml.io.market_data.received import Part, Request
from ml.io.throttle import Throttle
from tests.io.polygon_server import Unhurried, Vendor, serve

DAY = date(2012, 3, 8)
ONE = Request(DAY, DAY, ("AAA",))
MARKET = Request(DAY, DAY)
BAR = {"T": "AAA", "t": 1331182800000, "o": 10, "h": 12, "l": 9, "c": 11, "v": 1000}


@contextmanager
def one_day() -> Iterator[Vendor]:
    """A vendor that has one bar of one symbol."""
    row = ("AAA", pd.Timestamp(DAY), 10.0, 12.0, 9.0, 11.0, 1000.0)
    with serve(RECEIVED.cast(pd.DataFrame([row], columns=list(RECEIVED.columns)))) as running:
        yield running


def deliver(
    vendor: Vendor, request: Request = ONE, pacer: Unhurried | Throttle | None = None, timeout_seconds: float = 5
) -> list[Part]:
    source = Polygon(vendor.key, vendor.url, pacer or Unhurried(), timeout_seconds)
    return list(source.deliver(request, ()))


def asked(vendor: Vendor, path: str = "/range/") -> int:
    return len([request for request in vendor.requests if path in request])


def body(results: Any, **more: Any) -> bytes:
    return json.dumps({"status": "OK", "results": results, **more}).encode()
