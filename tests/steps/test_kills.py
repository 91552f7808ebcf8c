"""Every step is killed in the middle of its write, loses its Postgres there, and is run by two at once.

"In the middle" is made certain, not hoped for: the test holds a lock on what the step writes that lets readers
pass, waits until the step asks for the right to write there, inside its transaction, and strikes then. Only the
relations of WRITTEN are stopped at so. (Writers of the store are killed in tests/io/test_store.py, the statements of
one delivery in test_replay.py, an export in test_export.py.)
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import pytest

from ml.equity.features.catalogue import DEFAULT_SET
from ml.errors import StackError
from ml.io import studies
from ml.io.migrations import migrate
from ml.io.warehouse import Warehouse
from ml.settings import REPOSITORY
from ml.stack.ports import free_port
from ml.stack.postgres import PostgresServer, settle
from ml.stack.roles import MLFLOW, READER, WAREHOUSE, make_database, make_roles
from tests.servers import mlflow_server_on
from tests.steps.market import FIRST, LAST, SYMBOLS, bars, seen, write

pytestmark = pytest.mark.xdist_group("kills")
AFTERBELL = [sys.executable, "-m", "ml"]
NIGHT_SEEN = (
    "select symbol, horizon, p_up, expected_return, return_lower, return_upper, price_target, model_version"
    " from serving.latest_predictions order by symbol, horizon"
)
# Each step with the relations at whose writing it is stopped. Before landed_parts, check_results, latest_features and
# predictions it has written to others; of the last three in the same transaction. Labels touch no database.
WRITTEN: dict[str, list[str]] = {
    "ingest": ["market.landed_parts"],
    "validate": ["market.bars", "market.check_results"],
    "features": ["market.feature_definitions", "market.latest_features"],
    "learn": ["search.trial_values"],
    "train": ["lifecycle.model_versions"],
    "compare": ["lifecycle.decisions"],
    "promote": ["lifecycle.promotions"],
    "predict": ["lifecycle.predictions"],
}
# What the product waits for: the relation (none for an advisory lock) and the right it asks for.
WAITING = (
    "select l.relation::regclass::text, l.mode from pg_locks l join pg_stat_activity a using (pid)"
    " where not l.granted and a.usename = %s"
)
Process = subprocess.Popen[str]


@dataclass
class House:
    """One Postgres of its own, to be killed, and the environment of the steps."""

    server: PostgresServer
    environment: dict[str, str]
    keys: dict[str, str] = field(default_factory=dict)

    @property
    def reader_dsn(self) -> str:
        return self.server.dsn(WAREHOUSE, READER, READER)

    def command(self, step: str) -> list[str]:
        arguments = {
            "validate": [self.keys.get("ingest_id", "")],
            "learn": ["--estimator", "xgboost", "--trials", "1"],
            "train": ["--horizon", "1d", "--trials", "1"],
            "compare": ["--horizon", "1d", "--version", self.keys.get("version", "")],
            "promote": [self.keys.get("decision_id", "")],
        }
        return [*AFTERBELL, step, *arguments.get(step, [])]

    def start(self, step: str) -> Process:
        return subprocess.Popen(
            self.command(step),
            cwd=REPOSITORY,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, step: str) -> dict[str, str]:
        return _finished(self.start(step))


def _finished(process: Process) -> dict[str, str]:
    said, log = process.communicate(timeout=120)
    assert process.returncode == 0, log
    keys: dict[str, str] = json.loads(said.splitlines()[-1])
    return keys


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    write(folder / "bars", bars())
    place = Path(tempfile.mkdtemp(prefix="ab-"))
    server = PostgresServer(settle(place / "postgres"), free_port(), "superuser")
    server.create()
    server.start()
    make_roles(server, {role: role for role in (MLFLOW, WAREHOUSE, READER)})
    make_database(server, WAREHOUSE, WAREHOUSE)
    migrate(server.dsn(WAREHOUSE, WAREHOUSE, WAREHOUSE))
    # Made ahead, as maintenance does: else `validate` would be stopped while it makes them, before its bars.
    span = {"first": FIRST.to_pydatetime(), "last": LAST.to_pydatetime()}
    with Warehouse(server.dsn(WAREHOUSE, WAREHOUSE, WAREHOUSE)).transaction() as transaction:
        transaction.execute("partitions_make", {"timeframe": "1d", **span})
    with studies.storage(server.dsn(WAREHOUSE, WAREHOUSE, WAREHOUSE)):
        pass  # makes Optuna's tables, for the same reason
    with mlflow_server_on(f"sqlite:///{folder}/mlflow.db", folder) as uri:
        yield House(
            server,
            {
                **os.environ,
                "AFTERBELL_HOME": str(folder / "home"),
                "AFTERBELL_WAREHOUSE_DSN": server.dsn(WAREHOUSE, WAREHOUSE, WAREHOUSE),
                "AFTERBELL_MLFLOW_URI": uri,
                "AFTERBELL_PROVIDER": "files",
                "AFTERBELL_FILES_PATH": str(folder / "bars"),
                "AFTERBELL_HORIZONS": "1d",
                "AFTERBELL_ESTIMATORS": "xgboost",
                "AFTERBELL_THREADS": "1",
            },
        )
    server.stop()


@contextmanager
def blocked(house: House, step: str, relation: str) -> Iterator[Callable[[list[Process]], None]]:
    """Hold `relation` against writers; gives what waits until all processes stand there.

    Of several processes one stands there, and the others there or behind it, at a lock that it holds.
    """

    def wait(processes: list[Process]) -> None:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            with house.server.superuser(WAREHOUSE) as cursor:
                cursor.execute(WAITING, (WAREHOUSE,))
                found = cursor.fetchall()
            if len(found) >= len(processes) and (relation, "RowExclusiveLock") in found:
                return
            assert all(process.poll() is None for process in processes), processes[0].communicate()
            time.sleep(0.05)
        raise AssertionError(f"{step} never came to {relation}")

    with closing(psycopg2.connect(house.server.dsn(WAREHOUSE))) as connection, connection.cursor() as cursor:
        cursor.execute(f"lock table {relation} in share mode")
        yield wait


def _kill_postgres(house: House) -> None:
    postmaster = int((house.server.data / "postmaster.pid").read_text().splitlines()[0])
    # Held still first: a lock that one process leaves on its way out must let no other write to the end.
    all_of_it = [psutil.Process(postmaster), *psutil.Process(postmaster).children(recursive=True)]
    for signal_number in (signal.SIGSTOP, signal.SIGKILL):
        for process in all_of_it:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal_number)
    deadline = time.monotonic() + 30
    while house.server.is_ready() and time.monotonic() < deadline:
        time.sleep(0.05)


def _restart_postgres(house: House) -> None:
    deadline = time.monotonic() + 60
    while not house.server.is_ready():
        assert time.monotonic() < deadline
        try:
            house.server.start()
        except StackError:  # the dying server still holds its lock file
            time.sleep(0.3)


def _counts(house: House) -> list[tuple[Any, ...]]:
    """What a step must not half-write; attempts (ingest_runs) may add up, and what features mean is told by itself."""
    return seen(
        house.server.dsn(WAREHOUSE),
        "select (select count(*) from market.bars), (select count(*) from market.bar_revisions),"
        " (select count(*) from lifecycle.model_versions), (select count(*) from lifecycle.decisions),"
        " (select count(*) from lifecycle.promotions), (select count(*) from lifecycle.publications),"
        " (select count(*) from lifecycle.predictions), (select count(*) from market.latest_features)",
    )


@pytest.mark.timeout(1200)  # some thirty-five processes, each of which imports half the house
def test_a_night_survives_every_blow_and_ends_as_an_undisturbed_one(house: House) -> None:
    for step, relations in WRITTEN.items():
        before = _counts(house)
        for relation in relations:
            _killed_in_the_middle(house, step, relation)
            assert _counts(house) == before, (step, relation)
        _loses_postgres_in_the_middle(house, step, relations[-1])
        assert _counts(house) == before, step
        house.keys |= _run_by_two_at_once(house, step, relations[-1])
    disturbed = seen(house.reader_dsn, NIGHT_SEEN)
    assert len(disturbed) == len(SYMBOLS)
    assert _counts(house) == [(len(bars()), 0, 1, 1, 1, 1, len(SYMBOLS), len(SYMBOLS))]

    for step in WRITTEN:
        house.keys |= house.run(step)
    assert seen(house.reader_dsn, "select count(*) from serving.feature_definitions") == [(len(DEFAULT_SET.names),)]
    assert seen(house.reader_dsn, NIGHT_SEEN) == disturbed
    assert _counts(house) == [(len(bars()), 0, 1, 1, 1, 1, len(SYMBOLS), len(SYMBOLS))]


def _killed_in_the_middle(house: House, step: str, relation: str) -> None:
    with blocked(house, step, relation) as wait:
        process = house.start(step)
        wait([process])
        process.kill()
        process.communicate()


def _loses_postgres_in_the_middle(house: House, step: str, relation: str) -> None:
    with blocked(house, step, relation) as wait:
        process = house.start(step)
        wait([process])
        _kill_postgres(house)
    said = process.communicate(timeout=60)[1].strip().splitlines()[-1]
    assert process.returncode == 2, said
    assert said.startswith(f"{step}: Found no answer from Postgres"), said
    _restart_postgres(house)


def _run_by_two_at_once(house: House, step: str, relation: str) -> dict[str, str]:
    with blocked(house, step, relation) as wait:
        twins = [house.start(step), house.start(step)]
        wait(twins)
    one, other = (_finished(twin) for twin in twins)
    if step not in ("ingest", "predict"):
        assert {**one, "known_at": ""} == {**other, "known_at": ""}
    return one
