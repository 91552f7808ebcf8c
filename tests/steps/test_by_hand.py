"""A person's word on champions: it moves them, it is kept, and it can hold the gate back."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from ml.__main__ import main
from ml.equity.features.catalogue import DEFAULT_SET
from ml.errors import NotRecorded, SettingsError
from ml.io.registry import Registry
from ml.settings import settings
from ml.steps import by_hand
from ml.steps.aliases import CHAMPION
from tests.steps.market import SYMBOLS, seen

pytestmark = [pytest.mark.xdist_group("mlflow"), pytest.mark.usefixtures("registry")]
NIGHT = ["night", "--trials", "1"]
WHO = "select door, candidate_version, champion_version, decided_by, reason from serving.promotions"
SERVING = "select distinct model_version, count(*) from serving.latest_predictions group by 1"


def test_a_request_that_was_killed_before_it_was_heard_changes_nothing_the_second_time(two_versions: Path) -> None:
    first = by_hand.run("promote", "1d", "it reads the new exchange", 2, request="run 1")
    assert by_hand.run("promote", "1d", "it reads the new exchange", 2, request="run 1") == first
    back = by_hand.run("roll_back", "1d", "too bold", request="run 2")
    assert by_hand.run("roll_back", "1d", "too bold", request="run 2") == back
    assert (back["version"], back["promoted"], _champion()) == ("1", "yes", 1)


def test_an_alias_that_another_hand_moved_comes_back(two_versions: Path) -> None:
    Registry(settings().require_mlflow_uri()).point("equity-1d", CHAMPION, 2)
    assert by_hand.run("promote", "1d", "it serves by right", 1)["promoted"] == "no"
    assert _champion() == 1


def test_a_version_is_promoted_rolled_back_and_each_word_kept(two_versions: Path, reader_dsn: str) -> None:
    done = by_hand.run("promote", "1d", "it reads the new exchange", 2, decided_by="ann")
    assert done == {"horizon": "1d", "action": "promote", "version": "2", "promoted": "yes"}
    assert _champion() == 2
    assert main(["predict"]) == 0
    assert seen(reader_dsn, SERVING) == [(2, len(SYMBOLS))]
    assert by_hand.run("promote", "1d", "again", 2, decided_by="ann")["promoted"] == "no"

    assert main(["models", "roll_back", "--horizon", "1d", "--why", "too bold"]) == 0
    assert _champion() == 1
    assert by_hand.run("roll_back", "1d", "it was not", decided_by="bob")["version"] == "2"
    assert seen(reader_dsn, f"{WHO} where door = 'by_hand' order by decision_id") == [
        ("by_hand", 2, 1, "ann", "it reads the new exchange"),
        ("by_hand", 1, 2, "shell", "too bold"),
        ("by_hand", 2, 1, "bob", "it was not"),
    ]
    assert seen(reader_dsn, "select model_version from serving.models where role = 'champion'") == [(2,)]
    assert seen(reader_dsn, "select who, what, target from serving.audit_log order by decision_id") == [
        ("ann", "promote", "1d version 2"),
        ("shell", "roll_back", "1d version 1"),
        ("bob", "roll_back", "1d version 2"),
    ]


def test_what_a_person_promotes_has_the_skill_that_the_gate_told(two_versions: Path, reader_dsn: str) -> None:
    before = seen(reader_dsn, "select has_skill from serving.models where model_version = 2")
    by_hand.run("promote", "1d", "for its skill", 2)
    assert seen(reader_dsn, f"{WHO.replace('door, ', 'has_skill, ')} where door = 'by_hand'")[0][0] == before[0][0]


def test_a_frozen_target_keeps_its_champion_until_it_is_let_go(market: Path, reader_dsn: str) -> None:
    by_hand.run("freeze", "1d", "holidays", decided_by="ann")
    by_hand.run("freeze", "1d", "holidays still", decided_by="bob")
    assert main(NIGHT) == 2, "nothing serves yet, and nothing may begin to"
    assert _champion() is None
    assert seen(reader_dsn, "select verdict, promoted_at is null from serving.promotions") == [("promote", True)]
    by_hand.run("unfreeze", "1d", "back again", decided_by="bob")
    assert main(NIGHT) == 0
    assert _champion() == 1
    assert seen(
        reader_dsn, "select is_frozen, decided_by, why, is_current from serving.freezes order by freeze_id"
    ) == [(True, "ann", "holidays", False), (False, "bob", "back again", True)]


def test_a_person_may_move_the_champion_of_a_frozen_target(two_versions: Path) -> None:
    by_hand.run("freeze", "1d", "holidays")
    assert by_hand.run("promote", "1d", "now", 2)["promoted"] == "yes"
    assert _champion() == 2


def test_what_cannot_be_done_changes_nothing(
    two_versions: Path, reader_dsn: str, warehouse_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(psycopg2.connect(warehouse_dsn)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("update lifecycle.model_versions set feature_set_digest = 'other' where version = 2")
    with pytest.raises(SettingsError, match="feature set other"):
        by_hand.run("promote", "1d", "why not", 2)
    with monkeypatch.context() as patch:
        patch.setenv("AFTERBELL_LABELS", "1d=barrier")
        settings.cache_clear()
        with closing(psycopg2.connect(warehouse_dsn)) as connection, connection, connection.cursor() as cursor:
            told = {"digest": DEFAULT_SET.digest}
            cursor.execute("update lifecycle.model_versions set feature_set_digest = %(digest)s", told)
        with pytest.raises(SettingsError, match="learned the label return"):
            by_hand.run("promote", "1d", "why not", 2)
    settings.cache_clear()
    with pytest.raises(NotRecorded, match="no version 7"):
        by_hand.run("promote", "1d", "why not", 7)
    with pytest.raises(SettingsError, match="before whose champion nothing served"):
        by_hand.run("roll_back", "1d", "why not")
    assert _champion() == 1
    assert seen(reader_dsn, f"{WHO} where door = 'by_hand'") == []


@pytest.mark.parametrize(
    ("action", "version", "why", "told"),
    [
        ("demote", None, "because", "the action 'demote'"),
        ("promote", None, "because", "no version to promote"),
        ("freeze", 2, "because", "version 2 to freeze"),
        ("freeze", None, "  ", "no word on why"),
    ],
)
def test_a_form_that_makes_no_sense_is_refused(action: str, version: int | None, why: str, told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        by_hand.run(action, "1d", why, version)


def _champion() -> int | None:
    return Registry(settings().require_mlflow_uri()).alias("equity-1d", CHAMPION)
