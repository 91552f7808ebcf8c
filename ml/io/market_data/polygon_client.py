"""The vendor's REST client with its gaps closed.

polygon-api-client 1.16 builds a timeout but never passes it to a request, raises every refusal as one class without
the HTTP status, takes a body that is no JSON for an empty list, fails on `next_url: null`, and joins a `next_url`
without a leading slash to the host name.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlsplit

from polygon import RESTClient

from ml.errors import ProviderError
from ml.io.market_data.polygon_http import Answer, Http, NotFound
from ml.io.throttle import Pacer


class Client(RESTClient):  # type: ignore[misc]  # the vendor's package has no types
    """RESTClient whose every answer is either usable or one of our errors. The key is in no message."""

    def __init__(self, key: str, base_url: str, timeout_seconds: float, pacer: Pacer) -> None:
        super().__init__(api_key=key, base=base_url.rstrip("/"))
        self.client = Http(key, self.headers, self.BASE, timeout_seconds, pacer)

    def ticker_details(self, ticker: str, day: str | None) -> dict[str, Any] | None:
        """What the vendor knew of the owner of a ticker on a day (None: today), in its own names; None without one."""
        return self._object(lambda: self.get_ticker_details(in_path(ticker), date=day, raw=True))

    def ticker_events(self, identifier: str) -> dict[str, Any] | None:
        """The tickers that a FIGI's owner (or a ticker's present one) has had; None when the vendor does not know."""
        return self._object(lambda: self.get_ticker_events(in_path(identifier), types="ticker_change", raw=True))

    def _object(self, ask: Any) -> dict[str, Any] | None:
        try:
            body = self._body(ask())
        except NotFound:
            return None
        results = body.get("results")
        if not isinstance(results, dict):
            raise self._unusable("`results` that are no object")
        return results

    def _decode(self, resp: Answer) -> dict[str, Any]:
        """The body of a listing: `results` absent, or a list of objects; `next_url` absent, or an address."""
        body = self._body(resp)
        rows = body.get("results", [])
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise self._unusable("`results` that are no list of objects")
        if not rows and _positive(body.get("resultsCount")):
            raise self._unusable(f"no `results` and a resultsCount of {body['resultsCount']!r}")
        if body.get("next_url") is None:
            body.pop("next_url", None)
        elif not _has_path(body["next_url"]):
            raise self._unusable(f"the next_url {body['next_url']!r}")
        return body

    def _body(self, answer: Answer) -> dict[str, Any]:
        body = answer.body
        if not isinstance(body, dict) or body.get("status") == "ERROR":
            raise self._unusable(f"the answer {body!r}")
        return body

    def _unusable(self, found: str) -> ProviderError:
        return ProviderError(
            f"{self.client.shown(found)} from the vendor",
            "a JSON object with `results`",
            "Run the night again; tell the vendor if it stays",
        )


def in_path(name: str) -> str:
    """A ticker as one piece of a path, whatever is in it."""
    return quote(name, safe=":")


def _has_path(address: Any) -> bool:
    try:
        return isinstance(address, str) and urlsplit(address).path.startswith("/")
    except ValueError:
        return False


def _positive(value: Any) -> bool:
    return isinstance(value, int) and value > 0
