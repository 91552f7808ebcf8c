"""The data room: checks, bars into Postgres and out of it, beside what most people would write."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from uuid import uuid4

import numpy as np
import pandas as pd
import psycopg2
import pyarrow as pa
import pyarrow.csv
import sqlalchemy
from adbc_driver_postgresql import dbapi
from psycopg2.extras import execute_batch

from ml.domain import Night
from ml.equity import checks
from ml.frames import QUARANTINE
from ml.io.warehouse import Warehouse, acceptance, bars, deliveries
from ml.io.warehouse.connection import Row
from tests.bench.market import CALENDAR, Market
from tests.bench.timing import Measured, measure

SLOW_ROWS = 5_000
OHLCV = ["open", "high", "low", "close", "volume"]
COLUMNS = ["timeframe", "symbol_id", "ts", *OHLCV, "known_at", "ingest_id"]
KNOWN_AT = pd.Timestamp("2015-01-01", tz="UTC")


def checking(_: Warehouse, market: Market) -> list[Measured]:
    """Rows judged by themselves."""

    def check() -> None:
        checks.check_rows(market.received, CALENDAR, market.as_of)

    return [measure("checks", "Great Expectations, row rules", len(market.bars), "rows", check)]


def ingest(warehouse: Warehouse, market: Market) -> list[Measured]:
    """The upsert with revisions beside a raw COPY into the very same table, and beside the usual ways."""
    count = len(market.bars)
    few = market.bars.head(SLOW_ROWS)

    def forget() -> None:
        with psycopg2.connect(warehouse.dsn) as connection, connection.cursor() as cursor:
            cursor.execute("truncate market.ingest_runs, market.bars, market.bar_revisions cascade")
            _prepare(cursor, market)

    def believed() -> None:
        forget()
        accept(warehouse, market, market.bars)

    def restating(share: float) -> Callable[[], None]:
        differs = np.random.default_rng(7).random(count) < share
        delivered = market.bars.assign(high=market.bars["high"] + differs)
        return lambda: accept(warehouse, market, delivered)

    forget()
    encoded = _csv(_numbered(warehouse, market.bars))
    return [
        measure("ingest", "raw COPY of CSV, no comparison", count, "rows", lambda: _raw(warehouse, encoded), forget),
        measure("ingest", "our upsert, all new", count, "rows", lambda: accept(warehouse, market, market.bars), forget),
        measure(
            "ingest", "our upsert, all known", count, "rows", lambda: accept(warehouse, market, market.bars), believed
        ),
        *(
            measure("ingest", f"our upsert, {told} restated", count, "rows", restating(share), believed)
            for told, share in (("1 %", 0.01), ("10 %", 0.1), ("all", 1.0))
        ),
        measure(
            "ingest", "INSERT ... ON CONFLICT by row", len(few), "rows", lambda: _by_row(warehouse, market, few), forget
        ),
        measure("ingest", "pandas.to_sql", count, "rows", lambda: _to_sql(warehouse, market), forget, repeats=3),
    ]


def _prepare(cursor: psycopg2.extensions.cursor, market: Market) -> None:
    """Partitions and ticker numbers, so that every way into the table finds the same."""
    cursor.execute("select market.make_partitions('1d', %s, %s)", (market.bars["ts"].min(), market.bars["ts"].max()))
    cursor.execute(
        "insert into market.symbols (symbol) select unnest(%s) on conflict do nothing",
        (list(market.bars["symbol"].unique()),),
    )


def accept(warehouse: Warehouse, market: Market, delivered: pd.DataFrame) -> None:
    """Take BARS in as a delivery of the market's, without any check."""
    with acceptance.accepting(warehouse, _landed(warehouse, market)) as taking:
        taking.take(delivered)
        taking.finish(QUARANTINE.empty(), [])


def _landed(warehouse: Warehouse, market: Market) -> Row:
    days = market.received["date"]
    delivery = deliveries.Delivery(
        domain="equity",
        kind="night",
        provider="bench",
        source="bench",
        as_of=market.as_of.to_pydatetime(),
        window_start=days.min().date(),
        window_end=days.max().date(),
        symbols=(),
        attempt=uuid4().hex,
    )
    ingest_id = int(deliveries.begin(warehouse, delivery)["ingest_id"])
    deliveries.close(warehouse, ingest_id, "bench")
    return deliveries.find(warehouse, ingest_id)


def _numbered(warehouse: Warehouse, frame: pd.DataFrame) -> pd.DataFrame:
    """The frame as the table's columns."""
    number = {row["symbol"]: row["symbol_id"] for row in warehouse.rows("symbols_all")}
    return pd.DataFrame(
        {
            "timeframe": "1d",
            "symbol_id": frame["symbol"].map(number).astype("int32"),
            "ts": frame["ts"],
            **{column: frame[column] for column in OHLCV},
            "known_at": KNOWN_AT,
            "ingest_id": 0,
        }
    )


def _csv(frame: pd.DataFrame) -> BytesIO:
    buffer = BytesIO()
    rows = pa.Table.from_pandas(frame, preserve_index=False)
    pyarrow.csv.write_csv(rows, buffer, pyarrow.csv.WriteOptions(include_header=False))
    return buffer


def _raw(warehouse: Warehouse, encoded: BytesIO) -> None:
    """COPY of what was encoded beforehand: Postgres' part alone."""
    encoded.seek(0)
    with psycopg2.connect(warehouse.dsn) as connection, connection.cursor() as cursor:
        cursor.copy_expert(f"copy market.bars ({', '.join(COLUMNS)}) from stdin with (format csv)", encoded)


def _by_row(warehouse: Warehouse, market: Market, few: pd.DataFrame) -> None:
    rows = _numbered(warehouse, few)
    values = [tuple(row) for row in rows.astype({"symbol_id": object, "ingest_id": object}).itertuples(index=False)]
    with psycopg2.connect(warehouse.dsn) as connection, connection.cursor() as cursor:
        execute_batch(
            cursor,
            f"insert into market.bars ({', '.join(rows.columns)}) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
            " on conflict (timeframe, symbol_id, ts) do update set close = excluded.close",
            values,
            page_size=1,
        )


def _to_sql(warehouse: Warehouse, market: Market) -> None:
    engine = sqlalchemy.create_engine(warehouse.dsn.replace("postgresql:", "postgresql+psycopg2:"))
    rows = _numbered(warehouse, market.bars)
    rows.to_sql("bars", engine, schema="market", if_exists="append", index=False, chunksize=10_000)
    engine.dispose()


def bulk_reads(warehouse: Warehouse, market: Market) -> list[Measured]:
    """All bars as a sorted frame."""
    accept(warehouse, market, market.bars)
    night = Night("equity", market.as_of.to_pydatetime(), pd.Timestamp.now("UTC").to_pydatetime())
    statement = (
        "select symbol, ts, open, high, low, close, volume from market.bars join market.symbols using (symbol_id)"
        " order by symbol, ts"
    )

    def by_pandas() -> None:
        with psycopg2.connect(warehouse.dsn) as connection:
            pd.read_sql(statement, connection)  # type: ignore[call-overload]  # what users do, with a warning

    def by_adbc() -> None:
        with dbapi.connect(warehouse.dsn) as connection, connection.cursor() as cursor:
            cursor.execute("select symbol_id, ts, open, high, low, close, volume from market.bars")
            cursor.fetch_arrow_table()

    count = len(market.bars)
    return [
        measure("bars out", "bars as known, sorted, checked", count, "rows", lambda: bars.as_known(warehouse, night)),
        measure("bars out", "plain ADBC select of the same columns, unsorted", count, "rows", by_adbc),
        measure("bars out", "pandas.read_sql", count, "rows", by_pandas, repeats=3),
    ]
