"""`make bench`: every room of the night on an invented market, side by side with the usual way where there is one."""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import psycopg2
from psycopg2.extras import execute_batch

from ml.domain import Night, Target
from ml.equity import adjustment, checks, labels, sessions
from ml.equity.features.catalogue import DEFAULT_SET
from ml.equity.features.compute import compute
from ml.estimators.boosting import XGBoost
from ml.frames import ACTIONS, PREDICTIONS, QUARANTINE
from ml.io.warehouse import Warehouse, bars, publications
from ml.lifecycle.dataset import build
from ml.lifecycle.recipe import Recipe
from ml.lifecycle.splits import SplitPlan, nested
from ml.lifecycle.training import fit, out_of_fold
from tests.bench.timing import Measured, measure, table
from tests.servers import migrated, postgres_server
from tests.steps.market import invented

CALENDAR = "XNYS"
SLOW_ROWS = 5_000
READS = 300


@dataclass(frozen=True)
class Market:
    """What was received, and the same as accepted bars."""

    received: pd.DataFrame
    bars: pd.DataFrame
    as_of: pd.Timestamp


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--symbols", type=int, default=200)
    parser.add_argument("--years", type=int, default=5)
    asked = parser.parse_args()
    market = _market(asked.symbols, asked.years)
    print(f"{len(market.bars):,} bars: {asked.symbols} symbols x {asked.years} years", flush=True)
    rows = [*_checks(market), *_features(market)]
    with _warehouse() as warehouse:
        rows += [*_ingest(warehouse, market), *_bulk_reads(warehouse, market)]
        rows += [*_models(market), *_publishing(warehouse, market), *_reads(warehouse, market)]
    print(f"\nPython {platform.python_version()}, {os.cpu_count()} cores, {len(market.bars):,} bars, seeded.\n")
    print(table(rows))


def _market(symbols: int, years: int) -> Market:
    received = invented([f"S{i:04d}" for i in range(symbols)], date(2015 - years, 1, 1), date(2014, 12, 31))
    as_of = sessions.close_of(CALENDAR, received["date"].max())
    return Market(received, checks.to_bars(received, CALENDAR), as_of)


@contextmanager
def _warehouse() -> Iterator[Warehouse]:
    # With a real server's durability: what is measured here is what a user gets.
    with postgres_server({}) as server:
        yield Warehouse(migrated(server, "bench").dsn)


def _checks(market: Market) -> list[Measured]:
    def check() -> None:
        checks.check_rows(market.received, CALENDAR, market.as_of)

    return [measure("checks", "Great Expectations, 20 row rules", len(market.bars), "rows", check)]


def _features(market: Market) -> list[Measured]:
    adjusted = adjustment.adjust(market.bars, ACTIONS.empty(), CALENDAR)
    count = len(DEFAULT_SET.names)
    return [
        measure(
            "features",
            f"{count} features, one core",
            len(adjusted),
            "bars",
            lambda: compute(adjusted, DEFAULT_SET, CALENDAR),
        ),
        measure(
            "features",
            "adjustment alone",
            len(adjusted),
            "bars",
            lambda: adjustment.adjust(market.bars, ACTIONS.empty(), CALENDAR),
        ),
    ]


def _ingest(warehouse: Warehouse, market: Market) -> list[Measured]:
    count = len(market.bars)
    slow = market.bars.head(SLOW_ROWS)

    def accept() -> None:
        ingest_id = bars.record_landing(warehouse, _landing(market))
        ingest = bars.landing(warehouse, ingest_id)
        bars.accept(warehouse, ingest, market.bars, ACTIONS.empty(), QUARANTINE.empty(), [])

    def forget() -> None:
        with psycopg2.connect(warehouse.dsn) as connection, connection.cursor() as cursor:
            cursor.execute("truncate market.ingest_runs, market.bars, market.bar_revisions cascade")

    def raw_copy() -> None:
        with warehouse.transaction() as transaction:
            transaction.execute("incoming_bars")
            transaction.copy("incoming_bars_copy", market.bars)
            with transaction._connection.cursor() as cursor:
                cursor.execute(
                    "insert into market.bars select '1d', symbol, ts, open, high, low, close, volume, now(), 0"
                    " from incoming_bars"
                )

    def row_by_row() -> None:
        values = list(slow.itertuples(index=False, name=None))
        with psycopg2.connect(warehouse.dsn) as connection, connection.cursor() as cursor:
            execute_batch(
                cursor,
                "insert into market.bars values ('1d', %s, %s, %s, %s, %s, %s, %s, now(), 0)"
                " on conflict (timeframe, symbol, ts) do update set close = excluded.close",
                values,
                page_size=1,
            )

    return [
        measure("ingest", "accept: new bars, revisions kept", count, "rows", accept, forget),
        measure("ingest", "COPY and insert into the same table, nothing else", count, "rows", raw_copy, forget),
        measure("ingest", "INSERT ... ON CONFLICT, row by row", len(slow), "rows", row_by_row, forget),
        measure("ingest", "accept again: nothing changed", count, "rows", accept, repeats=3),
    ]


def _landing(market: Market) -> bars.Landing:
    days = market.received["date"]
    return bars.Landing(
        domain="equity",
        provider="bench",
        source="bench",
        as_of=market.as_of.to_pydatetime(),
        window_start=days.min().date(),
        window_end=days.max().date(),
        received_rows=len(market.received),
        landing_key="bench",
        received_digest="bench",
    )


def _bulk_reads(warehouse: Warehouse, market: Market) -> list[Measured]:
    night = Night("equity", market.as_of.to_pydatetime(), pd.Timestamp.now("UTC").to_pydatetime())
    statement = "select symbol, ts, open, high, low, close, volume from market.bars order by symbol, ts"

    def by_pandas() -> None:
        with psycopg2.connect(warehouse.dsn) as connection:
            pd.read_sql(statement, connection)  # type: ignore[call-overload]  # what users do, with a warning

    count = len(market.bars)
    return [
        measure(
            "bars out", "bars as known, sorted and checked", count, "rows", lambda: bars.bars_as_known(warehouse, night)
        ),
        measure("bars out", "pandas.read_sql", count, "rows", by_pandas, repeats=3),
    ]


def _models(market: Market) -> list[Measured]:
    target = Target("equity", "1d", 1)
    adjusted = adjustment.adjust(market.bars, ACTIONS.empty(), CALENDAR)
    features = compute(adjusted, DEFAULT_SET, CALENDAR)
    dataset = build(features, labels.labels(adjusted, (target,), CALENDAR), target, DEFAULT_SET.names)
    recipe = Recipe("xgboost", XGBoost.defaults, DEFAULT_SET.names, DEFAULT_SET.digest, 1, "vol_cc_20")
    folds = nested(dataset.dates, dataset.date_maturities, SplitPlan(embargo=1)).outer
    oof = out_of_fold(recipe, dataset, folds, 2)
    model = fit(recipe, dataset, oof, 2)
    tonight = features[features["ts"] == market.as_of].drop(columns="ts").reset_index(drop=True)
    return [
        measure(
            "train", "one recipe on all rows, both boosters", len(dataset), "rows", lambda: fit(recipe, dataset, oof, 2)
        ),
        measure("predict", "one horizon of one night", len(tonight), "symbols", lambda: model.forecast(tonight)),
    ]


def _publishing(warehouse: Warehouse, market: Market) -> list[Measured]:
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


def _reads(warehouse: Warehouse, market: Market) -> list[Measured]:
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


if __name__ == "__main__":
    main()
