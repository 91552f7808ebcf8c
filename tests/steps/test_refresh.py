"""A champion that is old is fitted anew from its own recipe, and takes its own place when the gate says so."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import mlflow
import psycopg2
import pytest

from ml.__main__ import main
from ml.io.registry import Registry
from ml.settings import settings
from ml.steps import compare, domains, features, freshness, ingest, labels, predict, promote, refresh, validate
from ml.steps.aliases import CHAMPION, PREVIOUS
from tests.steps.market import LAST, SYMBOLS, seen

pytestmark = [pytest.mark.xdist_group("mlflow"), pytest.mark.usefixtures("registry")]
SERVING = "select model_version, champion_age_sessions, is_overdue from serving.models where role = 'champion'"
JUDGED = "select candidate_version, champion_version, door, alpha_spent from serving.promotions order by decision_id"


def setting(monkeypatch: pytest.MonkeyPatch, sessions: int) -> None:
    monkeypatch.setenv("AFTERBELL_REFRESH_SESSIONS", str(sessions))
    settings.cache_clear()


def tell(dsn: str, statement: str) -> None:
    with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.fixture
def aged(market: Path) -> dict[str, str]:
    """Version 1 was trained on 2014-07-01, 42 sessions before the night whose keys these are."""
    assert main(["night", "--trials", "1", "--as-of", "2014-07-01"]) == 0
    return keys(None)


def keys(as_of: str | None) -> dict[str, str]:
    return labels.run(**features.run(**validate.run(ingest.run(as_of)["ingest_id"])))


def test_an_old_champion_is_refitted_judged_and_serves_without_a_trial(aged: dict[str, str], reader_dsn: str) -> None:
    newer = refresh.run(**aged, horizon="1d")
    assert newer["version"] == "2"
    assert refresh.run(**aged, horizon="1d") == newer, "asked again it is found"
    told = seen(
        reader_dsn,
        "select model_version, trials, as_of::date, train_end > (select max(train_end) from serving.models where"
        " model_version = 1), left_out from serving.models where model_version = 2",
    )
    assert told == [(2, 0, LAST.date(), True, [])]
    assert seen(reader_dsn, "select count(distinct recipe) from serving.models") == [(1,)]
    [(run_id,)] = seen(reader_dsn, "select mlflow_run_id from serving.models where model_version = 2")
    card = json.loads(mlflow.artifacts.load_text(f"runs:/{run_id}/evidence/card.json"))
    assert card["choice"]["reason"] == "as in version 1, whose recipe this is on newer rows"
    assert [each["trials"] for each in card["members"]] == [0]

    decision_id = compare.run(**newer)["decision_id"]
    assert seen(reader_dsn, JUDGED)[-1] == (2, 1, "refresh", 0.0)
    assert seen(reader_dsn, SERVING) == [(1, 42, False)]
    done = promote.run(decision_id)
    predict.run(**aged)
    if done["promoted"] == "yes":
        assert seen(reader_dsn, SERVING) == [(2, 0, False)]
        assert refresh.run(**aged, horizon="1d").get("version") == "2"


def test_what_was_refused_is_tried_again_after_as_many_sessions(
    aged: dict[str, str], warehouse_dsn: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    then = keys("2014-08-15")
    newer = refresh.run(**then, horizon="1d")
    decision_id = compare.run(**newer)["decision_id"]
    tell(warehouse_dsn, f"update lifecycle.decisions set verdict = 'keep' where decision_id = {decision_id}")
    assert refresh.run(**then, horizon="1d") == newer, "it was asked before"
    assert "version" not in refresh.run(**aged, horizon="1d")
    assert "a newer fit of it was judged 10 sessions ago; the next one is due 21 sessions after that" in caplog.text
    setting(monkeypatch, 10)
    assert refresh.run(**aged, horizon="1d")["version"] == "3"


def test_fresh_enough_never_and_nobody_are_told_apart(
    aged: dict[str, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, warehouse_dsn: str
) -> None:
    caplog.set_level("INFO")

    def told(words: str) -> bool:
        caplog.clear()
        found = refresh.run(**aged, horizon="1d")
        assert found == {**aged, "horizon": "1d"}
        return words in caplog.text

    setting(monkeypatch, 43)
    assert told("it was trained 42 sessions ago, and 43 are allowed")
    setting(monkeypatch, 0)
    assert told("AFTERBELL_REFRESH_SESSIONS is 0")
    setting(monkeypatch, 21)
    with monkeypatch.context() as patch:
        patch.setenv("AFTERBELL_LABELS", "1d=barrier")
        settings.cache_clear()
        assert told("another label")
    settings.cache_clear()
    tell(warehouse_dsn, "update lifecycle.model_versions set as_of = '2014-08-29 20:00+00'")
    assert told("it has been trained on this night or a later one")
    tell(warehouse_dsn, "delete from lifecycle.predictions")
    tell(warehouse_dsn, "delete from lifecycle.promotions")
    assert told("nothing serves yet")


def test_a_champion_that_nothing_refreshes_is_overdue_and_somebody_is_told(
    aged: dict[str, str], reader_dsn: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert freshness.run("equity", "1d") == "", "42 sessions are not more than twice 21"
    assert seen(reader_dsn, SERVING) == [(1, 42, False)]
    setting(monkeypatch, 20)
    monkeypatch.setattr(refresh, "_why_not", lambda *_: "a refusal")
    refresh.run(**aged, horizon="1d")
    told = freshness.run("equity", "1d")
    assert told.startswith("version 1 of equity-1d was trained 42 sessions ago and is to be refreshed after 20: ")
    assert told in caplog.text
    assert seen(reader_dsn, SERVING) == [(1, 42, True)]
    setting(monkeypatch, 0)
    assert freshness.run("equity", "1d") == ""


def test_a_champion_whose_files_are_gone_is_replaced_at_once_and_readers_keep_their_night_until_then(
    aged: dict[str, str],
    reader_dsn: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
    capsys: pytest.CaptureFixture[str],
) -> None:
    setting(monkeypatch, 50)
    before = seen(reader_dsn)
    source = mlflow.MlflowClient().get_model_version("equity-1d", "1").source
    [files] = tmp_path_factory.getbasetemp().rglob(source.rpartition("/")[2])
    shutil.rmtree(files)
    assert main(["predict"]) == 2
    assert "version 1 of equity-1d that cannot be loaded" in capsys.readouterr().err
    assert seen(reader_dsn) == before
    newer = refresh.run(**aged, horizon="1d")
    assert newer["version"] == "2"
    decision_id = compare.run(**newer)["decision_id"]
    promote.run(decision_id)


def test_the_night_of_the_shell_refreshes_before_it_makes_a_candidate(aged: dict[str, str], reader_dsn: str) -> None:
    assert main(["night", "--trials", "1"]) == 0
    doors = [row[:3] for row in seen(reader_dsn, JUDGED)]
    assert doors[:2] == [(1, None, "first"), (2, 1, "refresh")]
    assert [version for version, *_ in doors] == [1, 2, 3]
    [(serving, age, overdue)] = seen(reader_dsn, SERVING)
    assert overdue is False
    assert (serving, age) in {(1, 42), (2, 0), (3, 0)}
    registry = Registry(settings().require_mlflow_uri())
    assert registry.alias("equity-1d", CHAMPION) == serving
    assert (registry.alias("equity-1d", PREVIOUS) is None) == (serving == 1)
    assert seen(reader_dsn, "select distinct model_version, count(*) from serving.latest_predictions group by 1") == [
        (serving, len(SYMBOLS))
    ]


def test_nights_between_two_are_counted_by_the_calendar() -> None:
    between = domains.parts("equity", settings()).nights_between
    friday, monday = datetime(2014, 8, 29, 20, tzinfo=UTC), datetime(2014, 9, 2, 20, tzinfo=UTC)
    assert (between(friday, monday), between(monday, friday), between(friday, friday)) == (1, -1, 0)
