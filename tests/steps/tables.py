"""All that the schema `market` holds, in words that are the same for the same story: without clocks and numbers."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any

import psycopg2

_TABLES = (
    "select relname from pg_class where relnamespace = 'market'::regnamespace and relkind in ('r', 'p')"
    " and not relispartition order by relname"
)
_CLOCKS = ("requested_at", "landed_at", "checked_at", "reviewed_at")
_NUMBERS = ("quarantine_id", "review_id")
Rows = list[dict[str, Any]]


def tables(dsn: str) -> dict[str, list[str]]:
    """The rows of every table. An instant of knowledge becomes its place in the order of deliveries, a number the name
    of what it numbers. A delivery that landed and was then asked for again is left out: nobody will look at it."""
    with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        raw = {name: _rows(cursor, f"select to_jsonb(t) from market.{name} t") for name in _rows(cursor, _TABLES)}
    given_up = _given_up(raw["ingest_runs"])
    names = _names(raw)

    def stands(row: dict[str, Any]) -> bool:
        return row.get("ingest_id") not in given_up

    return {
        name: sorted(json.dumps(_told(row, names), sort_keys=True) for row in rows if stands(row))
        for name, rows in raw.items()
    }


def _rows(cursor: Any, statement: str) -> list[Any]:
    cursor.execute(statement)
    return [value for (value,) in cursor.fetchall()]


def _given_up(runs: Rows) -> set[int]:
    last = {run["attempt"]: run["ingest_id"] for run in sorted(runs, key=lambda run: int(run["ingest_id"]))}
    return {run["ingest_id"] for run in runs if run["status"] == "landed" and last[run["attempt"]] != run["ingest_id"]}


def _names(raw: dict[str, Rows]) -> dict[str, dict[Any, Any]]:
    """By column, what each generated value stands for."""
    symbols = {row["symbol_id"]: row["symbol"] for row in raw["symbols"]}
    alone = {row["instrument_id"]: f"who is behind {symbols[row['symbol_id']]}" for row in raw["tickers"]}
    attempts = {row["ingest_id"]: row["attempt"] for row in raw["ingest_runs"]}
    instants = sorted({row["known_at"] for row in raw["ingest_runs"] if row["known_at"]})
    order = {instant: number for number, instant in enumerate(instants)}
    return {
        "symbol_id": symbols,
        "instrument_id": {r["instrument_id"]: r["vendor_id"] or alone[r["instrument_id"]] for r in raw["instruments"]},
        **dict.fromkeys(("ingest_id", "first_ingest_id", "last_ingest_id"), attempts),
        "known_at": {**order, None: None},
        "superseded_at": {**order, None: None},
    }


def _told(row: dict[str, Any], names: dict[str, dict[Any, Any]]) -> dict[str, Any]:
    return {
        column: names[column].get(value, "of nothing that is there") if column in names else value
        for column, value in row.items()
        if column not in (*_CLOCKS, *_NUMBERS)
    }
