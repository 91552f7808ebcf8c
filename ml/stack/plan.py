"""What a stack consists of: ports, addresses, processes and their environment, drawn from the settings."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from pydantic import SecretStr

from ml.errors import SettingsError, StackError
from ml.settings import REPOSITORY, Settings, settings
from ml.stack import airflow, mlflow
from ml.stack.home import Home, remember, remembered, with_secrets
from ml.stack.ports import LOOPBACK, choose
from ml.stack.postgres import Account, PostgresServer, settle
from ml.stack.processes import MARK, alone
from ml.stack.roles import AIRFLOW, MLFLOW, READER, WAREHOUSE
from ml.stack.supervisor import Program, configuration

# Variables of the user's shell that reach the night; when they change, the processes must start anew.
FOLLOWED = ("AFTERBELL_", "POLYGON_", "AIRFLOW", "MLFLOW_")
PROGRAM_OF_PORT = {"POSTGRES": "postgres", "MLFLOW": "mlflow", "AIRFLOW": "api-server", "LOG": "log-server"}


@dataclass(frozen=True)
class Plan:
    """One stack. `values`: the content of stack.env. `own`: what the user set himself, which counts before it."""

    home: Home
    values: dict[str, str]
    own: Settings

    @property
    def embedded_mlflow(self) -> bool:
        return self.own.mlflow_uri is None

    @property
    def warehouse_dsn(self) -> str:
        return _first(self.own.warehouse_dsn, self.values, "AFTERBELL_WAREHOUSE_DSN")

    @property
    def reader_dsn(self) -> str:
        return _first(self.own.reader_dsn, self.values, "AFTERBELL_READER_DSN")

    @property
    def mlflow_uri(self) -> str:
        return self.own.mlflow_uri or self.values["AFTERBELL_MLFLOW_URI"]

    def port(self, name: str) -> int:
        """Of POSTGRES, MLFLOW, AIRFLOW or LOG."""
        return int(self.values[f"AFTERBELL_STACK_{name}_PORT"])

    def secret(self, name: str) -> str:
        return self.values[f"AFTERBELL_STACK_{name}"]

    @property
    def airflow_url(self) -> str:
        return f"http://localhost:{self.port('AIRFLOW')}"

    @cached_property
    def server(self) -> PostgresServer:
        return PostgresServer(settle(self.home.postgres), self.port("POSTGRES"), self.secret("POSTGRES_PASSWORD"))

    def role_passwords(self) -> dict[str, str]:
        return {
            AIRFLOW: self.secret("AIRFLOW_DB_PASSWORD"),
            MLFLOW: self.secret("MLFLOW_DB_PASSWORD"),
            WAREHOUSE: self.secret("WAREHOUSE_PASSWORD"),
            READER: self.secret("READER_PASSWORD"),
        }

    def sqlalchemy_address(self, role: str) -> str:
        """Of the database that bears its owner's name; SQLAlchemy's own default is another driver."""
        return self.server.dsn(role, role, self.role_passwords()[role]).replace("postgresql:", "postgresql+psycopg2:")

    def environment(self) -> dict[str, str]:
        """Of every process but Postgres: the user's own, and what Airflow and MLflow need."""
        loopback = ",".join(filter(None, (os.environ.get("no_proxy"), "localhost", LOOPBACK)))
        return {
            **os.environ,
            **airflow.environment(
                self.home, self.values, self.sqlalchemy_address(AIRFLOW), self.port("AIRFLOW"), self.port("LOG")
            ),
            **mlflow.environment(self.sqlalchemy_address(MLFLOW)),
            "AFTERBELL_HOME": str(self.home.root),
            "GX_ANALYTICS_ENABLED": "false",
            "NO_PROXY": loopback,
            "no_proxy": loopback,
        }

    def marked_environment(self) -> dict[str, str]:
        """The same for supervisord, so that its children can be told from all other processes."""
        return {**self.environment(), MARK: str(self.home.root)}

    def programs(self) -> list[Program]:
        """Every process, in the order of starting."""
        blind = ["/usr/bin/env", "-i", *self.server.command(), "-D", str(self.server.data)]
        programs = [
            Program("postgres", blind, "postgres", 1, user=Account.current().name, stop_signal="INT", gently=True)
        ]
        if self.embedded_mlflow:
            serve = mlflow.command(self.port("MLFLOW"), self.home.mlflow / "artifacts")
            programs.append(Program("mlflow", alone(serve), "mlflow", 2))
        for name, command in airflow.commands(self.port("LOG")).items():
            # Running tasks talk to the API server: it must outlive them.
            group, priority = ("workers", 4) if name in airflow.COMPONENTS else ("api", 3)
            programs.append(Program(name, alone(command), group, priority))
        return sorted(programs, key=lambda program: program.priority)

    def configuration(self) -> str:
        """supervisord's, marked with what the programs inherit and the packages they were started from."""
        followed = {name: value for name, value in self.environment().items() if name.startswith(FOLLOWED)}
        lock = (REPOSITORY / "requirements.txt").read_bytes()
        fingerprint = hashlib.sha256(repr(sorted(followed.items())).encode() + lock).hexdigest()
        return configuration(self.home, self.programs(), fingerprint)


def draw(home: Home, is_running: Callable[[str], bool]) -> Plan:
    """The plan of this home, with ports and secrets chosen and remembered.

    is_running: whether the program of that name is ours and runs now, so that its port may be taken.
    """
    known = remembered(home)
    if not known and (home.postgres / "data").exists():
        raise StackError(
            f"databases in {home.postgres}, but no {home.env_file} with their passwords",
            "both, or neither",
            "Restore that file, or forget the data: make reset",
        )
    own = _own_settings(home)
    values = with_secrets(known)
    wanted = {"POSTGRES": own.postgres_port, "MLFLOW": own.mlflow_port, "AIRFLOW": own.airflow_port, "LOG": 0}
    for name, port in wanted.items():
        key = f"AFTERBELL_STACK_{name}_PORT"
        ours = is_running(PROGRAM_OF_PORT[name])
        values[key] = str(choose(f"AFTERBELL_{name}_PORT", port, int(values.get(key, 0)), ours))
    plan = Plan(home, values, own)
    _set_addresses(plan)
    if values != known:
        remember(home, values)
        settings.cache_clear()
    return plan


def recall(home: Home) -> Plan:
    """The plan as it was last drawn; StackError when the stack was never started."""
    values = remembered(home)
    if "AFTERBELL_STACK_LOG_PORT" not in values:
        raise StackError(f"no stack in {home.root}", "one that was started before", "Start it: make run")
    return Plan(home, values, _own_settings(home))


def _own_settings(home: Home) -> Settings:
    """What the user set himself: stack.env left out."""
    settings()  # reports a bad value in plain words
    own = Settings(_env_file=REPOSITORY / ".env", home=home.root)  # type: ignore[call-arg]
    if (own.warehouse_dsn is None) != (own.reader_dsn is None):
        raise SettingsError(
            "only one of AFTERBELL_WAREHOUSE_DSN and AFTERBELL_READER_DSN",
            "both (your own Postgres) or neither (the embedded one)",
            "Set the other one too, or unset this one",
        )
    return own


def _first(own: SecretStr | None, values: dict[str, str], name: str) -> str:
    return own.get_secret_value() if own is not None else values[name]


def _set_addresses(plan: Plan) -> None:
    """Tell every other process where the embedded servers are, through stack.env."""
    for name in ("AFTERBELL_WAREHOUSE_DSN", "AFTERBELL_READER_DSN", "AFTERBELL_MLFLOW_URI"):
        plan.values.pop(name, None)
    if plan.own.warehouse_dsn is None:
        for name, role in (("AFTERBELL_WAREHOUSE_DSN", WAREHOUSE), ("AFTERBELL_READER_DSN", READER)):
            plan.values[name] = plan.server.dsn(WAREHOUSE, role, plan.role_passwords()[role])
    if plan.embedded_mlflow:
        plan.values["AFTERBELL_MLFLOW_URI"] = f"http://{LOOPBACK}:{plan.port('MLFLOW')}"
