"""Runs follow real closes: the dates below were written by hand from the exchanges' own notices."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import exchange_calendars
import pandas as pd
import pendulum
import pytest
from airflow.exceptions import AirflowTimetableInvalid
from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction

from session_timetable import SessionTimetable

REPOSITORY = Path(__file__).parents[2]


def at(text: str) -> pendulum.DateTime:
    return pendulum.instance(datetime.fromisoformat(f"{text}+00:00"))


def runs(timetable: SessionTimetable, earliest: str, latest: str) -> list[DagRunInfo]:
    """Every run that catching up makes, asked for one after the other as the scheduler does."""
    restriction = TimeRestriction(at(earliest), at(latest), catchup=True)
    found: list[DagRunInfo] = []
    last: DataInterval | None = None
    while info := timetable.next_dagrun_info(last_automated_data_interval=last, restriction=restriction):
        found.append(info)
        last = info.data_interval
    return found


def closes(infos: list[DagRunInfo]) -> list[str]:
    return [info.logical_date.strftime("%Y-%m-%d %H:%M") for info in infos if info.logical_date]


@pytest.mark.parametrize(
    ("calendar", "earliest", "latest", "expected"),
    [
        pytest.param(
            "XNYS",
            "2013-11-27 00:00",
            "2013-12-03 00:00",
            ["2013-11-27 21:00", "2013-11-29 18:00", "2013-12-02 21:00"],
            id="Thanksgiving 2013, closed on Thursday, 13:00 on Friday",
        ),
        pytest.param(
            "XNYS",
            "2012-10-26 00:00",
            "2012-11-01 00:00",
            ["2012-10-26 20:00", "2012-10-31 20:00"],
            id="hurricane Sandy, two days closed",
        ),
        pytest.param(
            "XNYS",
            "2013-03-07 00:00",
            "2013-03-12 00:00",
            ["2013-03-07 21:00", "2013-03-08 21:00", "2013-03-11 20:00"],
            id="New York into summer time",
        ),
        pytest.param(
            "XNYS",
            "2013-11-01 00:00",
            "2013-11-05 00:00",
            ["2013-11-01 20:00", "2013-11-04 21:00"],
            id="New York out of summer time",
        ),
        pytest.param(
            "XLON",
            "2013-03-28 00:00",
            "2013-04-03 00:00",
            ["2013-03-28 16:30", "2013-04-02 15:30"],
            id="London over Easter, into summer time",
        ),
    ],
)
def test_one_run_for_each_real_close_and_none_besides(
    calendar: str, earliest: str, latest: str, expected: list[str]
) -> None:
    assert closes(runs(SessionTimetable(calendar, 30), earliest, latest)) == expected


def test_a_run_starts_the_delay_after_its_close_which_is_its_data_interval() -> None:
    (run,) = runs(SessionTimetable("XNYS", 45), "2013-11-28 00:00", "2013-11-30 00:00")
    assert run.run_after == at("2013-11-29 18:45")
    assert run.data_interval == DataInterval.exact(at("2013-11-29 18:00"))
    assert run.run_after.tzinfo is not None


def test_both_ends_of_the_restriction_are_included() -> None:
    assert closes(runs(SessionTimetable("XNYS", 30), "2013-11-27 21:00", "2013-11-29 18:00")) == [
        "2013-11-27 21:00",
        "2013-11-29 18:00",
    ]
    assert closes(runs(SessionTimetable("XNYS", 30), "2013-11-27 21:01", "2013-11-29 17:59")) == []


def test_catching_up_without_a_start_date_schedules_nothing() -> None:
    restriction = TimeRestriction(None, None, catchup=True)
    assert (
        SessionTimetable("XNYS", 30).next_dagrun_info(last_automated_data_interval=None, restriction=restriction)
        is None
    )


def last_due(delay: timedelta) -> datetime:
    """The last close whose delay has passed, straight from the calendar."""
    known = exchange_calendars.get_calendar("XNYS").closes
    due: pd.Timestamp = known[known + delay <= pd.Timestamp.now("UTC")].iloc[-1]
    return due.to_pydatetime()


def test_without_catchup_only_the_last_session_that_is_due_gets_its_run() -> None:
    restriction = TimeRestriction(at("2013-01-02 00:00"), None, catchup=False)
    long_ago = DataInterval.exact(at("2013-11-29 18:00"))
    for last in (None, long_ago):
        before = last_due(timedelta(minutes=30))
        info = SessionTimetable("XNYS", 30).next_dagrun_info(last_automated_data_interval=last, restriction=restriction)
        assert info is not None
        assert info.logical_date in (before, last_due(timedelta(minutes=30)))


def test_without_catchup_a_session_that_ran_is_not_run_again() -> None:
    timetable = SessionTimetable("XNYS", 30)
    restriction = TimeRestriction(None, None, catchup=False)
    first = timetable.next_dagrun_info(last_automated_data_interval=None, restriction=restriction)
    assert first is not None
    second = timetable.next_dagrun_info(last_automated_data_interval=first.data_interval, restriction=restriction)
    assert second is not None
    known = exchange_calendars.get_calendar("XNYS").closes
    assert second.logical_date == known[known > str(first.logical_date)].iloc[0].to_pydatetime()


def test_without_catchup_a_start_date_ahead_is_waited_for() -> None:
    start = datetime.now(UTC) + timedelta(days=20)
    restriction = TimeRestriction(pendulum.instance(start), None, catchup=False)
    info = SessionTimetable("XNYS", 30).next_dagrun_info(last_automated_data_interval=None, restriction=restriction)
    assert info is not None
    assert info.logical_date is not None
    assert info.logical_date >= start


@pytest.mark.parametrize(
    ("triggered", "session"),
    [
        ("2013-11-29 18:29", "2013-11-27 21:00"),
        ("2013-11-29 18:30", "2013-11-29 18:00"),
        ("2013-12-01 12:00", "2013-11-29 18:00"),
    ],
)
def test_a_manual_run_gets_the_last_session_that_was_due(triggered: str, session: str) -> None:
    interval = SessionTimetable("XNYS", 30).infer_manual_data_interval(run_after=at(triggered))
    assert interval == DataInterval.exact(at(session))


def test_an_unknown_calendar_and_a_negative_delay_are_refused_when_the_dag_is_read() -> None:
    with pytest.raises(AirflowTimetableInvalid, match="XMARS"):
        SessionTimetable("XMARS", 30).validate()
    with pytest.raises(AirflowTimetableInvalid, match="-5"):
        SessionTimetable("XNYS", -5).validate()
    SessionTimetable("XTKS", 0).validate()


DAG_FILE = """
from datetime import datetime, timezone
from airflow.sdk import DAG, Asset, AssetOrTimeSchedule
from session_timetable import SessionTimetable
from alerts import on_failure

START = datetime(2013, 11, 27, tzinfo=timezone.utc)
NIGHTLY = SessionTimetable("XNYS", 30)
alone = DAG("alone", schedule=NIGHTLY, start_date=START, catchup=True, on_failure_callback=on_failure)
mixed = DAG("mixed", schedule=AssetOrTimeSchedule(timetable=SessionTimetable("XLON", 15), assets=[Asset("bars")]))
"""

ROUND_TRIP = """
import json, sys
from datetime import datetime, timezone
from airflow import plugins_manager
plugins_manager.ensure_plugins_loaded()
heavy = {"pandas", "exchange_calendars", "fastapi", "afterbell_pages", "ml"} & set(sys.modules)
plugins, errors = plugins_manager._get_plugins()
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization
bag = DagBag(sys.argv[1])
timetables = {}
for name, dag in bag.dags.items():
    again = DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag))))
    timetables[name] = [again.timetable.summary, again.timetable.description, repr(again.timetable)]
start, end = (datetime(2013, *day, tzinfo=timezone.utc) for day in ((11, 27), (12, 3)))
again = DagSerialization.from_dict(DagSerialization.to_dict(bag.dags["alone"]))
runs = [info.run_after.isoformat() for info in again.iter_dagrun_infos_between(start, end)]
print("ANSWER" + json.dumps({
    "heavy": sorted(heavy), "plugins": [p.name for p in plugins], "errors": errors,
    "import_errors": bag.import_errors, "timetables": timetables, "runs": runs,
}))
"""


def test_airflow_loads_one_light_plugin_and_dags_survive_serialisation(tmp_path: Path) -> None:
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / "night.py").write_text(DAG_FILE)
    env = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PYTHONPATH": str(REPOSITORY),
    }
    done = subprocess.run(
        [sys.executable, "-c", ROUND_TRIP, str(dags)], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.split("ANSWER")[1])
    assert answer["errors"] == {}
    assert answer["import_errors"] == {}
    assert answer["plugins"].count("afterbell") == 1
    assert answer["heavy"] == []
    assert answer["timetables"]["alone"] == [
        "after each XNYS close + 30 min",
        "30 minutes after each session of XNYS closes, holidays left out",
        "SessionTimetable('XNYS', 30)",
    ]
    assert answer["runs"] == ["2013-11-27T21:30:00+00:00", "2013-11-29T18:30:00+00:00", "2013-12-02T21:30:00+00:00"]
    assert "mixed" in answer["timetables"]
