"""Requests to the vendor: paced, with a timeout, tried again where that can help, and never with the key in a word.

A request goes to the configured host and nowhere else: the vendor's `next_url`, and a redirect, could name another
one, which would then be handed the key.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from secrets import SystemRandom
from typing import Any
from urllib.parse import parse_qsl, urlencode

import certifi
import urllib3

from ml.errors import ProviderError, ProviderRejected, ProviderUnavailable
from ml.io.throttle import Pacer

log = logging.getLogger(__name__)

ATTEMPTS = 4
_BACKOFF = 1.0  # seconds; doubled by each attempt
_BACKOFF_BUSY = 16.0  # the same where the vendor counts requests by the minute and does not say how long to wait
_WHOLE_ANSWER = 6  # times the timeout, within which an answer must have come to its end
_CHUNK = 2**20
_SHOWN = 200
_TRY_AGAIN = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
_MAY_SAY_WHEN = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
_REFUSED = "Check POLYGON_API_KEY and the vendor's plan"
_TOO_OLD = (
    "Set AFTERBELL_HISTORY_START (of a backfill, its start) to the first day that the plan covers, or change the plan"
)
_random = SystemRandom()


@dataclass(frozen=True)
class Answer:
    """A whole answer, decompressed; `body` is what the data of one with status 200 say in JSON."""

    status: int
    headers: Mapping[str, str]
    data: bytes
    body: Any = None


class Http:
    """What the vendor's client uses in place of its own connections. The key is in no message of it."""

    def __init__(
        self, key: str, headers: Mapping[str, str], base_url: str, timeout_seconds: float, pacer: Pacer
    ) -> None:
        if not key.isascii() or not key.isprintable() or " " in key:
            # sent as it is, the key would be quoted by the error of the connection
            raise ProviderRejected(
                "a key with blanks, line breaks or letters beyond ASCII",
                "the key as the vendor shows it",
                "Correct POLYGON_API_KEY in the environment or in .env",
            )
        self._key = key
        self._origin = _origin(base_url)
        self._pacer = pacer
        self._whole_answer = _WHOLE_ANSWER * timeout_seconds
        self._connections = urllib3.PoolManager(
            headers=dict(headers),
            ca_certs=certifi.where(),
            cert_reqs="CERT_REQUIRED",
            timeout=urllib3.Timeout(connect=timeout_seconds, read=timeout_seconds),
            retries=False,
        )

    def request(
        self, method: str, url: str, fields: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """The answer with status 200; otherwise ProviderRejected, ProviderUnavailable or ProviderError."""
        if _origin(url) != self._origin:
            raise ProviderError(
                f"a request to {self.shown(str(urllib3.util.parse_url(url).host))}",
                f"requests to {self._origin[1]} only, which may see the key",
                "Check AFTERBELL_POLYGON_BASE_URL; the vendor's next_url may have changed its form",
            )
        url, attempt, delay = _without_key(url, self._key), 1, 0.0
        while True:
            self._pacer.wait(delay)
            try:
                return self._once(method, url, fields, headers)
            except _TryAgain as trouble:
                delay = self._delay(trouble, attempt)
                if attempt == ATTEMPTS:
                    raise trouble.error from trouble.error.__cause__
                log.warning("asked again (%d of %d): %s", attempt, ATTEMPTS - 1, trouble.error.found)
                attempt += 1

    def shown(self, text: str) -> str:
        """The beginning of a text, without the key."""
        return text.replace(self._key, "***")[:_SHOWN].strip()

    def _once(
        self, method: str, url: str, fields: Mapping[str, Any] | None, headers: Mapping[str, str] | None
    ) -> Answer:
        address = _address(url)
        try:
            answer = self._read(method, url, fields, headers)
        except urllib3.exceptions.HTTPError as error:
            self._pacer.failed()
            raise _TryAgain(self._no_answer(address, error)) from error
        if answer.status == HTTPStatus.OK:
            return self._understood(answer, address)
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self._pacer.failed()
        else:
            self._pacer.answered()
        raise self._refusal(answer, address)

    def _understood(self, answer: Answer, address: str) -> Answer:
        """The answer with its body. What is no JSON was cut off, or is the page of a server in between: both pass."""
        try:
            answer = replace(answer, body=json.loads(answer.data))
        except (ValueError, RecursionError) as error:
            self._pacer.failed()
            shown = self.shown(answer.data.decode("utf-8", "replace")) or "nothing"
            unavailable = ProviderUnavailable(
                f"{len(answer.data)} bytes that are no JSON from {address} ({shown})",
                "a JSON object",
                "Run the night again later; tell the vendor if it stays",
            )
            raise _TryAgain(unavailable) from error
        self._pacer.answered()
        return answer

    def _read(
        self, method: str, url: str, fields: Mapping[str, Any] | None, headers: Mapping[str, str] | None
    ) -> Answer:
        """The whole body, within a time: one byte now and then keeps a socket's own timeout from ever passing."""
        response = self._connections.request(
            method, url, fields=fields, headers=headers, preload_content=False, redirect=False
        )
        until, body = time.monotonic() + self._whole_answer, bytearray()
        try:
            while chunk := response.read1(_CHUNK):
                body += chunk
                if time.monotonic() > until:
                    raise urllib3.exceptions.TimeoutError(f"timed out: {len(body)} bytes and no end")
        except BaseException:
            response.close()
            raise
        return Answer(response.status, response.headers, bytes(body))

    def _delay(self, trouble: _TryAgain, attempt: int) -> float:
        """Seconds before this task asks again; what concerns every task is told to the pacer instead."""
        if trouble.asked_for is not None:
            self._pacer.pause(trouble.asked_for)
            return 0.0
        if trouble.busy:
            self._pacer.pause(_random.uniform(0, _BACKOFF_BUSY * 2 ** (attempt - 1)))
            return 0.0
        return _random.uniform(0, _BACKOFF * 2 ** (attempt - 1))

    def _refusal(self, answer: Answer, address: str) -> Exception:
        status = answer.status
        found = f"status {status} from {address} ({self.shown(answer.data.decode('utf-8', 'replace'))})"
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            # the vendor's words: "Your plan doesn't include this data timeframe"
            too_old = status == HTTPStatus.FORBIDDEN and b"timeframe" in answer.data
            return ProviderRejected(found, "a key and a plan that may read this", _TOO_OLD if too_old else _REFUSED)
        if status in _TRY_AGAIN or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            error = ProviderUnavailable(found, "status 200", "Run the night again later")
            asked_for = _retry_after(answer.headers) if status in _MAY_SAY_WHEN else None
            return _TryAgain(error, asked_for, busy=status == HTTPStatus.TOO_MANY_REQUESTS)
        if status == HTTPStatus.NOT_FOUND:
            return NotFound(found, "something the vendor knows", "Check AFTERBELL_SYMBOLS")
        return ProviderError(found, "status 200", "Check AFTERBELL_SYMBOLS and AFTERBELL_POLYGON_BASE_URL")

    def _no_answer(self, address: str, error: Exception) -> ProviderUnavailable:
        unavailable = ProviderUnavailable(
            f"no answer from {address} ({self.shown(str(error))})",
            "an answer within the timeout",
            "Check the network and AFTERBELL_POLYGON_BASE_URL, then run the night again",
        )
        unavailable.__cause__ = error
        return unavailable


class NotFound(ProviderError, LookupError):
    """Status 404: the vendor does not know what was asked for."""


class _TryAgain(Exception):
    """A failure that may pass. asked_for: seconds in which the vendor wants no request; busy: it counts requests."""

    def __init__(self, error: ProviderUnavailable, asked_for: float | None = None, busy: bool = False) -> None:
        super().__init__(error)
        self.error, self.asked_for, self.busy = error, asked_for, busy


def _origin(url: str) -> tuple[str | None, str | None, int | None]:
    parts = urllib3.util.parse_url(url)
    return parts.scheme, parts.host, parts.port


def _address(url: str) -> str:
    return str(urllib3.util.parse_url(url)._replace(query=None, auth=None))


def _without_key(url: str, key: str) -> str:
    """The same address without a parameter that holds the key: it goes in a header, which nobody logs."""
    head, _, query = url.partition("?")
    if key not in query:
        return url
    return f"{head}?{urlencode([(name, value) for name, value in parse_qsl(query) if key not in value])}"


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds, written as such or as an HTTP date, which is read by the vendor's own clock; None where unreadable."""
    text = headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text)
    until = _http_date(text)
    if until is None:
        return None
    return max(0.0, (until - (_http_date(headers.get("Date", "")) or datetime.now(UTC))).total_seconds())


def _http_date(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text).replace(tzinfo=UTC)
    except (TypeError, ValueError):
        return None
