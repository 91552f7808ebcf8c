"""What reviewers may say of refused rows, and what is kept of it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import date
from typing import Any

import pandas as pd
import psycopg2
import pytest
from psycopg2.extensions import connection as Connection

from ml.frames import ACTIONS, QUARANTINE
from ml.io.warehouse import Warehouse, quarantine
from ml.io.warehouse.quarantine import Choice, Verdict
from tests.sql.seed import close, insert

FIRST, SECOND, THIRD = date(2024, 4, 24), date(2024, 4, 25), date(2024, 4, 26)


@pytest.fixture
def book(warehouse_dsn: str) -> Iterator[Connection]:
    """Four refused rows, numbered 1 to 4, of a delivery."""
    rows: list[dict[str, Any]] = [
        {"symbol": "AAPL", "session": FIRST, "high": 99.0, "reason": "high below open; high below close"},
        {"symbol": "IBM", "session": SECOND, "high": 99.0, "reason": "high below close"},
        {"symbol": "IBM", "session": THIRD, "close": None, "reason": "missing close"},
        {"symbol": None, "session": None, "reason": "missing symbol; missing date"},
    ]
    with closing(psycopg2.connect(warehouse_dsn)) as connection:
        connection.autocommit = True
        insert(connection, "market.ingest_runs", {"ingest_id": 1, "as_of": close("2024-04-26")})
        insert(connection, "market.quarantine", *({"quarantine_id": n, **row} for n, row in enumerate(rows, start=1)))
        yield connection


@pytest.fixture
def house(warehouse_dsn: str, book: Connection) -> Warehouse:
    return Warehouse(warehouse_dsn)


def anything(chosen: pd.DataFrame, released: pd.DataFrame) -> None:
    QUARANTINE.check(chosen)
    QUARANTINE.check(released)


def say(house: Warehouse, verdict: Verdict, by: str = "ann", why: str = "asked the vendor", **choice: Any) -> int:
    return quarantine.review(house, Choice(**choice), verdict, by, why, anything)


def states(book: Connection) -> list[tuple[Any, ...]]:
    with book.cursor() as cursor:
        cursor.execute("select quarantine_id, state, reviewed_by, why from serving.quarantine order by 1")
        return cursor.fetchall()


def test_rows_are_open_until_somebody_says_otherwise_and_why(book: Connection, house: Warehouse) -> None:
    assert states(book) == [(n, "open", None, None) for n in (1, 2, 3, 4)]
    assert say(house, "release", symbols=("AAPL",)) == 1
    assert say(house, "reject", by="bob", why="nonsense", reason="MISSING") == 2
    assert states(book) == [
        (1, "released", "ann", "asked the vendor"),
        (2, "open", None, None),
        (3, "rejected", "bob", "nonsense"),
        (4, "rejected", "bob", "nonsense"),
    ]


@pytest.mark.parametrize(
    ("choice", "chosen"),
    [
        ({"symbols": ("IBM", "AAPL")}, [1, 2, 3]),
        ({"first": SECOND}, [2, 3]),
        ({"last": SECOND}, [1, 2]),
        ({"first": SECOND, "last": SECOND}, [2]),
        ({"reason": "high below close"}, [1, 2]),
        ({"reason": "%"}, []),
        ({"symbols": ("IBM",), "reason": "high", "last": FIRST}, []),
    ],
)
def test_a_row_is_chosen_when_it_fits_all_that_is_given(
    book: Connection, house: Warehouse, choice: dict[str, Any], chosen: list[int]
) -> None:
    assert say(house, "reject", **choice) == len(chosen)
    assert [row[0] for row in states(book) if row[1] == "rejected"] == chosen


def test_the_same_review_again_changes_nothing(book: Connection, house: Warehouse) -> None:
    for again in (False, True):
        assert say(house, "release", symbols=("AAPL",), again=again) == (0 if again else 1)
    assert states(book)[0][1:] == ("released", "ann", "asked the vendor")


def test_a_verdict_is_taken_back_only_when_that_is_asked_for_and_both_are_kept(
    book: Connection, house: Warehouse
) -> None:
    say(house, "release", symbols=("AAPL",))
    assert say(house, "reject", symbols=("AAPL",)) == 0
    assert say(house, "reject", by="bob", why="a mistake", symbols=("AAPL",), again=True) == 1
    assert states(book)[0] == (1, "rejected", "bob", "a mistake")
    with book.cursor() as cursor:
        cursor.execute("select verdict, reviewed_by from market.quarantine_reviews order by review_id")
        assert cursor.fetchall() == [("release", "ann"), ("reject", "bob")]


def test_what_the_judge_refuses_leaves_all_as_it_was(book: Connection, house: Warehouse) -> None:
    def no(chosen: pd.DataFrame, released: pd.DataFrame) -> None:
        assert chosen["symbol"].tolist() == ["AAPL"]
        assert released["symbol"].tolist() == ["IBM"]
        raise ValueError("no")

    say(house, "release", symbols=("IBM",), reason="high")
    with pytest.raises(ValueError, match="no"):
        quarantine.review(house, Choice(symbols=("AAPL",)), "release", "ann", "because", no)
    assert [row[1] for row in states(book)] == ["open", "released", "open", "open"]


def test_two_reviewers_at_once_judge_each_row_once(book: Connection, house: Warehouse) -> None:
    verdicts: list[Verdict] = ["release", "reject"] * 4
    with ThreadPoolExecutor(8) as pool:
        counts = list(pool.map(lambda verdict: say(house, verdict, symbols=("AAPL", "IBM")), verdicts))
    assert sorted(counts) == [0] * 7 + [3]
    assert len({row[1] for row in states(book)[:3]}) == 1


def test_released_rows_are_remembered_with_their_values(book: Connection, house: Warehouse) -> None:
    assert quarantine.released(house).empty
    say(house, "release", reason="high below close")
    remembered = QUARANTINE.check(quarantine.released(house))
    columns = ["symbol", "date", "high", "close"]
    assert remembered[columns].to_numpy().tolist() == [
        ["AAPL", pd.Timestamp(FIRST), 99.0, 100.0],
        ["IBM", pd.Timestamp(SECOND), 99.0, 100.0],
    ]


def test_released_rows_wait_for_their_session_and_for_a_delivery(book: Connection, house: Warehouse) -> None:
    say(house, "release", reason="high below close")
    reviews, rows = quarantine.pending(house, FIRST)
    assert rows["symbol"].tolist() == ["AAPL"]
    quarantine.taken_in(house, reviews, 1)
    reviews, rows = quarantine.pending(house, THIRD)
    assert (len(reviews), rows["symbol"].tolist()) == (1, ["IBM"])
    say(house, "reject", symbols=("AAPL",), again=True)
    say(house, "release", symbols=("AAPL",), again=True)
    _, rows = quarantine.pending(house, THIRD)
    assert rows["symbol"].tolist() == ["AAPL", "IBM"]


def test_a_row_that_comes_again_keeps_its_number_and_its_verdict(book: Connection, house: Warehouse) -> None:
    say(house, "reject", symbols=("AAPL",))
    insert(book, "market.ingest_runs", {"ingest_id": 2, "as_of": close("2024-04-26")})
    row = {"symbol": "AAPL", "date": pd.Timestamp(FIRST), "open": 100.0, "high": 99.0, "low": 100.0, "close": 100.0}
    frame = QUARANTINE.cast(pd.DataFrame([row | {"volume": 1000.0, "reason": "high below open; high below close"}]))
    for ingest_id in (2, 1):
        with house.transaction() as transaction:
            transaction.execute("incoming_quarantine")
            transaction.copy("incoming_quarantine_copy", frame)
            transaction.execute("quarantine_upsert", {"ingest_id": ingest_id})
    with book.cursor() as cursor:
        cursor.execute(
            "select quarantine_id, state, first_ingest_id, last_ingest_id from serving.quarantine where symbol = 'AAPL'"
        )
        assert cursor.fetchall() == [(1, "rejected", 1, 2)]


def test_the_last_night_is_the_last_one_accepted_and_no_other_delivery(book: Connection, house: Warehouse) -> None:
    insert(
        book,
        "market.ingest_runs",
        {"ingest_id": 2, "as_of": close("2024-04-29"), "kind": "backfill"},
        {"ingest_id": 3, "as_of": close("2024-04-29"), "status": "failed"},
    )
    night = quarantine.last_night(house, "equity")
    assert night == {"domain": "equity", "provider": "files", "as_of": close("2024-04-26")}
    assert quarantine.last_night(house, "toy") is None


def test_actions_are_given_as_they_are_believed_now(book: Connection, house: Warehouse) -> None:
    split = {"symbol": "AAPL", "ex_date": SECOND, "kind": "split"}
    insert(
        book,
        "market.actions",
        {**split, "value": 20.0, "superseded_at": close("2024-04-26")},
        {**split, "value": 2.0, "known_at": close("2024-04-26")},
        {**split, "ex_date": THIRD, "value": 3.0},
        {**split, "symbol": "IBM", "value": 4.0},
    )
    found = ACTIONS.check(quarantine.actions_believed(house, ["AAPL"], FIRST, SECOND))
    assert found["value"].tolist() == [2.0]
