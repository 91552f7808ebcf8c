"""Trigger one night in Airflow and follow it to its end, task by task.

The DAGs of a night are chained by assets. What a run brought about is read from its asset events,
so that nothing here knows the order of the DAGs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ml.errors import StackError
from ml.stack.airflow_api import UNFINISHED, Airflow, Run
from ml.stack.waiting import wait_until

FIRST_DAG = "equity_ingest"
PARSING_SECONDS = 90
SCHEDULE_SECONDS = 10
POLL_SECONDS = 0.5
QUIET_SECONDS = 3
# The scheduler makes a run from an event within a fifth of a second, or much later where the cores are taken.
SCHEDULER_SECONDS = 60
SILENT = (None, "scheduled", "queued")
Say = Callable[[str], None]


@dataclass
class Night:
    """All runs that descend from one, with what was last seen of them, and the directory of their logs."""

    logs: Path
    runs: dict[Run, str] = field(default_factory=dict)
    tasks: dict[tuple[Run, str, int], str] = field(default_factory=dict)
    failed_logs: dict[Run, Path] = field(default_factory=dict)

    @property
    def failed_runs(self) -> list[Run]:
        return [run for run, state in self.runs.items() if state == "failed"]

    @property
    def finished(self) -> bool:
        return all(state not in UNFINISHED for state in self.runs.values())


def begin(airflow: Airflow, conf: Mapping[str, Any], say: Say = print) -> Run:
    """The night's first run: a new one, or the one that the schedule has just begun on its own.

    With a `conf` it is always a new one. StackError when the DAG does not appear.
    """
    if not wait_until(lambda: airflow.has_dag(FIRST_DAG), PARSING_SECONDS):
        raise StackError(
            f"no DAG {FIRST_DAG} in Airflow after {PARSING_SECONDS} s", "it parsed", "See make logs name=dag-processor"
        )
    if not conf and airflow.starts_by_itself(FIRST_DAG):
        wait_until(lambda: bool(airflow.unfinished(FIRST_DAG)), SCHEDULE_SECONDS)
    under_way = [run for run, its_conf in airflow.unfinished(FIRST_DAG) if its_conf == dict(conf)]
    if under_way:
        say(f"this night is under way already: following {under_way[0].run_id}")
        return under_way[0]
    return airflow.trigger(FIRST_DAG, conf)


def follow(airflow: Airflow, first: Run, logs: Path, say: Say = print) -> Night:
    """Tell every change of every task until all descendants of `first` have finished.

    logs: the directory of the tasks' logs.
    """
    night = Night(logs, runs={first: "queued"})
    started = time.monotonic()
    quiet_since = started
    patience: float = QUIET_SECONDS
    while time.monotonic() - quiet_since < patience:
        waiting = _waiting_dags(airflow, night)
        _look(airflow, night, lambda line: say(f"  {_clock(time.monotonic() - started)}  {line}"))
        if not night.finished or any(airflow.unfinished(dag) for dag in waiting):
            quiet_since = time.monotonic()
        patience = SCHEDULER_SECONDS if waiting else QUIET_SECONDS
        time.sleep(POLL_SECONDS)
    return night


def _look(airflow: Airflow, night: Night, say: Say) -> None:
    """Bring the night up to date and tell what has changed."""
    for run, before in list(night.runs.items()):
        if before in UNFINISHED:
            # The state first: tasks seen after the run's end are final.
            night.runs[run] = airflow.state(run)
            for task in airflow.tasks(run):
                _tell_change(night, run, task, say)
        for event in airflow.events(run):
            for made in event["created_dagruns"]:
                night.runs.setdefault(Run(made["dag_id"], made["run_id"]), "queued")


def _tell_change(night: Night, run: Run, task: dict[str, Any], say: Say) -> None:
    key, state = (run, task["task_id"], task["map_index"]), task["state"]
    before = night.tasks.get(key, "queued")
    if state in SILENT or state == before:
        return
    night.tasks[key] = state
    mapped = f"[{task['rendered_map_index'] or task['map_index']}]" if task["map_index"] >= 0 else ""
    name = f"{run.dag_id}{mapped} {task['task_id'].rpartition('.')[2]}"
    took = f" {task['duration']:.1f}s" if state != "running" and task["duration"] else ""
    normal = "  (normal: nothing to do here tonight)" if state == "skipped" else ""
    say(f"{name:<40} {before} -> {state}{took}{normal}")
    if state in ("failed", "up_for_retry"):
        log = _log_of(run, task, night.logs)
        night.failed_logs[run] = log
        say(f"    see {log}")


def _waiting_dags(airflow: Airflow, night: Night) -> set[str]:
    """DAGs whose next run an event of the night asks for, which the scheduler has not made yet."""
    if not night.finished:
        return set()
    assets = {event["asset_id"] for run in night.runs for event in airflow.events(run)}
    return {dag for asset in assets for dag in airflow.waiting_dags(asset)}


def require_success(night: Night) -> None:
    """StackError naming the failed runs and a failed task's log, when any run failed."""
    if not night.failed_runs:
        return
    log = next((night.failed_logs[run] for run in night.failed_runs if run in night.failed_logs), night.logs)
    raise StackError(
        f"{len(night.failed_runs)} failed run(s): {', '.join(sorted({run.dag_id for run in night.failed_runs}))}",
        "every run to succeed",
        f"Read {log}; what readers see is unchanged, and the next run starts afresh",
    )


def _log_of(run: Run, task: dict[str, Any], logs: Path) -> Path:
    folder = logs / f"dag_id={run.dag_id}" / f"run_id={run.run_id}" / f"task_id={task['task_id']}"
    mapped = folder / f"map_index={task['map_index']}" if task["map_index"] >= 0 else folder
    return mapped / f"attempt={task['try_number']}.log"


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60:02d}:{int(seconds) % 60:02d}"
