"""The registry and the warehouse agree on who serves: after every move, and after a kill at any instant of one."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import mlflow
import psycopg2
import pytest

from ml.errors import RegistryError
from ml.io.registry import Registry
from ml.io.warehouse import Warehouse, models
from ml.settings import settings
from ml.stack.ports import LOOPBACK, free_port
from ml.steps import by_hand, domains, features, predict, promote, reconcile
from ml.steps.aliases import CHALLENGER, CHAMPION, PREVIOUS
from ml.steps.night import asked_for
from tests.steps.doom import doomed, dying
from tests.steps.market import seen

pytestmark = [pytest.mark.xdist_group("mlflow"), pytest.mark.usefixtures("registry")]
NAME = "equity-1d"
ROLES = "select model_version from serving.models where role = 'champion'"
CALLS = ((Registry, "alias"), (Registry, "point"), (Registry, "has"), (Registry, "require"))
Step = tuple[Callable[..., Any], tuple[Any, ...]]


def server() -> Registry:
    return Registry(settings().require_mlflow_uri())


def aliases() -> tuple[int | None, ...]:
    return tuple(server().alias(NAME, alias) for alias in (CHAMPION, PREVIOUS, CHALLENGER))


def tell(dsn: str, statement: str) -> None:
    with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement)


def looked_at(dsn: str, verdict: str = "keep") -> str:
    """The gate's decision about version 2 is one of its looks, and its verdict this; returns the decision's id."""
    tell(dsn, f"update lifecycle.decisions set look = 1, verdict = '{verdict}' where candidate_version = 2")
    [(decision_id,)] = seen(dsn, "select decision_id from lifecycle.decisions where candidate_version = 2")
    return str(decision_id)


def again() -> None:
    predict.run(**features.run(**asked_for("equity", None, None)))


def test_the_aliases_tell_who_serves_who_served_before_and_who_is_looked_at(
    two_versions: Path, warehouse_dsn: str
) -> None:
    assert aliases() == (1, None, 2), "the gate has looked at it"
    tell(warehouse_dsn, "update lifecycle.decisions set look = 0 where candidate_version = 2")
    assert reconcile.run("equity") == [f"{NAME}: alias challenger moved from version 2 to none"]
    looked_at(warehouse_dsn)
    assert reconcile.run("equity") == [f"{NAME}: alias challenger moved from none to version 2"]
    assert aliases() == (1, None, 2)
    by_hand.run("promote", "1d", "it reads the new exchange", 2)
    assert aliases() == (2, 1, None), "version 2 is no rival of its own recipe"
    by_hand.run("roll_back", "1d", "too bold")
    assert aliases() == (1, 2, 2)
    tell(warehouse_dsn, "update lifecycle.decisions set look = 4 where candidate_version = 2 and look = 1")
    again()
    assert aliases() == (1, 2, None), "after the last look it is decided"


def test_reconcile_puts_right_what_others_moved_and_tells_it_once(
    two_versions: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server().point(NAME, CHAMPION, 2)
    server().point(NAME, PREVIOUS, 1)
    lines = [
        f"{NAME}: alias previous moved from version 1 to none",
        f"{NAME}: alias champion moved from version 2 to version 1",
    ]
    assert reconcile.run("equity") == lines
    assert [line in caplog.text for line in lines] == [True, True]
    assert aliases() == (1, None, 2)
    assert reconcile.run("equity") == [f"aliases of {NAME}: as the warehouse has them"]


def test_a_version_that_served_before_and_was_deleted_since_holds_nobody_up(two_versions: Path) -> None:
    by_hand.run("promote", "1d", "it reads the new exchange", 2)
    mlflow.MlflowClient().delete_model_version(NAME, "1")
    again()
    assert aliases() == (2, None, None)
    assert reconcile.run("equity") == [f"aliases of {NAME}: as the warehouse has them"]
    with pytest.raises(RegistryError, match="version 1 of equity-1d that cannot be loaded"):
        by_hand.run("roll_back", "1d", "too bold")
    assert aliases() == (2, None, None)


def test_a_champion_that_was_deleted_is_told_and_the_other_targets_are_put_right(
    two_versions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = mlflow.MlflowClient()
    second = client.get_model_version(NAME, "2")
    client.create_registered_model("equity-5d")
    client.create_model_version(
        "equity-5d", second.source, second.run_id, model_id=second.source.removeprefix("models:/")
    )
    server().point("equity-5d", CHAMPION, 1)
    client.delete_model_version(NAME, "1")
    monkeypatch.setenv("AFTERBELL_HORIZONS", "1d,5d")
    settings.cache_clear()
    with pytest.raises(RegistryError, match="name=equity-1d, version=1"):
        reconcile.run("equity")
    assert server().alias("equity-5d", CHAMPION) is None, "nobody was ever promoted there"


def die(at: int, environment: dict[str, str], step: Step) -> None:
    """In a process of its own: take the step, and kill -9 before statement, commit or call of MLflow number `at`."""
    os.environ.update(environment)
    settings.cache_clear()
    with doomed(dying, at, *CALLS):
        step[0](*step[1])


def killed(at: int, step: Step) -> bool:
    """Whether it came to that; a step that has fewer of them ends undisturbed."""
    # Forked from a process that has imported the house already, and that knows no thread and no connection.
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([__name__])
    environment = {name: value for name, value in os.environ.items() if name.startswith("AFTERBELL_")}
    process = processes.Process(target=die, args=(at, environment, step))
    process.start()
    process.join(120)
    assert process.exitcode in (0, -signal.SIGKILL), process.exitcode
    return process.exitcode != 0


@pytest.mark.timeout(900)
def test_killed_at_any_instant_of_a_move_the_aliases_come_to_say_what_the_rows_say(
    two_versions: Path, warehouse_dsn: str, reader_dsn: str
) -> None:
    decision_id = looked_at(warehouse_dsn, "promote")
    reconcile.run("equity")
    published, ahead = seen(reader_dsn), 0
    moves: list[tuple[Step, tuple[int | None, ...], tuple[int | None, ...]]] = [
        ((promote.run, (decision_id,)), (1, None, 2), (2, 1, None)),
        ((by_hand.run, ("roll_back", "1d", "too bold", None, "ann", "run 1")), (2, 1, None), (1, 2, 2)),
    ]
    for step, before, after in moves:
        at = 0
        while killed(at, step):
            assert seen(reader_dsn, ROLES) == [(before[0],)], f"killed at {at}"
            assert seen(reader_dsn) == published
            ahead += aliases() != before
            if at % 4:
                reconcile.run("equity")
            else:
                again()
            assert aliases() == before, f"killed at {at}"
            at += 1
        assert at > 12
        assert seen(reader_dsn, ROLES) == [(after[0],)]
        assert aliases() == after
        again()
        published = seen(reader_dsn)
    assert ahead >= 6, "aliases that were ahead of their row, so that there was something to put right"


def test_a_reconciliation_that_is_killed_leaves_the_rest_to_the_next(two_versions: Path) -> None:
    at = 0
    while True:
        server().point(NAME, CHAMPION, 2)
        server().point(NAME, PREVIOUS, 2)
        if not killed(at, (reconcile.run, ("equity",))):
            break
        reconcile.run("equity")
        assert aliases() == (1, None, 2), f"killed at {at}"
        at += 1
    assert at > 7
    assert aliases() == (1, None, 2)


def a_third(dsn: str) -> str:
    """Version 3, a copy of version 2 by another number, which the gate wants to promote as well; the decision's id."""
    client = mlflow.MlflowClient()
    second = client.get_model_version(NAME, "2")
    client.create_model_version(NAME, second.source, second.run_id, model_id=second.source.removeprefix("models:/"))
    of_second = {
        "model_versions": ("version = 2", {"version": "3", "training_key": "'third'"}),
        "decisions": ("candidate_version = 2", {"candidate_version": "3"}),
    }
    for table, (which, changed) in of_second.items():
        told = f"select column_name from information_schema.columns where table_name = '{table}' and is_identity = 'NO'"
        names = [name for (name,) in seen(dsn, told)]
        values = ", ".join(changed.get(name, name) for name in names)
        tell(
            dsn,
            f"insert into lifecycle.{table} ({', '.join(names)}) select {values} from lifecycle.{table} where {which}",
        )
    [(decision_id,)] = seen(dsn, "select decision_id from lifecycle.decisions where candidate_version = 3")
    return str(decision_id)


def test_of_two_promotions_at_once_one_takes_effect_and_the_other_is_told(
    two_versions: Path, warehouse_dsn: str, reader_dsn: str
) -> None:
    both = [looked_at(warehouse_dsn, "promote"), a_third(warehouse_dsn)]
    waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
    target = domains.target("equity", "1d", settings())
    with ThreadPoolExecutor() as pool:
        with Warehouse(warehouse_dsn).transaction() as transaction:
            models.lock_champion(transaction, target)
            promotions = [pool.submit(promote.run, decision_id) for decision_id in both]
            while seen(warehouse_dsn, waiting) != [(2,)]:
                assert not any(each.done() for each in promotions)
        done = [each.result() for each in promotions]
    won, lost = sorted(done, key=lambda each: each["promoted"], reverse=True)
    assert (won["promoted"], lost["promoted"]) == ("yes", "no")
    assert lost["reason"].startswith(f"superseded by champion version {won['version']} of {NAME}, nothing was changed")
    [(serving,)] = seen(reader_dsn, ROLES)
    assert str(serving) == won["version"]
    assert aliases() == (serving, 1, None)


def test_an_mlflow_that_is_away_or_goes_away_promotes_nothing(
    two_versions: Path, warehouse_dsn: str, reader_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    decision_id, before = looked_at(warehouse_dsn, "promote"), seen(reader_dsn)
    with monkeypatch.context() as patch:
        patch.setenv("AFTERBELL_MLFLOW_URI", f"http://{LOOPBACK}:{free_port()}")
        settings.cache_clear()
        with pytest.raises(RegistryError, match="Start it"):
            promote.run(decision_id)
    settings.cache_clear()
    point = Registry.point

    def point_once(self: Registry, *asked: Any) -> None:
        if asked[1] == CHAMPION:
            self._client = mlflow.MlflowClient(tracking_uri=f"http://{LOOPBACK}:{free_port()}")
        point(self, *asked)

    with monkeypatch.context() as patch:
        patch.setattr(Registry, "point", point_once)
        with pytest.raises(RegistryError, match="Start it"):
            promote.run(decision_id)
    assert seen(reader_dsn, ROLES) == [(1,)]
    assert server().alias(NAME, PREVIOUS) == 1, "ahead of its row"
    again()
    assert aliases() == (1, None, 2)
    assert seen(reader_dsn) == before
    assert promote.run(decision_id)["promoted"] == "yes"
    assert aliases() == (2, 1, None)


def files_of(version: int, folder: Path) -> Path:
    """Where MLflow keeps the files of a version's model."""
    source = mlflow.MlflowClient().get_model_version(NAME, str(version)).source
    [found] = [path for path in folder.rglob(source.rpartition("/")[2]) if path.is_dir()]
    return found


def damaged(files: Path) -> None:
    for path in files.rglob("*"):
        if path.is_file() and path.suffix in (".ubj", ".json"):
            path.write_bytes(path.read_bytes()[:100])


@pytest.mark.parametrize("harm", [shutil.rmtree, damaged], ids=["gone", "damaged"])
def test_a_model_whose_files_are_gone_or_damaged_is_not_promoted_and_readers_keep_what_they_have(
    two_versions: Path,
    warehouse_dsn: str,
    reader_dsn: str,
    tmp_path_factory: pytest.TempPathFactory,
    harm: Callable[[Path], None],
) -> None:
    decision_id, before = looked_at(warehouse_dsn, "promote"), seen(reader_dsn)
    harm(files_of(2, tmp_path_factory.getbasetemp()))
    with pytest.raises(RegistryError, match="version 2 of equity-1d that cannot be loaded"):
        promote.run(decision_id)
    with pytest.raises(RegistryError, match="version 2 of equity-1d that cannot be loaded"):
        by_hand.run("promote", "1d", "why not", 2)
    assert (aliases()[0], seen(reader_dsn, ROLES)) == (1, [(1,)])
    harm(files_of(1, tmp_path_factory.getbasetemp()))
    with pytest.raises(RegistryError, match="version 1 of equity-1d that cannot be loaded"):
        again()
    assert seen(reader_dsn) == before
