"""A person's word on a decision to promote: when one is needed, that the first one stands, and what it stops."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection

from ml.__main__ import main
from ml.domain import Target
from ml.errors import NotRecorded, SettingsError
from ml.settings import Settings, settings
from ml.steps import approve, promote, retrain
from tests.sql.decided import evidence
from tests.sql.seed import insert
from tests.steps.market import seen

FIRST, REPLACE, REFRESH, KEEP = 1, 2, 3, 4
WORD = "select approved, approved_by, promoted_at is null from serving.promotions where decision_id = 2"


@pytest.fixture
def book(stack_settings: Settings, warehouse_dsn: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """A champion and three decisions about others. MLflow is away: what is not carried out never asks it."""
    monkeypatch.setenv("AFTERBELL_APPROVAL", "true")
    monkeypatch.setenv("AFTERBELL_MLFLOW_URI", "http://127.0.0.1:9")
    settings.cache_clear()
    with closing(psycopg2.connect(warehouse_dsn)) as connection:
        connection.autocommit = True
        for version in (1, 2, 3, 4, 5):
            row = {"target": "1d", "version": version, "training_key": str(version)}
            insert(connection, "lifecycle.model_versions", row)
        told: dict[str, Any] = {"target": "1d", "evidence": evidence(Target("equity", "1d", 1)), "reason": "superior"}
        against = {**told, "champion_version": 1}
        insert(
            connection,
            "lifecycle.decisions",
            {**told, "decision_id": FIRST, "candidate_version": 1},
            {**against, "decision_id": REPLACE, "candidate_version": 2, "door": "replace"},
            {**against, "decision_id": REFRESH, "candidate_version": 3, "door": "refresh"},
            {**against, "decision_id": KEEP, "candidate_version": 4, "door": "replace", "verdict": "keep"},
        )
        insert(connection, "lifecycle.promotions", {"decision_id": FIRST, "target": "1d", "to_version": 1})
        yield connection


def test_a_person_is_asked_about_another_recipe_only_and_only_where_wanted(
    book: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {number: approve.question(str(number), "page", "plot") for number in (FIRST, REPLACE, REFRESH, KEEP)}
    assert [number for number, question in asked.items() if question] == [REPLACE]
    question = asked[REPLACE]
    assert question is not None
    assert "| log loss | 0.6912 | 0.692 |" in question.body
    assert "| deflated Sharpe ratio | 0.910 | at least 0.95 | **vetoed** |" in question.body
    assert "(plot)" in question.body
    monkeypatch.setenv("AFTERBELL_APPROVAL", "false")
    settings.cache_clear()
    assert approve.question(str(REPLACE), "page", "plot") is None


def test_without_a_word_nothing_is_carried_out_by_whatever_road(book: Connection, reader_dsn: str) -> None:
    done = promote.run(str(REPLACE))
    assert (done["promoted"], done["reason"]) == ("no", "no person has approved it; superior")
    assert main(["promote", str(REPLACE)]) == 0
    assert seen(reader_dsn, WORD) == [(None, None, True)]


def test_the_first_word_stands_and_nobody_is_asked_again(book: Connection, reader_dsn: str) -> None:
    assert main(["approve", str(REPLACE), "keep", "--why", "too bold"]) == 0
    assert approve.run(str(REPLACE), True, decided_by="ann")["approved"] == "no"
    assert approve.question(str(REPLACE), "page", "plot") is None
    done = promote.run(str(REPLACE))
    assert (done["promoted"], done["reason"]) == ("no", "refused by shell (too bold); superior")
    assert seen(reader_dsn, WORD) == [(False, "shell", True)]
    with pytest.raises(NotRecorded, match="no decision 99"):
        approve.run("99", True)


def test_who_approves_a_candidate_that_was_superseded_is_told_and_nothing_changes(
    book: Connection, reader_dsn: str
) -> None:
    by_hand = {"decision_id": 5, "target": "1d", "candidate_version": 5, "champion_version": 1, "door": "by_hand"}
    insert(book, "lifecycle.decisions", by_hand)
    moved = {"decision_id": 5, "target": "1d", "from_version": 1, "to_version": 5}
    insert(book, "lifecycle.promotions", moved)
    approve.run(str(REPLACE), True, decided_by="ann")
    done = promote.run(str(REPLACE))
    assert (done["promoted"], done["verdict"]) == ("no", "keep")
    assert done["reason"] == "superseded by champion version 5 of equity-1d, nothing was changed; superior"
    assert seen(reader_dsn, "select model_version from serving.models where role = 'champion'") == [(5,)]
    assert seen(reader_dsn, WORD) == [(True, "ann", True)]


def test_a_retraining_that_a_person_asks_for_is_written_down_once(book: Connection, reader_dsn: str) -> None:
    assert retrain.begin("equity", ["1d"], "scheduled") == ["1d"]
    for _ in range(2):
        assert retrain.begin("equity", ["1w", "1d"], "drift_detected", "ann", "run 1") == ["5d", "1d"]
    with pytest.raises(SettingsError, match="the reason 'boredom'"):
        retrain.begin("equity", ["1d"], "boredom", "ann", "run 2")
    log = "select who, what, target, why from serving.audit_log where what = 'retrain'"
    assert seen(reader_dsn, log) == [("ann", "retrain", "5d, 1d", "drift_detected")]
