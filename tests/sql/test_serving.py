"""Each view of `serving`: rows given by hand beside the rows that readers must see."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import psycopg2
import pytest
from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from ml.domain import Target
from ml.frames import OUT_OF_FOLD
from ml.lifecycle.comparison import Contender, decide
from ml.lifecycle.looks import Look
from tests.sql.seed import FAR, PAST, Row, at, close, insert, prediction

NIGHT_1, NIGHT_2, NIGHT_3 = close("2024-04-24"), close("2024-04-25"), close("2024-05-01")


class Book:
    """The write role's connection to seed with, and the reader's to ask."""

    def __init__(self, writer: Connection, reader: Connection) -> None:
        self.writer = writer
        self.reader = reader

    def given(self, table: str, *rows: Row) -> None:
        insert(self.writer, table, *rows)

    def shown(self, view: str, *columns: str) -> list[tuple[Any, ...]]:
        """The view's rows, these columns only, sorted by them."""
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        order = sql.SQL(", ").join(sql.Literal(place) for place in range(1, len(columns) + 1))
        statement = sql.SQL("select {} from {} order by {}").format(names, sql.Identifier("serving", view), order)
        with self.reader, self.reader.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()


@pytest.fixture
def book(warehouse_dsn: str, reader_dsn: str) -> Iterator[Book]:
    with closing(psycopg2.connect(warehouse_dsn)) as writer, closing(psycopg2.connect(reader_dsn)) as reader:
        writer.autocommit = True
        yield Book(writer, reader)


@pytest.fixture
def model(book: Book) -> Book:
    """A book that knows version 1 of 1d and versions 1 and 2 of 5d."""
    book.given(
        "lifecycle.model_versions",
        {"target": "1d", "version": 1, "training_key": "a"},
        {"target": "5d", "version": 1, "training_key": "b"},
        {"target": "5d", "version": 2, "training_key": "c"},
    )
    return book


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


def test_the_champion_is_whoever_was_promoted_last_even_back_to_an_old_version(model: Book) -> None:
    decided = {"target": "5d"}
    model.given(
        "lifecycle.decisions",
        {**decided, "decision_id": 1, "candidate_version": 1},
        {**decided, "decision_id": 2, "candidate_version": 2, "champion_version": 1, "has_skill": True},
    )
    promoted = {"target": "5d", "promoted_at": at("2024-04-24 23:00")}
    model.given("lifecycle.promotions", {**promoted, "promotion_id": 1, "to_version": 1, "decision_id": 1})
    assert model.shown("models", "horizon", "model_version", "role") == [
        ("1d", 1, "candidate"),
        ("5d", 1, "champion"),
        ("5d", 2, "candidate"),
    ]
    model.given(
        "lifecycle.promotions", {**promoted, "promotion_id": 2, "from_version": 1, "to_version": 2, "decision_id": 2}
    )
    assert model.shown("models", "horizon", "model_version", "role", "champion_since", "has_skill") == [
        ("1d", 1, "candidate", None, None),
        ("5d", 1, "candidate", None, False),
        ("5d", 2, "champion", at("2024-04-24 23:00"), True),
    ]
    model.given("lifecycle.decisions", {**decided, "decision_id": 3, "candidate_version": 1, "champion_version": 2})
    back = {"target": "5d", "promoted_at": at("2024-04-25 23:00"), "from_version": 2, "to_version": 1}
    model.given("lifecycle.promotions", {**back, "promotion_id": 3, "decision_id": 3})
    assert model.shown("models", "horizon", "model_version", "role", "champion_since") == [
        ("1d", 1, "candidate", None),
        ("5d", 1, "champion", at("2024-04-25 23:00")),
        ("5d", 2, "candidate", None),
    ]


def test_a_models_skill_is_what_the_last_decision_about_it_said(model: Book) -> None:
    decided = {"target": "5d", "candidate_version": 2, "verdict": "keep"}
    model.given("lifecycle.decisions", {**decided, "decision_id": 1, "champion_version": 1, "has_skill": True})
    assert ("5d", 2, True) in model.shown("models", "horizon", "model_version", "has_skill")
    model.given("lifecycle.decisions", {**decided, "decision_id": 2, "champion_version": 7, "has_skill": False})
    assert ("5d", 2, False) in model.shown("models", "horizon", "model_version", "has_skill")


def test_a_champion_is_as_old_as_sessions_went_by_and_overdue_after_twice_its_limit(model: Book) -> None:
    def session(calendar: str, day: str) -> dict[str, object]:
        return {"calendar": calendar, "session": day, "opens_at": at(f"{day} 13:30"), "closes_at": close(day)}

    days = ("2024-04-23", "2024-04-24", "2024-04-25", "2024-04-26", "2024-04-29", "2024-04-30")
    model.given("market.sessions", *(session("XNYS", day) for day in days))
    model.given(
        "market.sessions",
        {**session("XTKS", "2024-04-26"), "opens_at": at("2024-04-26 00:00"), "closes_at": at("2024-04-26 06:00")},
    )
    model.given("lifecycle.decisions", {"decision_id": 1, "target": "5d", "candidate_version": 1})
    model.given("lifecycle.promotions", {"target": "5d", "to_version": 1, "decision_id": 1})

    def shown() -> tuple[object, ...]:
        rows = model.shown("models", "horizon", "model_version", "champion_age_sessions", "is_overdue")
        assert [row for row in rows if row[:2] != ("5d", 1)] == [("1d", 1, None, None), ("5d", 2, None, None)]
        return next(row[2:] for row in rows if row[:2] == ("5d", 1))

    assert shown() == (None, False), "no night was accepted yet"
    night = {"attempt": "one"}
    model.given("market.ingest_runs", {**night, "as_of": close("2024-04-29")})
    model.given("market.ingest_runs", {**night, "attempt": "two", "as_of": close("2024-04-30"), "status": "failed"})
    assert shown() == (4, False), "nobody has told the limit yet"
    model.given("lifecycle.refresh_limits", {"target": "5d", "sessions": 2})
    assert shown() == (4, False)
    model.given("market.ingest_runs", {**night, "attempt": "three", "as_of": close("2024-04-30")})
    assert shown() == (5, True)


def test_models_spread_their_scores_into_columns(book: Book) -> None:
    scores = {
        "log_loss": 0.69,
        "baseline_log_loss": 0.70,
        "brier": 0.24,
        "baseline_brier": 0.25,
        "accuracy": 0.52,
        "auc": 0.53,
        "rank_ic": 0.03,
    }
    book.given("lifecycle.model_versions", {"target": "1d", "version": 1, "training_key": "a", "scores": scores})
    assert book.shown("models", *scores) == [tuple(scores.values())]
    assert book.shown("models", "snapshot_digest", "code_commit", "mlflow_run_id") == [("snapshot", "commit", "run")]


def test_promotions_show_kept_candidates_too_with_the_evidence(model: Book) -> None:
    test = {"mean": 0.01, "statistic": 2.5, "critical": 2.0, "p_value": 0.01}
    model.given(
        "lifecycle.decisions",
        {"decision_id": 1, "target": "5d", "candidate_version": 1},
        {
            "decision_id": 2,
            "target": "5d",
            "candidate_version": 2,
            "champion_version": 1,
            "door": "replace",
            "verdict": "keep",
            "reason": "not better",
            "alpha_spent": 0.0002,
            "evidence": {"skill": {"p_value": 0.02}, "test": test},
        },
    )
    model.given(
        "lifecycle.promotions",
        {"target": "5d", "to_version": 1, "decision_id": 1, "promoted_at": at("2024-04-24 23:00")},
    )
    assert model.shown("promotions", "decision_id", "door", "verdict", "candidate_version", "promoted_at") == [
        (1, "first", "promote", 1, at("2024-04-24 23:00")),
        (2, "replace", "keep", 2, None),
    ]
    numbers = ("skill_p_value", "mean_difference", "statistic", "critical_value", "p_value", "alpha_spent")
    assert model.shown("promotions", "decision_id", *numbers) == [
        (1, None, None, None, None, None, 0.0),
        (2, 0.02, 0.01, 2.5, 2.0, 0.01, 0.0002),
    ]


def test_promotions_read_the_evidence_that_the_gate_really_writes(model: Book) -> None:
    ts = pd.date_range("2024-01-01", periods=100, tz="UTC").astype("datetime64[us, UTC]").repeat(2)
    value = np.tile([0.01, 0.01, -0.01, -0.01, 0.01, 0.01], 100)[:200]
    oof = OUT_OF_FOLD.cast(
        pd.DataFrame(
            {"entity": ["A", "B"] * 100, "ts": ts, "value": value, "p_up": 0.5 + value * 10 + np.linspace(0, 0.1, 200)}
            | {"expected": 0.0, "scale": 1.0, "baseline_p_up": 0.5}
        )
    )
    seen = np.datetime64("2024-01-01", "us")
    decision = decide(
        Target("equity", "5d", 5, label="scaled", score="brier"),
        Contender("candidate", oof, seen),
        Contender("champion", oof.assign(p_up=0.5), seen),
        Look(1, 0.01),
    )
    model.given(
        "lifecycle.decisions",
        {"decision_id": 1, "target": "5d", "candidate_version": 2, "champion_version": 1, **vars(decision)},
    )
    test, skill = decision.evidence["test"], decision.evidence["skill"]
    assert model.shown("promotions", "mean_difference", "statistic", "critical_value", "p_value", "skill_p_value") == [
        (test["mean"], test["statistic"], test["critical"], test["p_value"], skill["p_value"])
    ]
    assert model.shown("promotions", "label", "score", "look") == [("scaled", "brier", 1)]
    assert model.shown("promotions", "vetoes") == [(decision.evidence["vetoes"],)]


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
