"""Start and stop everything, in order; safe to ask twice, by two at once, and after any crash."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from ml.errors import StackError
from ml.io.migrations import migrate
from ml.settings import settings
from ml.stack import airflow, mlflow
from ml.stack.home import Home, only_one
from ml.stack.plan import Plan, draw
from ml.stack.postgres import PostgresServer, forget
from ml.stack.processes import end, leftovers
from ml.stack.roles import AIRFLOW, MLFLOW, WAREHOUSE, admin, make_database, make_roles
from ml.stack.supervisor import Supervisor
from ml.stack.waiting import wait_until

READY_SECONDS = 180
Say = Callable[[str], None]


def up(root: Path, say: Say = print) -> Plan:
    """Have everything below AFTERBELL_HOME=`root` run and ready; what runs already is left alone.

    StackError names what is not ready, with the end of its log.
    """
    home = Home(root)
    with only_one(home):
        supervisor = Supervisor(home)
        if supervisor.state() != "RUNNING":
            _end_everything(supervisor)
        plan = draw(home, supervisor.is_running)
        _supervise(plan, supervisor, say)
        _start_databases(plan, supervisor)
        if plan.embedded_mlflow:
            supervisor.start(["mlflow"])
        _prepare_airflow(plan, say)
        _start_services(plan, supervisor, say)
    return plan


def stop(root: Path, say: Say = print) -> None:
    """End every process of the stack, also those that a killed supervisor left behind."""
    home = Home(root)
    if root.exists():
        with only_one(home):
            _end_everything(Supervisor(home))
    say("stopped")


def reset(root: Path, say: Say = print) -> None:
    """Stop, then forget every file that the stack made below `root`."""
    stop(root, say)
    home = Home(root)
    forget(home.postgres)
    for directory in (home.run, home.logs, home.airflow, home.mlflow, root / "store"):
        if directory.exists():
            shutil.rmtree(directory)
    home.env_file.unlink(missing_ok=True)
    settings.cache_clear()
    say(f"forgot everything in {root}")


def processes(plan: Plan) -> list[dict[str, Any]]:
    """supervisord's word on every program that should run, in the order of starting."""
    known = Supervisor(plan.home).processes()
    absent = {"statename": "STOPPED", "pid": 0, "start": 0, "now": 0}
    return [{**absent, **known.get(program.name, {}), "name": program.name} for program in plan.programs()]


def _end_everything(supervisor: Supervisor) -> None:
    supervisor.shut_down()
    end(leftovers(supervisor.home.root))
    if (supervisor.home.postgres / "data").exists():
        PostgresServer(supervisor.home.postgres.resolve(), 0, "").stop()


def _supervise(plan: Plan, supervisor: Supervisor, say: Say) -> None:
    conf = plan.configuration()
    if supervisor.runs_with(conf):
        return
    if supervisor.state() == "RUNNING":
        say("settings or packages have changed since the stack was started: starting it anew")
        _end_everything(supervisor)
    supervisor.launch(conf, plan.marked_environment())


def _start_databases(plan: Plan, supervisor: Supervisor) -> None:
    plan.server.create()
    supervisor.start(["postgres"])
    _wait(supervisor, "postgres", plan.server.is_ready)
    make_roles(plan.server, plan.role_passwords())
    for database in (AIRFLOW, MLFLOW, WAREHOUSE):
        make_database(plan.server, database, owner=database)
    migrate(plan.warehouse_dsn)


def _prepare_airflow(plan: Plan, say: Say) -> None:
    with plan.server.superuser() as cursor:
        if admin(cursor, "prepared_for", database=AIRFLOW) == airflow.versions():
            return
        say("preparing Airflow's database (once)")
        secrets = {name: value for name, value in plan.values.items() if name.endswith("_PASSWORD")}
        airflow.prepare({**plan.environment(), **secrets}, plan.home.logs / "prepare.log")
        admin(cursor, "note_prepared", database=AIRFLOW, versions=airflow.versions())


def _start_services(plan: Plan, supervisor: Supervisor, say: Say) -> None:
    supervisor.start([program.name for program in plan.programs()])
    if plan.embedded_mlflow:
        _wait(supervisor, "mlflow", partial(mlflow.is_ready, plan.mlflow_uri))
    port = plan.port("AIRFLOW")
    _wait(supervisor, "api-server", lambda: airflow.is_api_ready(port))
    for component in airflow.COMPONENTS:
        _wait(supervisor, component, partial(airflow.is_component_ready, port, component))
    say(f"ready: Airflow at {plan.airflow_url}")


def _wait(supervisor: Supervisor, name: str, ready: Callable[[], bool]) -> None:
    def settled() -> bool:
        state = supervisor.processes().get(name, {}).get("statename")
        return state in ("FATAL", None) or (state in ("RUNNING", "STARTING") and ready())

    log = supervisor.home.logs / f"{name}.log"
    if not wait_until(settled, READY_SECONDS) or not supervisor.is_running(name):
        raise StackError(
            f"{name} not ready; the end of its log:\n{airflow.last_lines(log)}\n",
            f"it to answer within {READY_SECONDS} s",
            f"Read {log}, mend the cause and start again",
        )
