"""Reading what was published: the `serving` views, as the reader role, in read-only transactions.

Every function returns plain rows ready for JSON: instants and dates as ISO 8601 text (instants in
UTC), numbers as they are, and None where a value is missing or not finite.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from psycopg2.extras import RealDictCursor

from ml.io.postgres import connected
from ml.io.queries import query
from ml.settings import settings

Row = dict[str, Any]

CONNECT_SECONDS = 5
STATEMENT_MILLISECONDS = 10_000
SESSIONS_SHOWN = 250


def latest_predictions(symbol: str | None = None, horizon: str | None = None) -> list[Row]:
    """The predictions of the last published night, by symbol and then horizon; None means all."""
    return _rows("serving_latest_predictions", {"symbol": symbol, "horizon": horizon})


def freshness() -> list[Row]:
    """The last publication of each domain: `as_of`, `published_at`, `is_stale`, `is_replay`, `row_count`..."""
    return _rows("serving_freshness", {})


def champions() -> list[Row]:
    """The model that serves each horizon, its scores and the baseline's beside them, shortest horizon first."""
    return _rows("serving_champions", {})


def price_series(symbol: str, sessions: int = SESSIONS_SHOWN) -> list[Row]:
    """The last `sessions` daily bars, oldest first: prices as traded, and `adjusted_close`.

    `adjusted_close` is in shares as they are after the last of these bars (splits only; dividends
    stay in, as price charts have it), so that a split makes no cliff.
    """
    return _rows("serving_price_series", {"symbol": symbol, "sessions": sessions})


def actions(symbol: str, sessions: int = SESSIONS_SHOWN) -> list[Row]:
    """The splits and dividends within the last `sessions` daily bars, oldest first."""
    return _rows("serving_actions", {"symbol": symbol, "sessions": sessions})


def prediction_series(symbol: str, horizon: str, nights: int = SESSIONS_SHOWN) -> list[Row]:
    """The last word of each of the last `nights` on a symbol, oldest first; `adjusted_*` prices fit `price_series`."""
    return _rows("serving_prediction_series", {"symbol": symbol, "horizon": horizon, "nights": nights})


def _rows(name: str, parameters: Mapping[str, Any]) -> list[Row]:
    """The answer of one query; WarehouseUnavailable when the server is not there or goes away."""
    options = f"-c default_transaction_read_only=on -c statement_timeout={STATEMENT_MILLISECONDS} -c timezone=UTC"
    session = {"cursor_factory": RealDictCursor, "connect_timeout": CONNECT_SECONDS, "options": options}
    dsn = settings().require_reader_dsn()
    with connected(dsn, **session) as connection, connection, connection.cursor() as cursor:
        cursor.execute(query(name), parameters)
        return [{column: _plain(value) for column, value in dict(row).items()} for row in cursor.fetchall()]


def _plain(value: Any) -> Any:
    """The value as JSON can carry it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
