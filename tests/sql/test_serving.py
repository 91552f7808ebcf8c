"""Each view of `serving`: rows given by hand beside the rows that readers must see. Of models: test_serving_models."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from tests.sql.book import NIGHT_1, NIGHT_2, NIGHT_3, Book
from tests.sql.seed import FAR, PAST, at, close, prediction


def test_publications_are_latest_by_night_and_final_by_order_of_publication(book: Book) -> None:
    book.given(
        "lifecycle.publications",
        {"publication_id": 1, "as_of": NIGHT_1},
        {"publication_id": 2, "as_of": NIGHT_2},
        {"publication_id": 3, "as_of": NIGHT_2},
        {"publication_id": 4, "as_of": NIGHT_1, "expires_at": None},
        {"publication_id": 5, "as_of": NIGHT_1, "domain": "toy"},
    )
    assert book.shown("publications", "publication_id", "is_latest", "is_final", "is_replay") == [
        (1, False, False, False),
        (2, False, False, False),
        (3, True, True, False),
        (4, False, True, True),
        (5, True, True, False),
    ]


def test_publications_are_stale_once_a_later_night_was_attempted_or_they_expired(book: Book) -> None:
    book.given(
        "lifecycle.publications",
        {"publication_id": 1, "as_of": NIGHT_1},
        {"publication_id": 2, "as_of": NIGHT_2},
        {"publication_id": 3, "as_of": NIGHT_2, "expires_at": PAST},
        {"publication_id": 4, "as_of": NIGHT_2, "expires_at": None},
        {"publication_id": 5, "as_of": NIGHT_1, "domain": "toy"},
    )
    book.given("market.ingest_runs", {"ingest_id": 1, "as_of": NIGHT_2, "status": "landed"})
    assert book.shown("publications", "publication_id", "is_stale") == [
        (1, True),
        (2, False),
        (3, True),
        (4, False),
        (5, False),
    ]


def test_a_failed_later_night_makes_the_standing_predictions_stale(model: Book) -> None:
    model.given("market.ingest_runs", {"ingest_id": 1, "as_of": NIGHT_1})
    model.given("lifecycle.publications", {"publication_id": 1, "as_of": NIGHT_1})
    model.given("lifecycle.predictions", prediction(1, "AAPL", "1d", NIGHT_1, 0.6))
    assert model.shown("latest_predictions", "symbol", "is_stale") == [("AAPL", False)]
    model.given("market.ingest_runs", {"ingest_id": 2, "as_of": NIGHT_2, "status": "failed", "known_at": None})
    assert model.shown("latest_predictions", "symbol", "is_stale") == [("AAPL", True)]
    assert model.shown("prediction_history", "symbol", "is_stale") == [("AAPL", True)]


@pytest.mark.parametrize(
    ("expires_at", "is_stale", "is_replay"), [(FAR, False, False), (PAST, True, False), (None, False, True)]
)
def test_predictions_expire_by_the_clock_unless_they_are_a_replay(
    model: Book, expires_at: Any, is_stale: bool, is_replay: bool
) -> None:
    model.given("lifecycle.publications", {"publication_id": 1, "as_of": NIGHT_1, "expires_at": expires_at})
    model.given("lifecycle.predictions", prediction(1, "AAPL", "1d", NIGHT_1, 0.6))
    for view in ("latest_predictions", "prediction_history"):
        assert model.shown(view, "is_stale", "is_replay") == [(is_stale, is_replay)]


def test_latest_predictions_show_the_last_word_on_the_last_night_only(model: Book) -> None:
    model.given(
        "lifecycle.publications",
        {"publication_id": 1, "as_of": NIGHT_2},
        {"publication_id": 2, "as_of": NIGHT_2},
        {"publication_id": 3, "as_of": NIGHT_1},
    )
    model.given(
        "lifecycle.predictions",
        prediction(1, "AAPL", "1d", NIGHT_2, 0.60),
        prediction(1, "GONE", "1d", NIGHT_2, 0.60),
        prediction(2, "AAPL", "1d", NIGHT_2, 0.61),
        prediction(2, "AAPL", "5d", NIGHT_2, 0.40, model_version=2),
        prediction(3, "AAPL", "1d", NIGHT_1, 0.70),
    )
    assert model.shown("latest_predictions", "symbol", "horizon", "p_up", "direction", "as_of", "model_version") == [
        ("AAPL", "1d", 0.61, "up", NIGHT_2, 1),
        ("AAPL", "5d", 0.40, "down", NIGHT_2, 2),
    ]


def test_each_domain_has_its_own_latest_night(model: Book) -> None:
    model.given("lifecycle.model_versions", {"domain": "toy", "target": "t", "version": 1, "training_key": "toy"})
    model.given(
        "lifecycle.publications",
        {"publication_id": 1, "as_of": NIGHT_2},
        {"publication_id": 2, "as_of": NIGHT_1, "domain": "toy"},
    )
    model.given(
        "lifecycle.predictions",
        prediction(1, "AAPL", "1d", NIGHT_2, 0.6),
        prediction(2, "thing", "t", NIGHT_1, 0.6, domain="toy"),
    )
    model.given("market.ingest_runs", {"ingest_id": 1, "as_of": NIGHT_3})
    assert model.shown("latest_predictions", "domain", "symbol", "is_stale") == [
        ("equity", "AAPL", True),
        ("toy", "thing", False),
    ]


def test_history_keeps_every_word_and_marks_the_final_one(model: Book) -> None:
    model.given(
        "lifecycle.publications",
        {
            "publication_id": 1,
            "as_of": NIGHT_1,
            "published_at": at("2024-04-24 22:00"),
            "known_at": at("2024-04-24 21:00"),
        },
        {
            "publication_id": 2,
            "as_of": NIGHT_1,
            "published_at": at("2024-04-24 23:00"),
            "known_at": at("2024-04-24 21:30"),
        },
        {
            "publication_id": 3,
            "as_of": NIGHT_2,
            "published_at": at("2024-04-25 22:00"),
            "known_at": at("2024-04-25 21:00"),
        },
    )
    model.given(
        "lifecycle.predictions",
        prediction(1, "AAPL", "1d", NIGHT_1, 0.5),
        prediction(2, "AAPL", "1d", NIGHT_1, 0.6),
        prediction(3, "AAPL", "1d", NIGHT_2, 0.7),
    )
    assert model.shown("prediction_history", "publication_id", "p_up", "is_final", "published_at", "data_cutoff") == [
        (1, 0.5, False, at("2024-04-24 22:00"), at("2024-04-24 21:00")),
        (2, 0.6, True, at("2024-04-24 23:00"), at("2024-04-24 21:30")),
        (3, 0.7, True, at("2024-04-25 22:00"), at("2024-04-25 21:00")),
    ]


def test_data_quality_shows_each_check_and_attempts_that_never_got_to_them(book: Book) -> None:
    book.given(
        "market.ingest_runs",
        {"ingest_id": 1, "as_of": NIGHT_1, "inserted_rows": 3, "quarantined_rows": 1},
        {"ingest_id": 2, "as_of": NIGHT_2, "status": "landed", "known_at": None},
    )
    book.given(
        "market.check_results",
        {"ingest_id": 1, "check_name": "keys are unique"},
        {"ingest_id": 1, "check_name": "prices are positive", "passed": False, "unexpected_rows": 1},
    )
    columns = ("ingest_id", "status", "inserted_rows", "check_name", "passed", "unexpected_rows")
    assert book.shown("data_quality", *columns) == [
        (1, "accepted", 3, "keys are unique", True, 0),
        (1, "accepted", 3, "prices are positive", False, 1),
        (2, "landed", None, None, None, None),
    ]


def test_quarantine_names_the_last_delivery_that_brought_a_bad_row(book: Book) -> None:
    book.given(
        "market.ingest_runs",
        {"ingest_id": 1, "as_of": NIGHT_1, "provider": "files"},
        {"ingest_id": 2, "as_of": NIGHT_2, "provider": "polygon"},
    )
    bad = {"symbol": "AAPL", "session": date(2024, 4, 20)}
    book.given(
        "market.quarantine",
        {**bad, "reason": "no such session", "last_ingest_id": 2},
        {**bad, "reason": "negative price", "close": -1.0},
        {"symbol": None, "session": None, "reason": "no symbol"},
    )
    assert book.shown("quarantine", "reason", "symbol", "session", "close", "provider", "as_of") == [
        ("negative price", "AAPL", date(2024, 4, 20), -1.0, "files", NIGHT_1),
        ("no such session", "AAPL", date(2024, 4, 20), 100.0, "polygon", NIGHT_2),
        ("no symbol", None, None, 100.0, "files", NIGHT_1),
    ]


def test_bars_and_actions_show_what_is_believed_now(book: Book) -> None:
    book.given("market.ingest_runs", {"ingest_id": 1, "as_of": NIGHT_1})
    book.given("market.bars", {"symbol": "AAPL", "ts": NIGHT_1, "close": 99.0, "low": 98.0, "known_at": NIGHT_2})
    book.given("market.bar_revisions", {"symbol": "AAPL", "ts": NIGHT_1, "known_at": PAST, "superseded_at": NIGHT_2})
    split = {"symbol": "AAPL", "ex_date": date(2024, 4, 24), "kind": "split"}
    book.given(
        "market.actions",
        {**split, "value": 20.0, "known_at": PAST, "superseded_at": NIGHT_2},
        {**split, "value": 2.0, "known_at": NIGHT_2},
    )
    assert book.shown("bars", "symbol", "timeframe", "ts", "close", "known_at") == [
        ("AAPL", "1d", NIGHT_1, 99.0, NIGHT_2)
    ]
    assert book.shown("actions", "symbol", "ex_date", "kind", "value", "known_at") == [
        ("AAPL", date(2024, 4, 24), "split", 2.0, NIGHT_2)
    ]


def test_latest_predictions_by_symbol_are_one_index_scan(model: Book) -> None:
    nights = [close(f"2024-03-{day:02d}") for day in range(1, 21)]
    for number, night in enumerate(nights, start=1):
        model.given("lifecycle.publications", {"publication_id": number, "as_of": night})
        model.given(
            "lifecycle.predictions", *(prediction(number, f"S{symbol}", "1d", night, 0.5) for symbol in range(100))
        )
    with model.writer.cursor() as cursor:
        cursor.execute("analyze")
        cursor.execute("explain select * from serving.latest_predictions where symbol = 'S7'")
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "Index Scan using predictions_pkey" in plan
    assert "Seq Scan on predictions" not in plan
