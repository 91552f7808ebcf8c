"""A local HTTP server that speaks Polygon's wire format, for the real client to talk to.

    with serve(bars, actions) as vendor:
        Polygon(vendor.key, vendor.url, Unhurried()).deliver(...)

`bars` is a frame as RECEIVED (or its columns), `actions` as ACTIONS. Splits, dividends and tickers can also be given
as the vendor writes them. Faults are planted with `plant`.
"""

from __future__ import annotations

import gzip
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit
from zoneinfo import ZoneInfo

import pandas as pd

from ml.frames import ACTIONS

KEY = "a-secret-key-of-the-tests"
NEW_YORK = ZoneInfo("America/New_York")


@dataclass
class Fault:
    """What a request whose path contains `path` gets instead of its answer, `times` times."""

    path: str
    status: int
    body: bytes
    times: int
    headers: dict[str, str]
    seconds: float
    drip: float


class Unhurried:
    """A Pacer that never sleeps and keeps what it was told: seconds waited and paused, failures since an answer."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.pauses: list[float] = []
        self.failures = 0

    def wait(self, at_least: float = 0.0) -> None:
        self.waits.append(at_least)

    def answered(self) -> None:
        self.failures = 0

    def failed(self) -> None:
        self.failures += 1

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)


@dataclass
class Vendor:
    """The state of one running server; `requests` are the paths with their queries, in order.

    splits, dividends: rows as the vendor writes them, beside those of `actions`.
    tickers: listings with their details, e.g. ticker, active, composite_figi, list_date, delisted_utc.
    events: by FIGI or ticker, the date and the new ticker of each change.
    """

    bars: pd.DataFrame
    actions: pd.DataFrame
    now: datetime
    market: str = "closed"
    key: str = KEY
    page_size: int = 50_000
    url: str = ""
    splits: list[dict[str, Any]] = field(default_factory=list)
    dividends: list[dict[str, Any]] = field(default_factory=list)
    tickers: list[dict[str, Any]] = field(default_factory=list)
    events: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def plant(
        self,
        path: str,
        status: int = 200,
        body: bytes = b"",
        *,
        times: int = 1_000,
        headers: dict[str, str] | None = None,
        seconds: float = 0,
        drip: float = 0,
    ) -> None:
        """Answer requests for `path` with this status and body, after this many seconds, a byte each `drip` seconds."""
        self.faults.append(Fault(path, status, body, times, headers or {}, seconds, drip))

    def fault_for(self, path: str) -> Fault | None:
        for fault in self.faults:
            if fault.path in path and fault.times > 0:
                fault.times -= 1
                return fault
        return None


@contextmanager
def serve(
    bars: pd.DataFrame,
    actions: pd.DataFrame | None = None,
    *,
    now: datetime | None = None,
    market: str = "closed",
    page_size: int = 50_000,
) -> Iterator[Vendor]:
    """A vendor with these bars; its clock says the evening of the last bar unless `now` tells otherwise."""
    last: pd.Timestamp = pd.Timestamp(bars["date"].max()) if len(bars) else pd.Timestamp("2012-01-03")
    vendor = Vendor(
        bars,
        ACTIONS.empty() if actions is None else actions,
        now or last.to_pydatetime().replace(hour=20, tzinfo=NEW_YORK),
        market,
        page_size=page_size,
    )
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"vendor": vendor}))
    server.daemon_threads = True
    vendor.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield vendor
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    vendor: Vendor
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # a head and a body written apart would otherwise wait 40 ms

    def do_GET(self) -> None:
        self.vendor.requests.append(self.path)
        fault = self.vendor.fault_for(self.path)
        if fault is not None:
            time.sleep(fault.seconds)
            self._answer(fault.status, fault.body, fault.headers, fault.drip)
            return
        if self.headers.get("Authorization") != f"Bearer {self.vendor.key}":
            self._json(401, {"status": "ERROR", "request_id": "0", "error": "Unknown API Key"})
            return
        address = urlsplit(self.path)
        for pattern, route in _ROUTES:
            match = re.fullmatch(pattern, address.path)
            if match:
                names = [unquote(part) for part in match.groups()]
                found = route(self.vendor, address.path, dict(parse_qsl(address.query)), *names)
                if found is not None:
                    self._json(200, found)
                    return
        self._json(404, {"status": "NOT_FOUND", "request_id": "0", "message": "Not found."})

    def _json(self, status: int, body: dict[str, Any]) -> None:
        self._answer(status, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def _answer(self, status: int, body: bytes, headers: dict[str, str], drip: float = 0) -> None:
        if "gzip" in self.headers.get("Accept-Encoding", "") and "Content-Encoding" not in headers:
            body, headers = gzip.compress(body, 1), {**headers, "Content-Encoding": "gzip"}
        self.send_response_only(status)
        for name, value in {"Content-Length": str(len(body)), "Date": self.date_time_string(), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            for piece in [bytes([byte]) for byte in body] if drip else [body]:
                self.wfile.write(piece)
                time.sleep(drip)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the tests' output stays readable."""


def _aggs(vendor: Vendor, path: str, query: dict[str, str], ticker: str, *span: str) -> dict[str, Any]:
    first, last = span
    mine = vendor.bars[(vendor.bars["symbol"] == ticker) & _between(vendor.bars["date"], first, last)]
    rows = [_bar(row, _millis(row.date, hour=0)) for row in _records(mine.sort_values("date"))]
    if query.get("sort") == "desc":
        rows.reverse()
    page = _page(vendor, path, query, rows)
    head = {"ticker": ticker, "adjusted": query.get("adjusted", "true") == "true", "queryCount": len(rows)}
    return (
        {**head, "resultsCount": len(page["results"]), **page} if rows else {**head, "resultsCount": 0, "status": "OK"}
    )


def _grouped(vendor: Vendor, path: str, query: dict[str, str], day: str) -> dict[str, Any]:
    mine = vendor.bars[vendor.bars["date"] == pd.Timestamp(day)]
    # the vendor stamps these with the end of the session, unlike the bars of one ticker
    rows = [{"T": row.symbol, **_bar(row, _millis(row.date, hour=16))} for row in _records(mine)]
    head = {"adjusted": False, "queryCount": len(rows), "resultsCount": len(rows), "status": "OK", "request_id": "0"}
    return {**head, "results": rows} if rows else head


def _splits(vendor: Vendor, path: str, query: dict[str, str]) -> dict[str, Any]:
    rows = [
        {
            "id": f"E{row.Index}",
            "execution_date": f"{row.ex_date:%Y-%m-%d}",
            "ticker": row.symbol,
            "split_from": 1 if row.value >= 1 else 1 / row.value,
            "split_to": row.value if row.value >= 1 else 1,
        }
        for row in _records(_chosen(vendor, query, "split", "execution_date"))
    ]
    rows += _written(vendor.splits, query, "execution_date")
    return _page(vendor, path, query, rows)


def _dividends(vendor: Vendor, path: str, query: dict[str, str]) -> dict[str, Any]:
    rows = [
        {
            "id": f"E{row.Index}",
            "cash_amount": row.value,
            "currency": "USD",
            "dividend_type": "SC" if row.kind == "special_dividend" else "CD",
            "ex_dividend_date": f"{row.ex_date:%Y-%m-%d}",
            "frequency": 4,
            "ticker": row.symbol,
        }
        for kind in ("dividend", "special_dividend")
        for row in _records(_chosen(vendor, query, kind, "ex_dividend_date"))
    ]
    rows += _written(vendor.dividends, query, "ex_dividend_date")
    return _page(vendor, path, query, rows)


def _tickers(vendor: Vendor, path: str, query: dict[str, str]) -> dict[str, Any]:
    """The listings, without what only the details tell."""
    rows = [
        {name: value for name, value in row.items() if name not in ("list_date", "sic_description")}
        for row in sorted(vendor.tickers, key=lambda row: str(row["ticker"]))
        if row["active"] == (query.get("active", "true") == "true")
        and query.get("ticker", row["ticker"]) == row["ticker"]
        and query.get("market", "stocks") == row.get("market", "stocks")
    ]
    return _page(vendor, path, query, rows)


def _details(vendor: Vendor, path: str, query: dict[str, str], ticker: str) -> dict[str, Any] | None:
    day = query.get("date", "9999")
    for row in vendor.tickers:
        began, ended = row.get("list_date", "0001"), row.get("delisted_utc", "9999-12-31")
        if row["ticker"] == ticker and began <= day <= ended[:10]:
            return {"results": row, "status": "OK", "request_id": "0"}
    return None


def _events(vendor: Vendor, path: str, query: dict[str, str], identifier: str) -> dict[str, Any] | None:
    if identifier not in vendor.events:
        return None
    events = [
        {"type": "ticker_change", "date": day, "ticker_change": {"ticker": ticker}}
        for day, ticker in vendor.events[identifier]
    ]
    return {"results": {"name": identifier, "events": events}, "status": "OK", "request_id": "0"}


def _status(vendor: Vendor, path: str, query: dict[str, str]) -> dict[str, Any]:
    return {
        "afterHours": vendor.market == "after-hours",
        "earlyHours": vendor.market == "early-hours",
        "market": "extended-hours" if vendor.market.endswith("-hours") else vendor.market,
        "exchanges": {"nasdaq": vendor.market, "nyse": vendor.market, "otc": vendor.market},
        "currencies": {"crypto": "open", "fx": "open"},
        "serverTime": vendor.now.isoformat(timespec="seconds"),
    }


_ROUTES: list[tuple[str, Callable[..., dict[str, Any] | None]]] = [
    (r"/v2/aggs/ticker/([^/]+)/range/1/day/([\d-]+)/([\d-]+)", _aggs),
    (r"/v2/aggs/grouped/locale/us/market/stocks/([\d-]+)", _grouped),
    (r"/v3/reference/splits", _splits),
    (r"/v3/reference/dividends", _dividends),
    (r"/v3/reference/tickers", _tickers),
    (r"/v3/reference/tickers/([^/]+)", _details),
    (r"/vX/reference/tickers/([^/]+)/events", _events),
    (r"/v1/marketstatus/now", _status),
]


def _page(vendor: Vendor, path: str, query: dict[str, str], rows: list[dict[str, Any]]) -> dict[str, Any]:
    """One page of rows; the vendor's `next_url` names its own host and carries an opaque cursor."""
    start = int(query.get("cursor", 0))
    size = min(vendor.page_size, int(query.get("limit", 5_000)))
    page: dict[str, Any] = {"results": rows[start : start + size], "status": "OK", "request_id": "0"}
    if start + size < len(rows):
        page["next_url"] = f"https://api.polygon.io{path}?{urlencode({**query, 'cursor': start + size})}"
    return page


def _chosen(vendor: Vendor, query: dict[str, str], kind: str, day: str) -> pd.DataFrame:
    rows = vendor.actions[vendor.actions["kind"] == kind]
    if "ticker" in query:
        rows = rows[rows["symbol"] == query["ticker"]]
    return rows[_between(rows["ex_date"], query.get(f"{day}.gte", "0001"), query.get(f"{day}.lte", "9999"))]


def _written(rows: list[dict[str, Any]], query: dict[str, str], day: str) -> list[dict[str, Any]]:
    first, last = query.get(f"{day}.gte", "0001"), query.get(f"{day}.lte", "9999")
    mine = [row for row in rows if query.get("ticker", row.get("ticker")) == row.get("ticker")]
    return [row for row in mine if first <= str(row.get(day, first)) <= last]


def _between(days: pd.Series[Any], first: str, last: str) -> pd.Series[bool]:
    text = days.dt.strftime("%Y-%m-%d")
    inside: pd.Series[bool] = text.between(first, last)
    return inside


def _records(frame: pd.DataFrame) -> list[Any]:
    return list(frame.itertuples())


def _bar(row: Any, millis: int) -> dict[str, Any]:
    """The vendor's short names; NaN, which JSON cannot say, is left out."""
    values = {"o": row.open, "h": row.high, "l": row.low, "c": row.close, "v": row.volume}
    return {**{name: float(value) for name, value in values.items() if pd.notna(value)}, "t": millis, "n": 1}


def _millis(day: pd.Timestamp, hour: int) -> int:
    return int((day.to_pydatetime().replace(tzinfo=NEW_YORK) + timedelta(hours=hour)).timestamp() * 1000)
