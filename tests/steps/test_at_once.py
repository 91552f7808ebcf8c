"""Deliveries that are taken in at the same time: each order has one outcome, and nobody reads what is not there yet.

The order is made certain, not hoped for: the test holds the lock under which bars are written, has the deliveries queue
up before it one by one (Postgres serves them in that order), and lets go.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg2
import pytest

from ml.io.store import frame_digest
from ml.io.warehouse import Warehouse, acceptance, deliveries
from ml.settings import Settings, settings
from ml.steps import backfill, ingest, validate
from ml.steps.history import as_known
from ml.steps.night import asked_for, parse
from tests.servers import WarehouseAddress
from tests.steps.market import SYMBOLS, bars, seen, write

BARS = "select symbol, ts::date, close from serving.bars order by symbol, ts"
REVISIONS = (
    "select s.symbol, r.ts::date, r.close, r.ingest_id, r.superseded_at"
    " from market.bar_revisions r join market.symbols s using (symbol_id) order by 1, 2, r.superseded_at"
)
ACCEPTED = (
    "select ingest_id, window_start::text, known_at from serving.ingest_runs where status = 'accepted' order by 1"
)
WAITING = (
    "select count(*) from pg_locks l join pg_database d on d.oid = l.database"
    " where l.locktype = 'advisory' and not l.granted and d.datname = current_database()"
)


class Queue:
    """Deliveries that wait for the bars' lock, one behind the other, each in a thread and a session of its own."""

    def __init__(self, dsn: str, pool: ThreadPoolExecutor) -> None:
        self._dsn = dsn
        self._pool = pool
        self._waiting: list[Future[Any]] = []

    def join(self, step: Callable[..., Any], *arguments: str, **named: str) -> None:
        """Start the step and wait until it stands in the queue."""
        joined = self._pool.submit(step, *arguments, **named)
        self._waiting.append(joined)
        deadline = time.monotonic() + 60
        while seen(self._dsn, WAITING) != [(len(self._waiting),)]:
            assert not joined.done(), joined.result()
            assert time.monotonic() < deadline, f"{step} never asked for the lock"
            time.sleep(0.02)

    def done(self) -> None:
        """Wait until all have succeeded."""
        for each in self._waiting:
            each.result(timeout=120)


@contextmanager
def queue(dsn: str) -> Iterator[Queue]:
    """Inside, whoever wants to write bars waits; afterwards all go on, in the order in which they came."""
    with ThreadPoolExecutor() as pool:
        waiting = Queue(dsn, pool)
        with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
            cursor.execute("select pg_advisory_xact_lock(hashtext('market.bars'))")
            yield waiting
        waiting.done()


def saying(factor: float) -> pd.DataFrame:
    """The market with other prices, rounded so that they can be compared as written."""
    frame = bars()
    frame[["open", "high", "low", "close"]] = (frame[["open", "high", "low", "close"]] * factor).round(6)
    return frame


def fill(start: str, end: str) -> None:
    """A backfill of its own name, in one chunk."""
    (chunk,) = backfill.plan(start, end, chunk="year")
    backfill.run(**chunk, attempt=f"from {start}")


def closes(frame: pd.DataFrame, first: str, last: str) -> dict[tuple[str, str], float]:
    span = frame[frame["date"].between(pd.Timestamp(first), pd.Timestamp(last))]
    return {
        (symbol, f"{date:%Y-%m-%d}"): close
        for symbol, date, close in span[["symbol", "date", "close"]].itertuples(index=False)
    }


@pytest.fixture
def lenient(market: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A market whose source may restate all of it."""
    monkeypatch.setenv("AFTERBELL_RESTATEMENT_BUDGET", "1")
    settings.cache_clear()
    return market


def test_of_two_overlapping_backfills_that_differ_the_later_one_is_believed_and_the_earlier_kept(
    lenient: Path, warehouse: WarehouseAddress
) -> None:
    one, two = saying(1.0), saying(1.01)
    with queue(warehouse.dsn) as waiting:
        write(lenient, one)
        waiting.join(fill, "2013-02-01", "2013-03-28")
        write(lenient, two)
        waiting.join(fill, "2013-03-01", "2013-04-30")
    (_, first_start, first_at), (second, second_start, second_at) = seen(warehouse.reader_dsn, ACCEPTED)
    assert (first_start, second_start) == ("2013-02-01", "2013-03-01")
    assert first_at < second_at
    believed = {(symbol, str(day)): close for symbol, day, close in seen(warehouse.reader_dsn, BARS)}
    assert believed == closes(one, "2013-02-01", "2013-02-28") | closes(two, "2013-03-01", "2013-04-30")
    revised = seen(warehouse.dsn, REVISIONS)
    assert {(symbol, str(day)): close for symbol, day, close, *_ in revised} == closes(one, "2013-03-01", "2013-03-28")
    assert len(revised) == 20 * len(SYMBOLS)
    assert {(by, until) for *_, by, until in revised} == {(second - 1, second_at)}
    known_first = f"select symbol, ts::date::text, close from serving.bars_as_known('{first_at.isoformat()}')"
    assert {(s, d): c for s, d, c in seen(warehouse.reader_dsn, known_first)} == closes(one, "2013-02-01", "2013-03-28")


@pytest.mark.parametrize("night_first", [True, False])
def test_a_night_beside_a_backfill_has_one_outcome_for_each_order(
    lenient: Path, warehouse: WarehouseAddress, night_first: bool
) -> None:
    old, new = saying(1.0), saying(1.01)
    write(lenient, old if night_first else new)
    night = ingest.run("2013-04-30")["ingest_id"]
    write(lenient, new if night_first else old)
    steps: list[tuple[Any, ...]] = [(validate.run, night), (fill, "2013-03-01", "2013-03-28")]
    with queue(warehouse.dsn) as waiting:
        for each in steps if night_first else reversed(steps):
            waiting.join(*each)
    believed = {(symbol, str(day)): close for symbol, day, close in seen(warehouse.reader_dsn, BARS)}
    whole = closes(old if night_first else new, "2013-01-02", "2013-04-30")
    assert believed == (whole | closes(new, "2013-03-01", "2013-03-28") if night_first else whole)
    revised = seen(warehouse.dsn, REVISIONS)
    assert {(symbol, str(day)): close for symbol, day, close, *_ in revised} == closes(old, "2013-03-01", "2013-03-28")


def test_an_instant_asked_for_while_a_delivery_is_taken_in_is_answered_the_same_ever_after(
    lenient: Path, stack_settings: Settings, warehouse: WarehouseAddress
) -> None:
    def told(keys: dict[str, str]) -> str:
        return frame_digest(as_known(settings(), Warehouse(warehouse.dsn), parse(**keys)).bars.adjusted)

    first = validate.run(ingest.run()["ingest_id"])
    write(lenient, saying(1.01))
    second = ingest.run()["ingest_id"]
    with acceptance.accepting(Warehouse(warehouse.dsn), deliveries.find(Warehouse(warehouse.dsn), int(second))):
        between = datetime.now(UTC).isoformat()  # the delivery has its instant, and nobody sees it yet
        keys = asked_for("equity", None, between)
        before = told(keys)
    assert keys == first
    third = validate.run(second)
    assert told(keys) == before
    assert told(third) != before
    assert asked_for("equity", None, first["known_at"]) == first
    assert asked_for("equity", None, datetime.now(UTC).isoformat()) == third


def test_an_instant_before_the_last_delivery_is_taken_as_it_is(lenient: Path, warehouse: WarehouseAddress) -> None:
    first = validate.run(ingest.run()["ingest_id"])
    between = datetime.now(UTC).isoformat()
    write(lenient, saying(1.01))
    validate.run(ingest.run()["ingest_id"])
    assert asked_for("equity", None, between) == {**first, "known_at": between}
