"""What the page of data quality reads: rows given by hand beside the rows that must be shown."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import date
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection

from ml.io import serving
from ml.settings import settings
from tests.sql.seed import at, close, insert

NIGHT_1, NIGHT_2 = close("2024-04-24"), close("2024-04-25")


@pytest.fixture
def book(warehouse_dsn: str, reader_dsn: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """Three deliveries: two nights, the second stopped, and a backfill of one symbol that is still coming in."""
    monkeypatch.setenv("AFTERBELL_READER_DSN", reader_dsn)
    settings.cache_clear()
    with closing(psycopg2.connect(warehouse_dsn)) as connection:
        connection.autocommit = True
        insert(
            connection,
            "market.ingest_runs",
            {"ingest_id": 1, "as_of": NIGHT_1, "attempt": "night one", "inserted_rows": 9, "quarantined_rows": 1},
            {"ingest_id": 2, "as_of": NIGHT_2, "attempt": "night two", "status": "failed", "known_at": None},
            {
                "ingest_id": 3,
                "as_of": NIGHT_1,
                "kind": "backfill",
                "attempt": "a dag/by hand/0",
                "status": "landing",
                "known_at": None,
                "received_rows": None,
                "symbols": "{IBM}",
            },
        )
        check = {"ingest_id": 2, "suite": "rows", "severity": "warn"}
        insert(
            connection,
            "market.check_results",
            {**check, "check_name": "repeated rows"},
            {**check, "check_name": "missing close", "column_name": "close", "passed": False, "unexpected_rows": 3},
            {**check, "check_name": "high below low", "column_name": "high", "passed": False, "unexpected_rows": 4},
            {**check, "suite": "night", "check_name": "share", "severity": "fail", "passed": False},
            {**check, "suite": "night", "check_name": "bars", "severity": "fail"},
            {"ingest_id": 1, "check_name": "repeated rows"},
        )
        yield connection


def test_a_delivery_is_found_by_its_number_its_attempt_or_as_the_last(book: Connection) -> None:
    def number(**given: Any) -> int | None:
        found = serving.ingest_run(**given)
        return found["ingest_id"] if found else None

    assert number() == 3
    assert number(ingest_id=1) == 1
    assert number(attempt="night two") == 2
    assert number(attempt="a dag/by hand") == 3  # a mapped chunk of that run
    assert number(attempt="by hand") is None  # a run of whatever DAG
    assert number(attempt="a dag/by") is None
    assert number(attempt="night") is None
    assert number(ingest_id=1, attempt="night two") is None


def test_a_delivery_is_shown_with_its_counts(book: Connection) -> None:
    run = serving.ingest_run(1)
    assert run is not None
    assert (run["status"], run["inserted_rows"], run["quarantined_rows"], run["symbols"]) == ("accepted", 9, 1, None)
    assert (run["window_start"], run["as_of"]) == ("2024-01-01", "2024-04-24T20:00:00Z")
    backfill = serving.ingest_run(3)
    assert backfill is not None
    assert (backfill["kind"], backfill["symbols"], backfill["received_rows"]) == ("backfill", 1, None)


def test_the_list_of_deliveries_tells_what_did_not_pass(book: Connection) -> None:
    shown = [(run["ingest_id"], run["status"], run["failed"], run["warned"]) for run in serving.ingest_runs()]
    assert shown == [(3, "landing", 0, 0), (2, "failed", 1, 2), (1, "accepted", 0, 0)]
    assert [run["ingest_id"] for run in serving.ingest_runs(1)] == [3]


def test_all_deliveries_of_a_run_are_listed_and_no_other_dags(book: Connection) -> None:
    more = {"as_of": NIGHT_1, "kind": "backfill"}
    insert(
        book,
        "market.ingest_runs",
        {"ingest_id": 4, "attempt": "a dag/by hand/1", **more},
        {"ingest_id": 5, "attempt": "another dag/by hand/1", **more},
        {"ingest_id": 6, "attempt": "a dag/by hand too", **more},
    )
    listed = serving.ingest_runs(1, "a dag/by hand")
    assert [(run["ingest_id"], run["window_start"]) for run in listed] == [(4, "2024-01-01"), (3, "2024-01-01")]
    assert serving.ingest_runs(attempt="a dag/nobody") == []


def test_checks_that_stopped_the_night_come_first_and_those_that_passed_last(book: Connection) -> None:
    assert [(c["check_name"], c["column_name"], c["passed"]) for c in serving.checks(2)] == [
        ("share", None, False),
        ("high below low", "high", False),
        ("missing close", "close", False),
        ("bars", None, True),
        ("repeated rows", None, True),
    ]
    assert serving.checks(3) == []


def test_refused_rows_are_those_that_the_delivery_brought_open_ones_first(book: Connection) -> None:
    day = date(2024, 4, 24)
    insert(
        book,
        "market.quarantine",
        {"quarantine_id": 1, "symbol": "AAPL", "session": day, "reason": "only the first", "last_ingest_id": 1},
        {"quarantine_id": 2, "symbol": "AAPL", "session": day, "reason": "both nights", "last_ingest_id": 2},
        {"quarantine_id": 3, "symbol": "IBM", "session": day, "reason": "ever since", "last_ingest_id": 3},
        {"quarantine_id": 4, "symbol": None, "session": None, "reason": "nameless", "last_ingest_id": 3},
        {"quarantine_id": 5, "symbol": "IBM", "session": date(2030, 1, 2), "reason": "far off", "last_ingest_id": 3},
    )
    word = {"reviewed_by": "ann", "why": "asked", "reviewed_at": at("2024-04-25 09:00")}
    insert(
        book,
        "market.quarantine_reviews",
        {"quarantine_id": 2, "verdict": "reject", **word},
        {"quarantine_id": 3, "verdict": "reject", **word},
        {"quarantine_id": 3, "verdict": "release", **word, "ingest_id": 1},
    )

    def shown(ingest_id: int) -> list[tuple[int, str]]:
        return [(row["quarantine_id"], row["state"]) for row in serving.quarantine(ingest_id)]

    assert shown(1) == [(5, "open"), (1, "open"), (4, "open"), (3, "released"), (2, "rejected")]
    assert shown(2) == [(4, "open"), (3, "released"), (2, "rejected")]
    assert shown(3) == [(5, "open"), (4, "open"), (3, "released")]
    released = serving.quarantine(2)[1]
    assert (released["reviewed_by"], released["why"], released["taken_in_by"]) == ("ann", "asked", 1)
    assert released["reviewed_at"] == "2024-04-25T09:00:00Z"
    assert [row["total"] for row in serving.quarantine(1, rows=2)] == [5, 5]


def test_sessions_count_bars_and_refused_rows_up_to_the_night(book: Connection) -> None:
    seen = {"AAPL": [NIGHT_1, NIGHT_2, close("2023-01-04")], "IBM": [NIGHT_1]}
    insert(book, "market.bars", *({"symbol": symbol, "ts": ts} for symbol, own in seen.items() for ts in own))
    refused = {"reason": "high below low", "symbol": "IBM"}
    insert(
        book,
        "market.quarantine",
        {**refused, "session": date(2024, 4, 24)},
        {**refused, "session": date(2024, 4, 24), "close": 1.0},
        {**refused, "session": date(2024, 4, 20)},
        {**refused, "session": date(2024, 4, 26)},
    )
    counts = [tuple(row.values()) for row in serving.session_counts("2024-04-25T20:00:00Z", days=30)]
    assert counts == [("2024-04-20", 0, 1), ("2024-04-24", 2, 2), ("2024-04-25", 1, 0)]
