"""Predictions written and published, and read by symbol."""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np
import pandas as pd
import psycopg2

from ml.domain import Night
from ml.frames import PREDICTIONS
from ml.io.warehouse import Warehouse, publications
from tests.bench.market import Market
from tests.bench.timing import Measured, measure

READS = 300


def publishing(warehouse: Warehouse, market: Market) -> list[Measured]:
    """One night's rows, from writing to publication."""
    symbols = market.received["symbol"].unique()
    _register_versions(warehouse)
    predictions = _predictions(symbols, market.as_of)
    night = Night("equity", market.as_of.to_pydatetime(), market.as_of.to_pydatetime())
    counter = iter(range(10_000))

    def publish() -> None:
        publications.publish(warehouse, night, "s", str(next(counter)), predictions, [], None)

    return [measure("publish", "write, audit row and publish, one transaction", len(predictions), "rows", publish)]


def _register_versions(warehouse: Warehouse) -> None:
    with psycopg2.connect(warehouse.dsn) as connection, connection.cursor() as cursor:
        for horizon in ("1d", "5d", "20d"):
            cursor.execute(
                "insert into lifecycle.model_versions values ('equity', %s, 1, %s, 'r', 'xgboost', '{}', 'd', 'f', 's',"
                " now(), now(), now(), now(), 1, 1, '{}', 'c')",
                (horizon, horizon),
            )


def _predictions(symbols: np.ndarray, as_of: pd.Timestamp) -> pd.DataFrame:
    frame = pd.DataFrame(
        [(symbol, horizon) for horizon in ("1d", "20d", "5d") for symbol in symbols], columns=["entity", "target"]
    )
    constants: dict[str, Any] = {
        "model_version": 1,
        "has_skill": False,
        "p_up": 0.5,
        "direction": "neutral",
        "confidence": 0.0,
    }
    returns = {"expected_return": 0.0, "return_lower": -0.01, "return_upper": 0.01}
    prices = dict.fromkeys(("price", "price_target", "price_lower", "price_upper"), 10.0)
    return PREDICTIONS.cast(frame.assign(matures_at=as_of, **constants, **returns, **prices))


def reads(warehouse: Warehouse, market: Market) -> list[Measured]:
    """One symbol through the view, on one connection."""
    symbols = market.received["symbol"].unique()
    seconds = []
    with psycopg2.connect(warehouse.dsn) as connection, connection.cursor() as cursor:
        for i in range(READS + 20):
            began = time.perf_counter()
            cursor.execute("select * from serving.latest_predictions where symbol = %s", (symbols[i % len(symbols)],))
            cursor.fetchall()
            seconds.append(time.perf_counter() - began)
    counted = sorted(seconds[20:])
    p95 = counted[int(0.95 * len(counted))]
    print(f"  read: p50 {statistics.median(counted) * 1e3:.2f} ms, p95 {p95 * 1e3:.2f} ms", flush=True)
    return [Measured("read", f"one symbol through the view; p95 {p95 * 1e3:.2f} ms", 1, "reads", tuple(counted))]
