"""The Airflow processes of the stack, their settings, and the database they need."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import httpx

from ml.errors import StackError
from ml.settings import REPOSITORY, settings
from ml.stack.home import FERNET_KEY, Home
from ml.stack.ports import LOOPBACK

PARALLELISM = 4
POOL = "training"
ADMIN, VIEWER = "admin", "viewer"
COMPONENTS = ("scheduler", "dag-processor", "triggerer")
FAB = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
# The user's own word counts for these; everything else that the stack sets would break when changed.
USERS_CHOICE = ("AIRFLOW__CORE__DAGS_FOLDER", "AIRFLOW__CORE__PLUGINS_FOLDER", "AIRFLOW__CORE__PARALLELISM")


def versions() -> str:
    """What the metadata database must be prepared for."""
    packages = [f"{name} {version(name)}" for name in ("apache-airflow", "apache-airflow-providers-fab")]
    return ", ".join([*packages, f"{settings().trainings} trainings at once"])


def environment(home: Home, values: Mapping[str, str], database: str, port: int, log_port: int) -> dict[str, str]:
    """Airflow's settings. `values`: of stack.env; `database`: an SQLAlchemy address."""
    base = f"http://{LOOPBACK}:{port}"
    folder = home.airflow
    fixed = {
        "AIRFLOW_HOME": str(folder),
        "PYTHONPATH": str(REPOSITORY),
        # Without it the process titles hide the mark by which leftovers are found.
        "SPT_NOENV": "1",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
        "AIRFLOW__CORE__AUTH_MANAGER": FAB,
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{base}/execution/",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__FERNET_KEY": values[FERNET_KEY],
        "AIRFLOW__CORE__HOSTNAME_CALLABLE": "ml.stack.loopback.name",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": str(PARALLELISM),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY / "plugins"),
        "AIRFLOW__API__BASE_URL": f"http://localhost:{port}",
        "AIRFLOW__API__HOST": LOOPBACK,
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__SECRET_KEY": values["AFTERBELL_STACK_API_SECRET_KEY"],
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API_AUTH__JWT_SECRET": values["AFTERBELL_STACK_JWT_SECRET"],
        "AIRFLOW__FAB__CONFIG_FILE": str(folder / "webserver_config.py"),
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home.logs / "tasks"),
        "AIRFLOW__LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": str(home.logs / "dags"),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(log_port),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(log_port),
        # Measured: with the defaults a task waits a second or two where it now waits half of one.
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "20",
        # Measured: work lost with a killed process is noticed in half a minute instead of five.
        "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "20",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    }
    return fixed | {name: os.environ[name] for name in USERS_CHOICE if name in os.environ}


def commands(log_port: int) -> dict[str, Sequence[str]]:
    """By program name. Logs are served by a process of their own, since Airflow's binds all interfaces."""
    airflow = [sys.executable, "-m", "airflow"]
    log_app = ["airflow.utils.serve_logs.log_server:get_app", "--factory", "--no-access-log"]
    return {
        "scheduler": [*airflow, "scheduler", "--skip-serve-logs"],
        "dag-processor": [*airflow, "dag-processor"],
        "triggerer": [*airflow, "triggerer", "--skip-serve-logs"],
        "api-server": [*airflow, "api-server"],
        "log-server": [sys.executable, "-m", "uvicorn", *log_app, "--host", LOOPBACK, "--port", str(log_port)],
    }


def prepare(environment: Mapping[str, str], log: Path) -> None:
    """Bring the metadata database up to date, with its users and pool; StackError with the log's end otherwise."""
    with log.open("ab") as sink:
        done = subprocess.run(
            [sys.executable, "-m", "ml.stack.airflow_prepare"],
            cwd=REPOSITORY,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            check=False,
        )
    if done.returncode != 0:
        raise StackError(
            f"Airflow's database not prepared:\n{last_lines(log)}\n", "it migrated, with users and pool", f"Read {log}"
        )


def last_lines(log: Path, count: int = 15) -> str:
    """The end of a log, indented."""
    if not log.exists():
        return "    (no log)"
    return "\n".join(f"    {line}" for line in log.read_text(errors="replace").splitlines()[-count:])


def is_api_ready(port: int) -> bool:
    """Whether the API server answers at all."""
    return _health(port) is not None


def is_component_ready(port: int, component: str) -> bool:
    """Whether the scheduler, dag-processor or triggerer has reported lately."""
    health = _health(port) or {}
    return health.get(component.replace("-", "_"), {}).get("status") == "healthy"


def _health(port: int) -> dict[str, dict[str, str | None]] | None:
    try:
        answer = httpx.get(f"http://{LOOPBACK}:{port}/api/v2/monitor/health", timeout=5, trust_env=False)
        answer.raise_for_status()
    except httpx.HTTPError:
        return None
    health: dict[str, dict[str, str | None]] = answer.json()
    return health
