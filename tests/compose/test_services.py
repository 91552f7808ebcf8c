"""What the services of docker-compose.yaml lean on is there: volumes, ports, programs with their flags, the image."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ml.__main__ import parser as ml_parser
from ml.io.postgres_programs import shipped_binaries
from ml.settings import REPOSITORY
from ml.stack.ports import free_port
from tests.compose.file import Compose, dockerfile, environment_of, strings

# --- services, volumes, ports ----------------------------------------------------------------------------------------


def loose_ends(compose: Compose) -> list[str]:
    """Services and volumes that are named and not there, and conditions that can never come true."""
    services, found = compose["services"], []
    for name, service in services.items():
        for needed, how in service.get("depends_on", {}).items():
            if needed not in services:
                found.append(f"{name} needs {needed}")
            elif how["condition"] == "service_healthy" and "healthcheck" not in services[needed]:
                found.append(f"{name} waits for the health of {needed}")
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            there = (REPOSITORY / source).exists() if source.startswith(".") else source in compose["volumes"]
            found += [] if there else [f"{name} mounts {source}"]
    return found


def test_services_volumes_and_paths_exist(compose: Compose) -> None:
    assert loose_ends(compose) == []
    services = compose["services"]
    services["scheduler"]["volumes"].append("./sql/dockers:/x")
    services["worker"]["depends_on"]["rabbit"] = {"condition": "service_healthy"}
    services["mlflow"]["depends_on"]["init"] = {"condition": "service_healthy"}
    assert sorted(loose_ends(compose)) == [
        "mlflow waits for the health of init",
        "scheduler mounts ./sql/dockers",
        "worker needs rabbit",
    ]


def test_every_service_is_watched_and_started_again(compose: Compose) -> None:
    for name, service in compose["services"].items():
        assert service["restart"] == ("no" if name == "init" else "unless-stopped"), name
        assert ("healthcheck" in service) == (name != "init"), name


def listening(compose: Compose) -> dict[str, str]:
    """The port inside each container, from what tells the program; Postgres and Redis keep their own."""
    services = compose["services"]
    words = services["mlflow"]["command"]
    return {
        "postgres": "5432",
        "redis": "6379",
        "mlflow": words[words.index("--port") + 1],
        "api-server": str(environment_of(services["api-server"])["AIRFLOW__API__PORT"]),
    }


def wrong_ports(compose: Compose) -> list[str]:
    """Published ports, addresses and health checks that lead to nobody."""
    ports, found = listening(compose), []
    for name, service in compose["services"].items():
        for published in service.get("ports", ()):
            host, _, inside = published.split(":")
            if host != "127.0.0.1" or inside != ports[name]:
                found.append(f"{name} publishes {published}")
        for text in strings(service.get("healthcheck", {})):
            asked = re.findall(r"//localhost:(\d+)", text)
            found += [f"{name} is asked for its health at {port}" for port in asked if port != ports[name]]
        for text in strings([service.get("environment", {}), service.get("command", [])]):
            called = re.findall(r"(?:@|//|^)([a-z][a-z-]*):(\d+)", text)
            found += [
                f"{name} calls {host}:{port}" for host, port in called if (host, port) not in known_addresses(ports)
            ]
    return found


def known_addresses(ports: dict[str, str]) -> set[tuple[str, str]]:
    """Where something listens, inside or (for the browser that follows Airflow's links, to MLflow as well) outside."""
    return {*ports.items(), ("localhost", "8080"), ("localhost", "5000")}


def test_ports_agree_and_are_open_on_the_loopback_only(compose: Compose) -> None:
    assert wrong_ports(compose) == []


def test_wrong_ports_are_caught(compose: Compose) -> None:
    services = compose["services"]
    services["mlflow"]["ports"] = ["0.0.0.0:5000:5000"]
    services["api-server"]["healthcheck"]["test"][-1] = "urlopen('http://localhost:8081/x')"
    services["scheduler"]["environment"]["AFTERBELL_MLFLOW_URI"] = "http://mlflow:5001"
    assert wrong_ports(compose) == [
        "mlflow publishes 0.0.0.0:5000:5000",
        "api-server is asked for its health at 8081",
        "scheduler calls mlflow:5001",
    ]


def test_mlflow_lets_in_those_who_call_it(compose: Compose) -> None:
    words = compose["services"]["mlflow"]["command"]
    allowed = words[words.index("--allowed-hosts") + 1].split(",")
    caller = environment_of(compose["services"]["scheduler"])["AFTERBELL_MLFLOW_URI"]
    assert caller
    assert caller.removeprefix("http://") in allowed
    assert "*" not in allowed


# --- commands --------------------------------------------------------------------------------------------------------


def commands(compose: Compose) -> list[list[str]]:
    """Every command and health check as words; shell lines are split at `&&` and `;`."""
    found = []
    for service in compose["services"].values():
        for words in (service.get("command", []), service.get("healthcheck", {}).get("test", [])):
            plain = [word for word in words if word not in ("CMD", "CMD-SHELL")]
            shell = (
                plain[2:] if plain[:2] in (["bash", "-ec"], ["sh", "-ec"]) else plain if "CMD-SHELL" in words else []
            )
            lines = [line.replace('"', "").split() for text in shell for line in re.split("&&|;", text)]
            found += lines or ([plain] if plain else [])
    return found


def run_airflow(tmp_path: Path, code: str, **variables: str) -> str:
    """What a fresh Python with a home of its own prints on its last line."""
    environment = {**os.environ, "AIRFLOW_HOME": str(tmp_path), **variables}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip().splitlines()[-1]


AIRFLOW_PARSES = """
import json, os
from airflow.cli.cli_parser import get_parser
parsed = [vars(get_parser().parse_args(words)).get("func") for words in json.loads(os.environ["COMMANDS"])]
print(json.dumps([function is not None for function in parsed]))
"""


def test_airflow_commands_are_read_by_airflow(compose: Compose, tmp_path: Path) -> None:
    words = [command[1:] for command in commands(compose) if command[0] == "airflow"]
    assert len(words) == 8
    executor = "airflow.providers.celery.executors.celery_executor.CeleryExecutor"
    answer = run_airflow(tmp_path, AIRFLOW_PARSES, COMMANDS=json.dumps(words), AIRFLOW__CORE__EXECUTOR=executor)
    assert json.loads(answer) == [True] * len(words)
    with pytest.raises(AssertionError, match="has been removed"):
        run_airflow(tmp_path, AIRFLOW_PARSES, COMMANDS=json.dumps([["webserver"]]))


def test_python_commands_exist(compose: Compose) -> None:
    modules = [command[2:] for command in commands(compose) if command[:2] == ["python", "-m"]]
    assert [module for module, *_ in modules] == ["ml", "ml.stack.airflow_prepare"]
    for module, *words in modules:
        assert importlib.util.find_spec(module), module
        if module == "ml":
            assert ml_parser().parse_args(words)
    for snippet in [command[2] for command in commands(compose) if command[:2] == ["python", "-c"]]:
        compile(snippet, "health check", "exec")


def test_mlflow_reads_its_command(compose: Compose) -> None:
    (words,) = [command[1:] for command in commands(compose) if command[0] == "mlflow"]
    server = importlib.import_module("mlflow.cli").cli.commands[words[0]]
    parsed = server.make_context(words[0], list(words[1:])).params
    assert parsed["serve_artifacts"] is True
    assert parsed["workers"] == "1"


def test_postgres_and_celery_know_the_flags_of_their_health_checks(compose: Compose, tmp_path: Path) -> None:
    by_program = {command[0]: command[1:] for command in commands(compose)}
    program = shipped_binaries() / "pg_isready"
    no_answer = 2  # 3 would mean that the arguments are wrong
    asked = [*by_program["pg_isready"], "--port", str(free_port())]
    assert subprocess.run([program, *asked], capture_output=True, check=False).returncode == no_answer
    flag, app, *inspect = by_program["celery"]
    assert flag == "--app"
    module, _, attribute = app.rpartition(".")
    assert "Celery" in run_airflow(tmp_path, f"import {module} as m; print(type(m.{attribute}).__name__)")
    assert inspect[:3] == ["inspect", "ping", "--destination"]
    help_text = subprocess.run(
        [sys.executable, "-m", "celery", "inspect", "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert "--destination" in help_text


def test_every_command_is_covered_by_a_check(compose: Compose) -> None:
    checked = {"airflow", "python", "mlflow", "pg_isready", "celery", "postgres"}
    of_redis = {"redis-cli", "umask", "echo", "exec"}
    assert {command[0] for command in commands(compose)} == checked | of_redis


# --- the image -------------------------------------------------------------------------------------------------------


def test_the_image_holds_what_it_copies_and_does_not_run_as_root(compose: Compose) -> None:
    copied = [source for line in dockerfile(compose) if line.startswith("COPY ") for source in line.split()[1:-1]]
    assert copied == ["requirements.txt", "dags/", "plugins/", "ml/", "sql/"]
    let_in = {line.strip("!\n") for line in (REPOSITORY / ".dockerignore").open() if line.startswith("!")}
    assert let_in == {source.rstrip("/") for source in copied}
    assert all((REPOSITORY / source).exists() for source in copied)
    assert [line for line in dockerfile(compose) if line.startswith("USER ")] == ["USER afterbell"]


def test_the_image_takes_uv_from_the_lock_and_uv_knows_its_flags(compose: Compose) -> None:
    (install,) = [line for line in dockerfile(compose) if "uv pip install" in line]
    script = re.search(r"sed -n '([^']+)'", install)
    assert script
    taken = subprocess.run(
        ["sed", "-n", script[1], "requirements.txt"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout
    assert re.findall(r"^(\w+)==", taken, flags=re.MULTILINE) == ["uv"]
    assert "--hash=sha256:" in taken
    help_text = subprocess.run(
        [sys.executable, "-m", "uv", "pip", "install", "--help"], capture_output=True, text=True, check=True
    ).stdout
    for flag in re.findall(r"--[a-z-]+", install.partition("uv pip install")[2]):
        assert f"{flag}" in help_text, flag
