"""Hand-written rows for the tests of the views. A test states what matters; DEFAULTS fill the rest."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from psycopg2 import sql
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor
from psycopg2.extras import Json, execute_values

from ml.equity import sessions

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


def story(connection: Connection) -> None:
    """Three nights of two symbols, small enough to check every answer of the SQL guide by hand."""
    _bars(connection)
    _reference(connection)
    _checks(connection)
    _models(connection)
    _nights(connection)
    _features(connection)
    upkeep = {"task": "backup", "succeeded": True, "result": "afterbell.dump, 1.0 MB", "started_at": PAST}
    insert(connection, "lifecycle.maintenance", upkeep)


CORRECTED = ("2024-04-26", "AAPL")
"""The bar that was believed to close at 103 until the night of 2024-05-01."""


def _bars(connection: Connection) -> None:
    insert(
        connection,
        "market.ingest_runs",
        {"ingest_id": 1, "as_of": close("2024-04-24"), "quarantined_rows": 0},
        {"ingest_id": 2, "as_of": close("2024-04-25"), "quarantined_rows": 2},
        {"ingest_id": 3, "as_of": close("2024-05-01"), "inserted_rows": 2, "restated_rows": 1, "quarantined_rows": 1},
    )
    closes = {
        "2024-04-24": {"AAPL": 100.0, "IBM": 200.0},
        "2024-04-25": {"AAPL": 102.0, "IBM": 101.0},
        "2024-04-26": {"AAPL": 101.0, "IBM": 100.0},
        "2024-05-01": {"AAPL": 105.0, "IBM": 110.0},
    }
    for day, prices in closes.items():
        for symbol, price in prices.items():
            ohlc = dict.fromkeys(("open", "high", "low", "close"), price)
            corrected = {"known_at": at("2024-05-01 22:00")} if (day, symbol) == CORRECTED else {}
            insert(connection, "market.bars", {"symbol": symbol, "ts": close(day), **ohlc, **corrected})
    first_word = {"ts": close(CORRECTED[0]), "symbol": CORRECTED[1], "superseded_at": at("2024-05-01 22:00")}
    insert(connection, "market.bar_revisions", {**first_word, "high": 103.0, "close": 103.0})
    insert(
        connection,
        "market.actions",
        {"symbol": "IBM", "ex_date": date(2024, 4, 25), "kind": "split", "value": 2.0},
        {"symbol": "AAPL", "ex_date": date(2024, 4, 26), "kind": "dividend", "value": 1.0},
    )


def _reference(connection: Connection) -> None:
    insert(connection, "market.instruments", {"instrument_id": 1, "vendor_id": "A-1"}, {"instrument_id": 2})
    insert(connection, "market.tickers", {"symbol": "AAPL", "instrument_id": 1}, {"symbol": "IBM", "instrument_id": 2})
    insert(connection, "market.instrument_facts", {"instrument_id": 1, "name": "Apple", "type": "stock"})
    insert(connection, "market.universe_members", {"symbol": "AAPL"}, {"symbol": "IBM"})
    calendar = sessions.table("XNYS", date(2024, 4, 24), date(2024, 5, 1))
    with connection.cursor() as cursor:
        rows = list(calendar.itertuples(index=False, name=None))
        execute_values(cursor, "insert into market.sessions values %s", rows)


def _checks(connection: Connection) -> None:
    saturday = {"session": date(2024, 4, 20), "reason": "no such session", "last_ingest_id": 2}
    negative = {"reason": "negative price", "last_ingest_id": 3}
    insert(
        connection,
        "market.quarantine",
        {"quarantine_id": 1, "symbol": "AAPL", **saturday},
        {"quarantine_id": 2, "symbol": "IBM", **saturday},
        {"quarantine_id": 3, "symbol": "IBM", "session": date(2024, 4, 30), "close": -1.0, **negative},
    )
    insert(
        connection,
        "market.quarantine_reviews",
        {"quarantine_id": 1, "verdict": "reject", "reviewed_by": "ann", "why": "a Saturday"},
    )
    insert(
        connection,
        "market.check_results",
        {"ingest_id": 2, "check_name": "prices are positive", "passed": False, "unexpected_rows": 7},
        {"ingest_id": 3, "check_name": "keys are unique"},
        {
            "ingest_id": 3,
            "check_name": "prices are positive",
            "column_name": "close",
            "passed": False,
            "severity": "warn",
            "observed": "1 row",
            "unexpected_rows": 1,
        },
    )


def _models(connection: Connection) -> None:
    change = {"name": "log_return_1", "category": "price", "formula": "change(log(close), 1)", "lookback": 2}
    ratio = {"name": "mine", "category": "custom", "formula": "close / open", "lookback": 1}
    insert(connection, "market.feature_definitions", {"position": 1, **change}, {"position": 2, **ratio})
    insert(
        connection,
        "lifecycle.model_versions",
        {
            "target": "1d",
            "version": 1,
            "training_key": "1d/1",
            "scores": {"log_loss": 0.690, "baseline_log_loss": 0.692},
        },
        {
            "target": "5d",
            "version": 1,
            "training_key": "5d/1",
            "scores": {"log_loss": 0.691, "baseline_log_loss": 0.693},
        },
        {
            "target": "5d",
            "version": 2,
            "training_key": "5d/2",
            "scores": {"log_loss": 0.683, "baseline_log_loss": 0.693},
            "as_of": close("2024-05-01"),
            "code_commit": "commit two",
        },
        {
            "target": "20d",
            "version": 1,
            "training_key": "20d/1",
            "scores": {"log_loss": 0.695, "baseline_log_loss": 0.693},
        },
    )
    insert(
        connection,
        "lifecycle.decisions",
        {"decision_id": 1, "target": "1d", "candidate_version": 1, "has_skill": True},
        {"decision_id": 2, "target": "5d", "candidate_version": 1},
        {"decision_id": 3, "target": "20d", "candidate_version": 1},
        {
            "decision_id": 4,
            "target": "5d",
            "candidate_version": 2,
            "champion_version": 1,
            "as_of": close("2024-05-01"),
            "door": "replace",
            "reason": "better by more than chance allows",
            "alpha_spent": 0.0002,
            "has_skill": True,
            "evidence": {
                "skill": {"mean": 0.01, "statistic": 3.0, "p_value": 0.002},
                "test": {"mean": 0.008, "statistic": 4.1, "critical": 3.6, "p_value": 0.0001, "n_dates": 504},
            },
        },
    )
    insert(
        connection,
        "lifecycle.promotions",
        {"promotion_id": 1, "target": "1d", "to_version": 1, "decision_id": 1},
        {"promotion_id": 2, "target": "5d", "to_version": 1, "decision_id": 2},
        {"promotion_id": 3, "target": "20d", "to_version": 1, "decision_id": 3},
        {
            "promotion_id": 4,
            "target": "5d",
            "from_version": 1,
            "to_version": 2,
            "decision_id": 4,
            "promoted_at": at("2024-05-01 23:00"),
        },
    )


def _features(connection: Connection) -> None:
    night = {"as_of": close("2024-05-01"), "names": "{rsi_14,vol_cc_20}"}
    insert(connection, "market.latest_feature_nights", night)
    insert(
        connection,
        "market.latest_features",
        {"entity": "AAPL", "feature_values": "{71.5,0.012}"},
        {"entity": "IBM", "feature_values": "{28.25,null}"},
    )


def _nights(connection: Connection) -> None:
    first, second, third = close("2024-04-24"), close("2024-04-25"), close("2024-05-01")
    insert(
        connection,
        "lifecycle.publications",
        {"publication_id": 1, "as_of": first, "published_at": at("2024-04-24 22:30"), "row_count": 4},
        {"publication_id": 2, "as_of": second, "published_at": at("2024-04-25 22:30"), "row_count": 4},
        {"publication_id": 3, "as_of": third, "published_at": at("2024-05-01 22:30"), "row_count": 6},
        {"publication_id": 4, "as_of": third, "published_at": at("2024-05-01 23:10"), "row_count": 6},
    )
    insert(
        connection,
        "lifecycle.predictions",
        prediction(1, "AAPL", "1d", first, 0.60, matures_at=second),
        prediction(1, "IBM", "1d", first, 0.60, matures_at=second),
        prediction(1, "AAPL", "5d", first, 0.55, matures_at=third, has_skill=False),
        prediction(1, "IBM", "5d", first, 0.45, matures_at=third, has_skill=False),
        prediction(2, "AAPL", "1d", second, 0.40, matures_at=close("2024-04-26")),
        prediction(2, "IBM", "1d", second, 0.60, matures_at=close("2024-04-26")),
        prediction(2, "AAPL", "5d", second, 0.50, matures_at=close("2024-05-02"), has_skill=False),
        prediction(2, "IBM", "5d", second, 0.50, matures_at=close("2024-05-02"), has_skill=False),
    )
    for publication_id, aapl_5d, version, has_skill in ((3, 0.52, 1, False), (4, 0.66, 2, True)):
        five = {"model_version": version, "has_skill": has_skill, "matures_at": close("2024-05-08")}
        insert(
            connection,
            "lifecycle.predictions",
            prediction(publication_id, "AAPL", "1d", third, 0.58, matures_at=close("2024-05-02")),
            prediction(publication_id, "IBM", "1d", third, 0.50, matures_at=close("2024-05-02")),
            prediction(publication_id, "AAPL", "5d", third, aapl_5d, **five),
            prediction(publication_id, "IBM", "5d", third, 0.57, **five),
            prediction(publication_id, "AAPL", "20d", third, 0.30, matures_at=close("2024-05-30"), has_skill=False),
            prediction(publication_id, "IBM", "20d", third, 0.70, matures_at=close("2024-05-30"), has_skill=False),
        )
