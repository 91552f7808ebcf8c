"""Hand-written rows for the tests of the views. A test states what matters; DEFAULTS fill the rest."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from psycopg2 import sql
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor
from psycopg2.extras import Json

Row = Mapping[str, Any]

FAR = datetime(2999, 1, 1, tzinfo=UTC)
PAST = datetime(2001, 1, 1, tzinfo=UTC)


def close(day: str) -> datetime:
    """A session's close at 20:00 UTC (16:00 in New York in summer), e.g. close("2024-05-01")."""
    return datetime.fromisoformat(f"{day}T20:00:00+00:00")


def at(instant: str) -> datetime:
    """An instant in UTC, e.g. at("2024-05-01 22:30")."""
    return datetime.fromisoformat(f"{instant}+00:00")


_OHLCV = {"open": 100.0, "high": 100.0, "low": 100.0, "close": 100.0, "volume": 1000.0}

DEFAULTS: dict[str, Row] = {
    "market.ingest_runs": {
        "domain": "equity",
        "provider": "files",
        "source": "a folder",
        "window_start": date(2024, 1, 1),
        "window_end": date(2024, 5, 1),
        "received_rows": 10,
        "received_digest": "digest",
        "status": "accepted",
        "known_at": PAST,
    },
    "market.bars": {"timeframe": "1d", **_OHLCV, "known_at": PAST, "ingest_id": 1},
    "market.bar_revisions": {"timeframe": "1d", **_OHLCV, "known_at": PAST, "ingest_id": 1},
    "market.actions": {"known_at": PAST, "ingest_id": 1},
    "market.sessions": {"is_early_close": False},
    "market.instruments": {},
    "market.tickers": {"known_at": PAST},
    "market.instrument_facts": {"known_at": PAST},
    "market.universe_members": {"known_at": PAST},
    "market.quarantine": {**_OHLCV, "first_ingest_id": 1, "last_ingest_id": 1},
    "market.quarantine_reviews": {},
    "market.feature_definitions": {
        "feature_set_digest": "features",
        "feature_set": "daily",
        "feature_set_version": 2,
        "description": "",
        "inputs": "{close}",
        "unit": "none",
        "nan_policy": "until the lookback is full",
        "is_cross_sectional": False,
        "source": "",
    },
    "market.check_results": {
        "suite": "received",
        "severity": "fail",
        "passed": True,
        "observed": "0 rows",
        "expected": "0 rows",
        "unexpected_rows": 0,
    },
    "market.latest_feature_nights": {
        "domain": "equity",
        "known_at": PAST,
        "snapshot_digest": "snapshot",
        "feature_set_digest": "features",
    },
    "market.latest_features": {"domain": "equity"},
    "lifecycle.model_versions": {
        "domain": "equity",
        "run_id": "run",
        "estimator": "xgboost",
        "recipe": {"estimator": "xgboost"},
        "recipe_digest": "recipe",
        "feature_set_digest": "features",
        "snapshot_digest": "snapshot",
        "as_of": close("2024-04-23"),
        "known_at": at("2024-04-23 22:00"),
        "train_start": close("2020-01-02"),
        "train_end": close("2024-04-22"),
        "train_rows": 5000,
        "trials": 20,
        "scores": {},
        "importance": [{"feature": "rsi_14", "importance": 0.02}, {"feature": "vol_cc_20", "importance": 0.01}],
        "code_commit": "commit",
    },
    "lifecycle.decisions": {
        "domain": "equity",
        "as_of": close("2024-04-23"),
        "door": "first",
        "verdict": "promote",
        "reason": "there was no champion",
        "alpha_spent": 0.0,
        "has_skill": False,
        "evidence": {},
        "decided_by": "the gate",
    },
    "lifecycle.promotions": {"domain": "equity"},
    "lifecycle.freezes": {"domain": "equity"},
    "lifecycle.refresh_limits": {"domain": "equity"},
    "lifecycle.approvals": {"decided_at": at("2024-05-01 22:50")},
    "lifecycle.retrain_requests": {"domain": "equity", "reason": "drift_detected", "requested_by": "ann"},
    "lifecycle.maintenance": {},
    "lifecycle.publications": {
        "domain": "equity",
        "known_at": PAST,
        "snapshot_digest": "snapshot",
        "content_key": "content",
        "row_count": 1,
        "audit": [],
        "expires_at": FAR,
    },
    "lifecycle.predictions": {
        "domain": "equity",
        "model_version": 1,
        "has_skill": True,
        "p_up": 0.5,
        "direction": "neutral",
        "confidence": 0.5,
        "expected_return": 0.0,
        "return_lower": -0.1,
        "return_upper": 0.1,
        "price": 100.0,
        "price_target": 100.0,
        "price_lower": 90.0,
        "price_upper": 110.0,
        "return_lower_95": -0.2,
        "return_upper_95": 0.2,
        "return_stop": -0.16,
        "price_stop": 84.0,
        "target_probability": 0.25,
        "risk_score": 40.0,
        "similar_share_up": 0.52,
        "similar_dates": 120,
        "dissimilarity": 0.01,
        "is_outlier": False,
        "members": {"xgboost": 0.6, "lstm": 0.4},
        "reasons": [
            {"feature": "rsi_14", "effect": 0.02, "value": 23.0, "share_below": 0.05, "words": "RSI: pushes up"},
            {"feature": "vol_cc_20", "effect": -0.01, "value": 0.02, "share_below": 0.7, "words": "vol: pushes down"},
        ],
    },
    "lifecycle.shadow_predictions": {"domain": "equity", "role": "challenger", "expected_return": 0.0},
    "lifecycle.shadow_scores": {"domain": "equity", "role": "challenger", "n": 2, "score": 0.69, "difference": 0.001},
}


BY_NUMBER = ("market.bars", "market.bar_revisions", "market.tickers")
"""Tables that know a symbol by its number only."""


def insert(connection: Connection, table: str, *rows: Row) -> None:
    """Insert rows, each completed by the table's defaults; identity columns may be given. Bars and tickers are given
    with their `symbol`, of which this makes the number (and of a bar's instant the partition) where it is missing."""
    with connection.cursor() as cursor:
        for row in rows:
            values = {**DEFAULTS[table], **row}
            if table in BY_NUMBER:
                values["symbol_id"] = _number(cursor, values.pop("symbol"))
            if table == "market.bars":
                cursor.execute("select market.make_partitions(%(timeframe)s, %(ts)s, %(ts)s)", values)
            cursor.execute(
                sql.SQL("insert into {} ({}) overriding system value values ({})").format(
                    sql.Identifier(*table.split(".")),
                    sql.SQL(", ").join(map(sql.Identifier, values)),
                    sql.SQL(", ").join(map(sql.Placeholder, values)),
                ),
                {name: Json(value) if isinstance(value, dict | list) else value for name, value in values.items()},
            )


def _number(cursor: Cursor, symbol: str) -> int:
    cursor.execute("insert into market.symbols (symbol) values (%s) on conflict do nothing", (symbol,))
    cursor.execute("select symbol_id from market.symbols where symbol = %s", (symbol,))
    ((number,),) = cursor.fetchall()
    return int(number)


def prediction(publication_id: int, entity: str, target: str, as_of: datetime, p_up: float, **more: Any) -> Row:
    """One prediction whose direction follows from `p_up` by the product's thresholds (0.55 and 0.45)."""
    return {
        "publication_id": publication_id,
        "entity": entity,
        "target": target,
        "as_of": as_of,
        "matures_at": FAR,
        "p_up": p_up,
        "direction": "up" if p_up >= 0.55 else "down" if p_up <= 0.45 else "neutral",
        "confidence": abs(p_up - 0.5) * 2,
        **more,
    }
