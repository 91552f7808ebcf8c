"""Versions that do not serve: what they say is kept and scored, and a canary lets them serve some symbols."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import psycopg2
import pytest

from ml.__main__ import main
from ml.errors import NotRecorded, WarehouseUnavailable
from ml.io.warehouse import Warehouse, models, shadows
from ml.settings import settings
from ml.stack.postgres import PostgresServer
from ml.steps import by_hand, canary, domains, features, ingest, labels, predict, shadow, shadow_scores, validate
from ml.steps.night import Keys, parse
from tests.steps.doom import counted, doomed, losing
from tests.steps.market import SYMBOLS, seen

pytestmark = [pytest.mark.xdist_group("mlflow"), pytest.mark.usefixtures("registry")]
FIRST, SECOND, THIRD = "2014-08-27", "2014-08-28", "2014-08-29"
CHALLENGED = "update lifecycle.decisions set door = 'replace', look = 1 where candidate_version = 2"
SAID = (
    "select model_version, role, as_of::date::text, symbol, p_up, made_at from serving.shadow_predictions order by 1, 4"
)
WHO = "select model_version, role, count(*) from serving.shadow_predictions group by 1, 2 order by 1"
SCORES = (
    "select model_version, role, as_of::date::text, champion_version, n, score, difference from serving.shadow_scores"
)
# All that readers see of the night but for when it was said again.
LATEST = "select to_jsonb(p) - 'published_at' - 'data_cutoff' - 'publication_id' from serving.{} p order by symbol"


@pytest.fixture
def two_versions(market: Path, monkeypatch: pytest.MonkeyPatch) -> Keys:
    """Version 1 serves; version 2 was kept out by the gate and has not been looked at yet. The keys of their night."""
    night = ["night", "--trials", "1", "--as-of", FIRST]
    assert main(night) == 0
    monkeypatch.setenv("AFTERBELL_SEED", "8")
    settings.cache_clear()
    assert main(night) == 0
    execute("update lifecycle.decisions set look = 0")
    execute("delete from lifecycle.shadow_predictions")
    return seen_night(FIRST)


def execute(statement: str) -> None:
    dsn = settings().require_warehouse_dsn()
    with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement)


def seen_night(as_of: str) -> Keys:
    """A night up to its labels; nothing is learned."""
    return labels.run(**features.run(**validate.run(ingest.run(as_of)["ingest_id"])))


def set_share(monkeypatch: pytest.MonkeyPatch, share: str) -> None:
    monkeypatch.setenv("AFTERBELL_CANARY_SHARE", share)
    settings.cache_clear()


def test_only_a_challenger_and_who_served_before_speak_in_shadow_each_once(
    two_versions: Keys, reader_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = seen(reader_dsn), seen(reader_dsn, "select * from serving.publications")
    assert shadow.run(**two_versions)["new"] == "0", "nobody is a challenger without a look"
    execute(CHALLENGED)
    assert shadow.run(**two_versions)["new"] == "1"
    said = seen(reader_dsn, SAID)
    assert [row[:4] for row in said] == [(2, "challenger", FIRST, symbol) for symbol in SYMBOLS]
    assert shadow.run(**two_versions)["new"] == "0"
    predict.run(**two_versions)
    assert seen(reader_dsn, SAID) == said
    assert (seen(reader_dsn), seen(reader_dsn, "select * from serving.publications")) == published

    champion = [row[0] for row in seen(reader_dsn, "select p_up from serving.latest_predictions order by symbol")]
    assert [row[4] for row in said] != champion
    by_hand.run("promote", "1d", "to have one that served before", 2)
    predict.run(**two_versions)
    assert [row[0] for row in seen(reader_dsn, "select p_up from serving.latest_predictions order by symbol")] == [
        row[4] for row in said
    ], "what it says in shadow is what it says when it serves"
    shadow.run(**two_versions)
    assert seen(reader_dsn, WHO) == [(1, "previous", len(SYMBOLS)), (2, "challenger", len(SYMBOLS))]
    assert [row[4] for row in seen(reader_dsn, SAID) if row[0] == 1] == champion

    execute("delete from lifecycle.shadow_predictions")
    execute("update lifecycle.model_versions set as_of = as_of + interval '1 day' where version = 1")
    assert shadow.run(**two_versions)["new"] == "0", "who has seen a later night has no word on this one"
    execute("update lifecycle.model_versions set as_of = as_of - interval '1 day', feature_set_digest = 'other'")
    assert shadow.run(**two_versions)["new"] == "0", "nor has who needs other features"


def test_a_version_that_is_gone_or_damaged_takes_nobody_with_it(
    two_versions: Keys,
    reader_dsn: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    by_hand.run("promote", "1d", "to have one that served before", 2)
    predict.run(**two_versions)
    before = seen(reader_dsn, LATEST.format("latest_predictions"))
    never_registered(9)
    document = artifact(tmp_path_factory.getbasetemp(), 1)
    whole = document.read_bytes()
    document.write_bytes(whole[:100])
    assert shadow.run(**two_versions)["new"] == "0"
    for told in ("previous version 1 says nothing", "challenger version 9 says nothing"):
        assert told in caplog.text
    document.write_bytes(whole)
    assert shadow.run(**two_versions)["new"] == "1"
    assert seen(reader_dsn, WHO) == [(1, "previous", len(SYMBOLS))]

    set_share(monkeypatch, "1")
    assert predict.run(**two_versions)["new"] == "no"
    assert "challenger version 9 serves nobody tonight" in caplog.text
    assert seen(reader_dsn, LATEST.format("latest_predictions")) == before
    assert seen(reader_dsn, LATEST.format("served_predictions")) == before


def never_registered(version: int) -> None:
    """A challenger of version 2 that the warehouse knows and the registry does not."""
    changed = json.dumps({"version": version, "training_key": "gone", "recipe_digest": "gone"})
    execute(
        "insert into lifecycle.model_versions"
        f" select (jsonb_populate_record(m, '{changed}')).* from lifecycle.model_versions m where version = 2"
    )
    execute(
        "insert into lifecycle.decisions (domain, target, candidate_version, champion_version, as_of, door, verdict,"
        " reason, alpha_spent, has_skill, evidence, decided_by, look)"
        f" select domain, target, {version}, 2, as_of, 'replace', 'keep', '', 0, false,"
        " jsonb_build_object('champion', jsonb_build_object('digest', recipe_digest)), 'gate', 1"
        " from lifecycle.model_versions where version = 2"
    )


def artifact(folder: Path, version: int) -> Path:
    """The document of a registered model, where MLflow keeps it."""
    source = mlflow.MlflowClient().get_model_version("equity-1d", str(version)).source
    model = str(source).removeprefix("models:/")
    (found,) = folder.rglob(f"{model}/**/model.json")
    return found


def test_scores_are_the_champions_loss_less_the_shadows_on_the_same_rows(
    two_versions: Keys, reader_dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    execute(CHALLENGED)
    shadow.run(**two_versions)
    assert shadow_scores.run(**two_versions)["scored"] == "0", "what came is not known yet"
    second = seen_night(SECOND)
    predict.run(**second)
    shadow.run(**second)
    execute("delete from lifecycle.shadow_predictions where as_of::date = '2014-08-27' and entity = 'AAA'")
    assert shadow_scores.run(**second)["scored"] == "1"

    rows = pd.DataFrame(
        seen(
            reader_dsn,
            "select s.p_up, h.p_up, n.close > t.close from serving.shadow_predictions s"
            " join serving.prediction_history h using (symbol, horizon, as_of)"
            " join serving.bars t on t.symbol = s.symbol and t.ts = h.as_of"
            " join serving.bars n on n.symbol = s.symbol and n.ts = h.matures_at where h.is_final",
        ),
        columns=["shadow", "champion", "rose"],
    )
    loss = {who: -np.log(np.where(rows["rose"], rows[who], 1 - rows[who])).mean() for who in ("shadow", "champion")}
    (told,) = seen(reader_dsn, SCORES)
    assert told == (
        *(2, "challenger", FIRST, 1, len(SYMBOLS) - 1),
        pytest.approx(loss["shadow"], abs=1e-12),
        pytest.approx(loss["champion"] - loss["shadow"], abs=1e-12),
    )
    assert told[-1] != 0
    assert shadow_scores.run(**second)["scored"] == "0"

    execute("delete from lifecycle.shadow_predictions where as_of::date = '2014-08-28' and entity < 'EEE'")
    third = seen_night(THIRD)
    assert shadow_scores.run(**third)["scored"] == "0"
    assert "2014-08-28 is not scored: 2 of 6 rows can be compared" in caplog.text
    assert seen(reader_dsn, SCORES) == [told]
    _series_is_of_one_pair_of_recipes(told[-1], second)


def _series_is_of_one_pair_of_recipes(difference: Any, second: Keys) -> None:
    warehouse = Warehouse(settings().require_warehouse_dsn())
    target = domains.target("equity", "1d", settings())
    champion = models.version(warehouse, target, 1)
    night = parse(second["domain"], second["as_of"], second["known_at"]).as_of
    for digest in (champion["recipe_digest"], None):
        found = shadows.series(warehouse, target, 2, digest, night)
        assert found.tolist() == [difference]
        assert found.index.equals(pd.DatetimeIndex([champion["as_of"]], dtype="datetime64[us, UTC]"))
        assert shadows.series(warehouse, target, 2, digest, night - timedelta(minutes=1)).empty, "not known yet"
    assert shadows.series(warehouse, target, 2, "another recipe", night).empty


def test_a_challenger_serves_its_arm_and_readers_of_champions_see_no_difference(
    two_versions: Keys, reader_dsn: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    execute(CHALLENGED)
    target = domains.target("equity", "1d", settings())
    with pytest.raises(NotRecorded, match="no canary of equity-1d"):
        canary.run("equity", "1d")
    before = champions_view(reader_dsn)
    set_share(monkeypatch, "0.5")
    assert predict.run(**two_versions)["new"] == "yes"
    arm = canary.arm(target, SYMBOLS, 0.5)
    assert set() < set(arm) < set(SYMBOLS)
    assert champions_view(reader_dsn) == before
    assert serving(reader_dsn) == {
        symbol: (2, "challenger") if symbol in arm else (1, "champion") for symbol in SYMBOLS
    }
    both = seen(reader_dsn, "select symbol, role, model_version from serving.canary")
    assert sorted(both) == sorted((s, *who) for s in arm for who in (("champion", 1), ("challenger", 2)))
    assert seen(
        reader_dsn,
        "select role, count(*), bool_and(decision_id is not null and model_version = case role"
        " when 'champion' then 1 else 2 end) from serving.lineage group by 1 order by 1 desc",
    ) == [("champion", 2 * len(SYMBOLS), True), ("challenger", len(arm), True)]
    assert predict.run(**two_versions)["new"] == "no"

    second = seen_night(SECOND)
    predict.run(**second)
    assert sorted(s for s, who in serving(reader_dsn).items() if who[1] == "challenger") == sorted(arm)
    assert shadow_scores.run(**second)["scored"] == "1"
    (told,) = seen(reader_dsn, SCORES)
    assert told[:5] == (2, "canary", FIRST, 1, len(arm))
    capsys.readouterr()
    assert main(["canary", "--horizon", "1d"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["version"], found["champion"], found["dates"], found["mean"]) == (2, 1, 1, told[-1])
    assert canary.line(found) == (
        f"1d | 2 beside 1 | 1 dates | log_loss {told[-1]:+.3g} | error 0 | 1 dates are too few, 60 are needed"
    )

    set_share(monkeypatch, "0")
    predict.run(**second)
    assert set(serving(reader_dsn).values()) == {(1, "champion")}


def champions_view(reader_dsn: str) -> list[list[tuple[Any, ...]]]:
    """What readers see who do not ask for the canary."""
    history = LATEST.format("prediction_history").replace("order by", "where is_final order by")
    reasons = "select to_jsonb(p) - 'published_at' - 'data_cutoff' from serving.explanations p order by symbol, rank"
    audited = "select row_count, audit from serving.publications where is_final"
    latest = LATEST.format("latest_predictions")
    return [seen(reader_dsn, statement) for statement in (latest, history, reasons, audited)]


def serving(reader_dsn: str) -> dict[str, tuple[int, str]]:
    """Who serves each symbol."""
    rows = seen(reader_dsn, "select symbol, model_version, role from serving.served_predictions")
    assert len({row[0] for row in rows}) == len(rows)
    return {symbol: (version, role) for symbol, version, role in rows}


def test_whoever_dies_keeps_all_words_of_a_version_or_none(
    two_versions: Keys, reader_dsn: str, postgres: PostgresServer
) -> None:
    warehouse = Warehouse(settings().require_warehouse_dsn())
    target = domains.target("equity", "1d", settings())
    night = parse(two_versions["domain"], two_versions["as_of"], two_versions["known_at"]).as_of
    rows = pd.DataFrame({"entity": list(SYMBOLS), "p_up": 0.5, "expected_return": 0.01})

    def record() -> bool:
        return shadows.record(warehouse, target, 2, "challenger", night, rows)

    with counted() as whole:
        record()
    execute("delete from lifecycle.shadow_predictions")
    for at in range(whole.statements):
        with doomed(losing(postgres), at), pytest.raises(WarehouseUnavailable):
            record()
        assert seen(reader_dsn, WHO) == []
    assert record()
    assert not record()
    assert seen(reader_dsn, WHO) == [(2, "challenger", len(SYMBOLS))]
