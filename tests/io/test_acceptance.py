"""What becomes of bars that are delivered again: the equal are left, what differs keeps its old value as a revision."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, date, datetime
from typing import Any
from uuid import uuid4

import pandas as pd
import psycopg2
import pytest

from ml.frames import BARS, QUARANTINE
from ml.io.warehouse import Warehouse, acceptance, deliveries

FIRST, LAST = date(2011, 12, 1), date(2013, 1, 31)
CLOSES = [
    datetime(2011, 12, 30, 21, tzinfo=UTC),
    datetime(2012, 7, 3, 17, tzinfo=UTC),
    datetime(2013, 1, 2, 21, tzinfo=UTC),
]
KEYS = [(symbol, ts) for symbol in ("AAA", "BBB") for ts in CLOSES]
BELIEVED = (
    "select s.symbol, b.ts, b.close, b.ingest_id, r.known_at from market.bars b join market.symbols s using (symbol_id)"
    " join market.ingest_runs r using (ingest_id) where b.known_at = r.known_at order by 1, 2"
)
REVISED = (
    "select s.symbol, r.ts, r.close, r.known_at, r.ingest_id, r.superseded_at"
    " from market.bar_revisions r join market.symbols s using (symbol_id) order by 1, 2, 4"
)


@pytest.fixture
def house(warehouse_dsn: str) -> Warehouse:
    return Warehouse(warehouse_dsn)


def saying(closes: dict[tuple[str, datetime], float]) -> pd.DataFrame:
    rows = [(*key, close, close, close, close, 7.0) for key, close in closes.items()]
    return BARS.cast(pd.DataFrame(rows, columns=list(BARS.columns)))


def deliver(house: Warehouse, *takes: dict[tuple[str, datetime], float]) -> tuple[int, datetime, acceptance.Counts]:
    """One delivery in so many calls of `take`."""
    asked = deliveries.Delivery("equity", "night", "files", "f", CLOSES[-1], FIRST, LAST, (), uuid4().hex)
    ingest_id = int(deliveries.begin(house, asked)["ingest_id"])
    deliveries.close(house, ingest_id, "digest")
    with acceptance.accepting(house, deliveries.find(house, ingest_id)) as taking:
        for closes in takes:
            taking.take(saying(closes))
        taking.finish(QUARANTINE.empty(), [])
    return ingest_id, taking.known_at, taking.counts


def found(house: Warehouse, query: str) -> list[tuple[Any, ...]]:
    with closing(psycopg2.connect(house.dsn)) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


def test_what_differs_in_any_year_and_call_is_superseded_and_nothing_else(house: Warehouse) -> None:
    one, first_at, _ = deliver(house, dict.fromkeys(KEYS, 10.0))
    aaa, bbb = KEYS[:3], KEYS[3:]
    later = ("CCC", CLOSES[1])
    two, second_at, counts = deliver(
        house,
        {aaa[0]: 11.0, aaa[1]: 10.0, aaa[2]: 12.0},
        {bbb[0]: 10.0, bbb[1]: 13.0, later: 14.0},
    )
    assert (counts.inserted, counts.restated, counts.unchanged) == (1, 3, 2)
    restated = {aaa[0]: 11.0, aaa[2]: 12.0, bbb[1]: 13.0}
    written = {**restated, later: 14.0}
    assert found(house, BELIEVED) == [
        (*key, written[key], two, second_at) if key in written else (*key, 10.0, one, first_at)
        for key in sorted([*KEYS, later])
    ]
    assert found(house, REVISED) == [(*key, 10.0, first_at, one, second_at) for key in sorted(restated)]


def test_a_value_that_comes_back_is_a_third_belief(house: Warehouse) -> None:
    ids, instants = [], []
    for close in (10.0, 11.0, 10.0):
        ingest_id, known_at, _ = deliver(house, dict.fromkeys(KEYS, close))
        ids.append(ingest_id)
        instants.append(known_at)
    assert found(house, BELIEVED) == [(*key, 10.0, ids[2], instants[2]) for key in KEYS]
    believed_until_then = [(10.0, instants[0], ids[0], instants[1]), (11.0, instants[1], ids[1], instants[2])]
    assert found(house, REVISED) == [(*key, *belief) for key in KEYS for belief in believed_until_then]
