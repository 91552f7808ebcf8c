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
RUNS_SHOWN = 100
QUARANTINE_SHOWN = 500
DAYS_COUNTED = 90
DECISIONS_SHOWN = 200


def latest_predictions(symbol: str | None = None, horizon: str | None = None) -> list[Row]:
    """The predictions of the last published night, by symbol and then horizon; None means all."""
    return _rows("serving_latest_predictions", {"symbol": symbol, "horizon": horizon})


def explanations(symbol: str) -> dict[str, list[Row]]:
    """Why the latest predictions of a symbol say what they say, by horizon: pushes up, then down, strongest first."""
    rows = _rows("serving_explanations", {"symbol": symbol})
    return {horizon: [row for row in rows if row["horizon"] == horizon] for horizon in {row["horizon"] for row in rows}}


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


def decisions(horizon: str | None = None, verdict: str | None = None, rows: int = DECISIONS_SHOWN) -> list[Row]:
    """What was decided about champions, newest first, without the evidence; `total` counts those not shown too."""
    return _rows("serving_decisions", {"horizon": horizon, "verdict": verdict, "rows": rows})


def horizons_decided() -> list[Row]:
    """The `horizon`s about which something was decided, shortest first."""
    return _rows("serving_horizons_decided", {})


def decision(decision_id: int) -> Row | None:
    """One decision with its `evidence`, and the rows of its `candidate` and `champion` in `serving.models`."""
    return next(iter(_rows("serving_decision", {"decision_id": decision_id})), None)


def ingest_run(ingest_id: int | None = None, attempt: str | None = None) -> Row | None:
    """One delivery with its counts: by number, by the Airflow run that asked for it, or else the last one.

    attempt: the run as DAG/RUN; of several deliveries of one run (DAG/RUN/FIRST/LAST) the last one
    """
    return next(iter(_rows("serving_ingest_run", {"ingest_id": ingest_id, "attempt": attempt})), None)


def ingest_runs(runs: int = RUNS_SHOWN, attempt: str | None = None) -> list[Row]:
    """The last deliveries, newest first, each with the number of checks that `failed` and that `warned`.

    attempt: an Airflow run as DAG/RUN; then all of its deliveries, however many
    """
    return _rows("serving_ingest_runs", {"attempt": attempt, "runs": None if attempt else runs})


def checks(ingest_id: int) -> list[Row]:
    """What was checked of a delivery: first what stopped it, then what is only told, then what passed."""
    return _rows("serving_checks", {"ingest_id": ingest_id})


def quarantine(ingest_id: int, rows: int = QUARANTINE_SHOWN) -> list[Row]:
    """The refused rows of a delivery with their states, open ones first; `total` counts those not shown too."""
    return _rows("serving_quarantine", {"ingest_id": ingest_id, "rows": rows})


def session_counts(as_of: str, days: int = DAYS_COUNTED) -> list[Row]:
    """Bars believed now and rows refused, by session, in the `days` up to the instant `as_of`."""
    return _rows("serving_sessions", {"as_of": as_of, "days": days})


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
