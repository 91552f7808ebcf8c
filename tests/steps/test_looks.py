"""Looks at candidates: when one is taken, who joins it, what it spends, and what becomes of bad luck on the way."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import mlflow
import psycopg2
import pytest

from ml.__main__ import main
from ml.domain import Target
from ml.io.warehouse import Warehouse, models
from ml.settings import settings
from ml.steps import compare, features, labels, learn, promote, train
from ml.steps.night import Keys, asked_for, parse
from tests.steps.market import seen

pytestmark = [pytest.mark.xdist_group("mlflow"), pytest.mark.usefixtures("registry")]
DAY = Target("equity", "1d", 1)
FIRST, LATER = 0.007, 0.001
SAID = "select candidate_version, look, round(alpha_spent::numeric, 6)::float, verdict from serving.promotions"
FAR_AHEAD = (
    "update lifecycle.decisions set evidence = jsonb_set(evidence, '{series}', (select jsonb_agg(jsonb_build_array("
    "value -> 0, 0.01 + 0.001 * random())) from jsonb_array_elements(evidence -> 'series')))"
    " where candidate_version = 2"
)
IN_ORDER = f"{SAID} order by decision_id"


@pytest.fixture
def candidates(market: Path, monkeypatch: pytest.MonkeyPatch) -> list[Keys]:
    """Version 1 serves; versions 2 and 3 were trained on the same night with other seeds, and not judged yet."""
    assert main(["night", "--trials", "1"]) == 0
    made = []
    for seed in ("8", "9"):
        monkeypatch.setenv("AFTERBELL_SEED", seed)
        settings.cache_clear()
        night = labels.run(**features.run(**asked_for("equity", None, None)))
        key = night["domain"], night["as_of"], night["known_at"], night["snapshot"]
        learn.run(*key, "xgboost", ["1d"], 1)
        made.append(train.run(*key, "1d", trials=1))
    assert [keys["version"] for keys in made] == ["2", "3"]
    return made


def change(warehouse_dsn: str, statement: str) -> None:
    """Something that happens to the warehouse."""
    with closing(psycopg2.connect(warehouse_dsn)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement)


def a_quarter_passes(warehouse_dsn: str) -> None:
    """As if all that was decided so far had been decided that much earlier."""
    change(warehouse_dsn, "update lifecycle.decisions set as_of = as_of - interval '92 days'")


def test_a_quarter_has_one_look_and_what_it_has_not_decided_joins_the_next(
    candidates: list[Keys], reader_dsn: str, warehouse_dsn: str
) -> None:
    second, third = candidates
    first = compare.run(**second)
    assert compare.run(**second) == first, "asked again, and nothing more is spent"
    assert seen(reader_dsn, IN_ORDER) == [(1, 0, 0.0, "promote"), (2, 1, FIRST, "keep")]

    waits = compare.run(**third)
    assert seen(reader_dsn, f"{SAID} where decision_id = {waits['decision_id']}") == [(3, 0, 0.0, "keep")]
    told = seen(reader_dsn, f"select reason from serving.promotions where decision_id = {waits['decision_id']}")
    assert told[0][0].startswith("no look tonight: the last was on 2014-08-29, and the year has 4; the next is due on")
    assert promote.run(waits["decision_id"])["promoted"] == "no"

    a_quarter_passes(warehouse_dsn)
    looked = compare.run(**third, reason="manual")
    assert seen(reader_dsn, IN_ORDER)[3:] == [(3, 1, FIRST, "keep"), (2, 2, LATER, "keep")]
    said = seen(reader_dsn, "select evidence from serving.promotions where look = 2")[0][0]
    assert said["dates_since"] == 0, "nobody has predicted in shadow here"
    assert compare.run(**third, reason="manual") == looked


def test_who_asks_for_a_reason_is_looked_at_at_once_while_the_year_has_something_left(
    candidates: list[Keys], reader_dsn: str
) -> None:
    second, third = candidates
    compare.run(**second)
    compare.run(**third, reason="drift_detected")
    assert seen(reader_dsn, IN_ORDER)[1:] == [(2, 1, FIRST, "keep"), (3, 1, FIRST, "keep"), (2, 2, LATER, "keep")]


def test_a_year_that_is_spent_gives_no_look_to_anybody(
    candidates: list[Keys], reader_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFTERBELL_LOOKS_PER_YEAR", "1")
    settings.cache_clear()
    compare.run(**candidates[0])
    spent = compare.run(**candidates[1], reason="manual")
    told = seen(reader_dsn, f"select look, reason from serving.promotions where decision_id = {spent['decision_id']}")
    assert told == [(0, "alpha budget spent: 0.028 of 0.04 in the past year")]


def test_of_two_retrainings_that_finish_at_once_one_takes_the_look(candidates: list[Keys], reader_dsn: str) -> None:
    """Both have seen that a look is due before either has taken it."""
    config = settings()
    warehouse = Warehouse(config.require_warehouse_dsn())
    night = parse(**_key(candidates[0]))
    gate = compare.Gate(config, warehouse, DAY, night, models.champion(warehouse, DAY), at_once=False)
    due = gate.taken()
    assert compare.run(**candidates[0])["decision_id"]
    assert not gate.judged(models.version(warehouse, DAY, 3), due), "another has taken the look meanwhile"
    assert len(seen(reader_dsn, IN_ORDER)) == 2, "and nothing was written"
    compare.run(**candidates[1])
    assert seen(reader_dsn, IN_ORDER)[2] == (3, 0, 0.0, "keep")


def test_a_challenger_whose_files_are_gone_is_not_promoted_however_good(
    candidates: list[Keys], reader_dsn: str, warehouse_dsn: str, registry: str
) -> None:
    """Its evidence is made to say that it is far ahead; the one that loads is judged as ever."""
    compare.run(**candidates[0])
    change(warehouse_dsn, FAR_AHEAD)
    a_quarter_passes(warehouse_dsn)
    mlflow.MlflowClient(tracking_uri=registry).delete_model_version("equity-1d", "2")
    compare.run(**candidates[1])
    told = seen(reader_dsn, "select verdict, reason from serving.promotions where look = 2")
    assert told[0][0] == "keep"
    assert told[0][1].startswith("its artifact cannot be loaded (")
    assert "superior: " in told[0][1]


def test_the_best_of_a_look_is_promoted_by_whoever_asks_and_the_others_are_released(
    candidates: list[Keys], reader_dsn: str, warehouse_dsn: str
) -> None:
    compare.run(**candidates[0])
    change(warehouse_dsn, FAR_AHEAD)
    a_quarter_passes(warehouse_dsn)
    decided = compare.run(**candidates[1])
    assert compare.run(**candidates[1]) == decided
    done = promote.run(decided["decision_id"])
    assert (done["promoted"], done["version"]) == ("yes", "2")
    assert seen(reader_dsn, "select model_version from serving.models where role = 'champion'") == [(2,)]
    warehouse = Warehouse(settings().require_warehouse_dsn())
    champion = models.champion(warehouse, DAY)
    assert champion is not None
    assert models.challengers(warehouse, DAY, champion, parse(**_key(candidates[1])).as_of) == []


def _key(keys: Keys) -> Keys:
    return {name: keys[name] for name in ("domain", "as_of", "known_at")}
