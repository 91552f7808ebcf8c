"""The vendor's REST client with its three gaps closed.

polygon-api-client 1.16 builds a timeout but never passes it to a request, raises every refusal as one
class without the HTTP status, and answers a body that is no JSON with an empty list.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

import certifi
import urllib3
from polygon import RESTClient

from ml.errors import ProviderError, ProviderRejected, ProviderUnavailable

_RETRIES = 2
_TRY_AGAIN = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
_SHOWN = 200


class Client(RESTClient):  # type: ignore[misc]  # the vendor's package has no types
    """RESTClient whose every answer is either usable or one of our errors. The key is in no message."""

    def __init__(self, key: str, base_url: str, timeout_seconds: float) -> None:
        super().__init__(api_key=key, base=base_url.rstrip("/"))
        self.client = _Http(key, self.headers, timeout_seconds)

    def _decode(self, resp: urllib3.BaseHTTPResponse) -> dict[str, Any]:
        try:
            body = json.loads(resp.data)
        except ValueError as error:
            # not a ValueError again: the client would take that for an answer without results
            raise _unusable(f"{len(resp.data)} bytes that are no JSON ({error})") from error
        if not isinstance(body, dict) or body.get("status") == "ERROR":
            raise _unusable(f"the answer {str(body)[:_SHOWN]!r}")
        if not isinstance(body.get("results", []), list):
            raise _unusable("`results` that are no list")
        return body


class _Http(urllib3.PoolManager):
    """Connections that always have a timeout, retry little, and turn failures into our errors."""

    def __init__(self, key: str, headers: dict[str, str], timeout_seconds: float) -> None:
        super().__init__(
            headers=headers,
            ca_certs=certifi.where(),
            cert_reqs="CERT_REQUIRED",
            timeout=urllib3.Timeout(connect=timeout_seconds, read=timeout_seconds),
            retries=urllib3.Retry(
                total=_RETRIES,
                status_forcelist=(429, 500, 502, 503, 504),
                backoff_factor=0.2,
                raise_on_status=False,  # the last answer says why
                respect_retry_after_header=False,  # the night's own retries wait longer than a task should sleep
            ),
        )
        self._key = key

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> urllib3.BaseHTTPResponse:
        address = urllib3.util.parse_url(url)._replace(query=None, auth=None).url
        try:
            response = super().request(method, url, *args, **kwargs)
        except urllib3.exceptions.HTTPError as error:
            raise ProviderUnavailable(
                f"no answer from {address} ({self._shown(str(getattr(error, 'reason', None) or error))})",
                "an answer within the timeout",
                "Check the network and AFTERBELL_POLYGON_BASE_URL, then run the night again",
            ) from error
        if response.status != HTTPStatus.OK:
            raise self._refusal(response, address)
        return response

    def _refusal(self, response: urllib3.BaseHTTPResponse, address: str) -> ProviderError:
        said = self._shown(response.data.decode("utf-8", "replace"))
        found = f"status {response.status} from {address} ({said})"
        if response.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return ProviderRejected(
                found, "a key and a plan that may read these bars", "Check POLYGON_API_KEY and the vendor's plan"
            )
        if response.status in _TRY_AGAIN or response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return ProviderUnavailable(found, "status 200", "Run the night again later")
        return ProviderError(found, "status 200", "Check AFTERBELL_SYMBOLS and AFTERBELL_POLYGON_BASE_URL")

    def _shown(self, text: str) -> str:
        return text.replace(self._key, "***")[:_SHOWN].strip()


def _unusable(found: str) -> ProviderError:
    return ProviderError(
        f"{found} from the vendor", "a JSON object with `results`", "Run the night again; tell the vendor if it stays"
    )
