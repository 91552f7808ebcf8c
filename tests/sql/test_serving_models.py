"""The views of models and of decisions about them: rows given by hand beside those that readers must see."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ml.domain import Target
from ml.frames import OUT_OF_FOLD
from ml.lifecycle.comparison import Contender, decide
from ml.lifecycle.looks import Look
from tests.sql.book import Book
from tests.sql.seed import at, close


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
