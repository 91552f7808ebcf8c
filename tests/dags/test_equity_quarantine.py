"""The review's tasks as Airflow calls them: whose word is kept, which errors are final, what is skipped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import date
from types import SimpleNamespace
from typing import Any

import psycopg2
import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from psycopg2.extensions import connection as Connection

from ml.settings import REPOSITORY, Settings
from tests.sql.seed import close, insert

FORM = {
    "verdict": "release",
    "symbols": ["IBM"],
    "first_session": None,
    "last_session": None,
    "reason": None,
    "again": False,
    "why": "the exchange confirms it",
}


@pytest.fixture
def tasks(stack_settings: Settings) -> dict[str, Any]:
    """The functions of the DAG's tasks, by name."""
    folder = REPOSITORY / "dags"
    bag = DagBag(folder / "equity_quarantine.py", bundle_path=folder, bundle_name="dags")
    tasks: list[Any] = bag.dags["equity_quarantine"].tasks
    return {task.task_id: task.python_callable for task in tasks}


@pytest.fixture
def book(warehouse_dsn: str) -> Iterator[Connection]:
    """A row that could be a bar, and one that never can, of a night that was stopped."""
    with closing(psycopg2.connect(warehouse_dsn)) as connection:
        connection.autocommit = True
        night = {"ingest_id": 1, "as_of": close("2024-04-24"), "status": "failed", "known_at": None}
        insert(connection, "market.ingest_runs", night)
        row = {"session": date(2024, 4, 24), "symbol": "IBM", "high": 101.0, "low": 99.0}
        insert(
            connection,
            "market.quarantine",
            {**row, "close": 102.0, "reason": "high below close"},
            {**row, "symbol": "LACK", "close": None, "reason": "missing close"},
        )
        yield connection


def review(tasks: dict[str, Any], user: str | None, **form: Any) -> dict[str, str]:
    done: dict[str, str] = tasks["review"](params=FORM | form, dag_run=SimpleNamespace(triggering_user_name=user))
    return done


@pytest.mark.parametrize(("user", "kept"), [("ann", "ann"), (None, "unknown")])
def test_the_user_who_triggered_the_run_is_kept(
    tasks: dict[str, Any], book: Connection, user: str | None, kept: str
) -> None:
    assert review(tasks, user, a_field_nobody_asked_for=1)["rows"] == "1"
    with book.cursor() as cursor:
        cursor.execute("select symbol, state, reviewed_by, why from serving.quarantine where state <> 'open'")
        assert cursor.fetchall() == [("IBM", "released", kept, "the exchange confirms it")]


def test_a_row_that_can_never_be_a_bar_fails_the_run_for_good(tasks: dict[str, Any], book: Connection) -> None:
    with pytest.raises(AirflowFailException, match=r"LACK 2024-04-24 \(missing close\)"):
        review(tasks, "ann", symbols=["LACK"])


def test_with_nothing_to_take_in_the_night_is_not_announced(tasks: dict[str, Any], book: Connection) -> None:
    reviewed = review(tasks, "ann")
    with pytest.raises(AirflowSkipException, match="1 rows judged"):
        tasks["take_in"](reviewed, outlet_events={})
