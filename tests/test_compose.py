"""docker-compose.yaml cannot be run here, so everything in it that can be held against something real is."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import yaml
from psycopg2 import errors

from ml.__main__ import parser as ml_parser
from ml.io.migrations import migrate
from ml.io.postgres_programs import shipped_binaries
from ml.settings import REPOSITORY, Settings
from ml.stack import airflow as stack_airflow
from ml.stack import mlflow as stack_mlflow
from ml.stack import postgres as stack_postgres
from ml.stack.home import FERNET_KEY, PASSWORDS, Home
from ml.stack.ports import free_port
from ml.stack.roles import READER, make_roles

TEXT = (REPOSITORY / "docker-compose.yaml").read_text(encoding="utf-8")
PAGE = (REPOSITORY / "docs" / "operations-docker.md").read_text(encoding="utf-8")
ROLES = REPOSITORY / "sql" / "docker" / "10_roles.sql"
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(?::([-?])([^}]*))?\}")
SECRET = re.compile(r"PASSWORD|SECRET|KEY$")
REDIS_PASSWORD = "AFTERBELL_STACK_REDIS_PASSWORD"
# What the embedded stack sets and a container must set otherwise or not at all.
OF_THE_PLACE = {
    "AIRFLOW_HOME",
    "PYTHONPATH",
    "SPT_NOENV",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
    "AIRFLOW__CORE__DAGS_FOLDER",
    "AIRFLOW__CORE__EXECUTION_API_SERVER_URL",
    "AIRFLOW__CORE__FERNET_KEY",
    "AIRFLOW__CORE__HOSTNAME_CALLABLE",
    "AIRFLOW__CORE__PLUGINS_FOLDER",
    "AIRFLOW__API__BASE_URL",
    "AIRFLOW__API__HOST",
    "AIRFLOW__API__PORT",
    "AIRFLOW__API__SECRET_KEY",
    "AIRFLOW__API_AUTH__JWT_SECRET",
    "AIRFLOW__FAB__CONFIG_FILE",
    "AIRFLOW__LOGGING__BASE_LOG_FOLDER",
    "AIRFLOW__LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY",
    "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT",
    "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT",
}
# Settings that a task in a container has no use for: the ports are published by compose itself.
OF_THE_HOST = {"postgres_port", "mlflow_port", "airflow_port", "store"}

Compose = dict[str, Any]


def filled(text: str) -> str:
    """The text as compose would fill it in: defaults where there are some, `given` elsewhere."""
    plain = VARIABLE.sub(lambda found: found[3] if found[2] == "-" else "given", text)
    return plain.replace("$$", "$")


@pytest.fixture
def compose() -> Compose:
    """The file as compose reads it; services share nothing, so that a test may spoil one of them."""
    loaded: Compose = json.loads(json.dumps(yaml.safe_load(filled(TEXT))))
    return loaded


def environment_of(service: dict[str, Any]) -> dict[str, str | None]:
    environment: dict[str, str | None] = service.get("environment", {})
    return environment


def strings(value: Any) -> Iterator[str]:
    """Every string inside, keys left out."""
    if isinstance(value, dict):
        for part in value.values():
            yield from strings(part)
    elif isinstance(value, list):
        for part in value:
            yield from strings(part)
    elif isinstance(value, str):
        yield value


def run_airflow(tmp_path: Path, code: str, **variables: str) -> str:
    """What a fresh Python with a home of its own prints on its last line."""
    environment = {**os.environ, "AIRFLOW_HOME": str(tmp_path), **variables}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip().splitlines()[-1]


# --- the schema, images, secrets -------------------------------------------------------------------------------------


def schema_mistakes(compose: Compose, tmp_path: Path) -> str:
    """What check-jsonschema says against the file, by the compose schema that it carries; empty when nothing."""
    file = tmp_path / "docker-compose.yaml"
    file.write_text(yaml.safe_dump(compose), encoding="utf-8")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout


def test_the_file_keeps_the_compose_schema(compose: Compose, tmp_path: Path) -> None:
    assert schema_mistakes(compose, tmp_path) == ""
    compose["services"]["mlflow"]["comand"] = ["mlflow"]
    assert "comand" in schema_mistakes(compose, tmp_path)


def test_the_override_on_the_page_keeps_the_schema_and_names_a_service(compose: Compose, tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
    override = yaml.safe_load(block)
    assert schema_mistakes(override, tmp_path) == ""
    assert set(override["services"]) <= set(compose["services"])


def test_the_whole_stack_is_there(compose: Compose) -> None:
    always = {name for name, service in compose["services"].items() if "profiles" not in service}
    airflow = {"api-server", "scheduler", "dag-processor", "triggerer"}
    assert always == {"postgres", "mlflow", "init"} | airflow
    assert {name: s["profiles"] for name, s in compose["services"].items() if "profiles" in s} == {
        "redis": ["celery"],
        "worker": ["celery"],
    }


def unpinned_images(compose: Compose) -> list[str]:
    images = {service["image"] for service in compose["services"].values()}
    bases = {line.split()[1] for line in dockerfile(compose) if line.startswith("FROM ")}
    return [image for image in images | bases if not re.search(r":\d+\.\d+", image)]


def test_image_tags_are_pinned(compose: Compose) -> None:
    assert unpinned_images(compose) == []
    compose["services"]["redis"]["image"] = "redis:latest"
    assert unpinned_images(compose) == ["redis:latest"]


def given_secrets(text: str) -> list[str]:
    """Secrets with a value in the file itself: as a default, in a variable, or in an address."""
    defaults = [name for name, kind, _ in VARIABLE.findall(text) if SECRET.search(name) and kind != "?"]
    values = re.findall(r"^\s*(\w*(?:PASSWORD|SECRET|KEY)):[ \t]+(?!\$\{)\S+", text, flags=re.MULTILINE)
    addresses = re.findall(r"://\w*:(?!\$\{)[^@\s]+@", text)
    return defaults + values + addresses


def test_no_password_or_key_has_a_default() -> None:
    assert given_secrets(TEXT) == []


@pytest.mark.parametrize(
    "planted",
    [
        "  P: ${AFTERBELL_STACK_READER_PASSWORD:-secret}",
        "  POSTGRES_PASSWORD: secret",
        "  DSN: postgresql://a:secret@b/c",
    ],
)
def test_a_planted_password_is_caught(planted: str) -> None:
    assert len(given_secrets(f"{TEXT}\n{planted}\n")) == 1


def test_a_missing_secret_tells_where_to_read_on() -> None:
    messages = {message for _, kind, message in VARIABLE.findall(TEXT) if kind == "?"}
    assert messages == {"set it in .env, see docs/operations-docker.md"}


# --- variables -------------------------------------------------------------------------------------------------------


def test_every_variable_is_documented_and_every_documented_secret_is_used() -> None:
    used = {name for name, _, _ in VARIABLE.findall(TEXT)}
    assert [name for name in used if f"`{name}`" not in PAGE] == []
    assert set(re.findall(r"`(AFTERBELL_STACK_\w+)`", PAGE)) == {name for name in used if "_STACK_" in name}


def test_the_start_on_the_page_makes_every_secret() -> None:
    made = re.search(r"for name in ([^;]+); do", PAGE)
    assert made
    loop = {f"AFTERBELL_STACK_{name}" for name in made[1].replace("\\", "").split()}
    assert loop | {FERNET_KEY} == {name for name, kind, _ in VARIABLE.findall(TEXT) if kind == "?"}


def unknown_afterbell_variables(compose: Compose) -> list[str]:
    ours = {f"AFTERBELL_{field.upper()}" for field in Settings.model_fields} | {*PASSWORDS, FERNET_KEY, REDIS_PASSWORD}
    names = {name for service in compose["services"].values() for name in environment_of(service)}
    names |= {name for name, _, _ in VARIABLE.findall(TEXT)}
    return [name for name in names if name.startswith("AFTERBELL_") and name not in ours]


def test_every_afterbell_variable_is_a_setting(compose: Compose) -> None:
    assert unknown_afterbell_variables(compose) == []
    compose["services"]["scheduler"]["environment"]["AFTERBELL_HORIZON"] = "1d"
    assert unknown_afterbell_variables(compose) == ["AFTERBELL_HORIZON"]


@pytest.mark.parametrize("service", ["api-server", "scheduler", "dag-processor", "triggerer", "worker", "init"])
def test_every_setting_of_the_night_reaches_whoever_reads_it(compose: Compose, service: str) -> None:
    settings_of_the_night = {
        f"AFTERBELL_{field.upper()}" for field in Settings.model_fields if field not in OF_THE_HOST
    }
    given = set(environment_of(compose["services"][service]))
    not_given = settings_of_the_night - given
    if service in ("scheduler", "worker", "init"):
        assert not_given == {"AFTERBELL_POLYGON_API_KEY"}, "which goes by its other name"
        assert "POLYGON_API_KEY" in given
    else:
        assert not_given == {"AFTERBELL_POLYGON_API_KEY", "AFTERBELL_WAREHOUSE_DSN", "AFTERBELL_MLFLOW_URI"}


def test_only_tasks_may_write_to_the_warehouse(compose: Compose) -> None:
    writers = {n for n, s in compose["services"].items() if "AFTERBELL_WAREHOUSE_DSN" in environment_of(s)}
    assert writers == {"scheduler", "worker", "init"}


def test_every_airflow_variable_is_a_setting_of_the_installed_airflow(compose: Compose, tmp_path: Path) -> None:
    environment = {**os.environ, "AIRFLOW_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "airflow", "config", "list", "--defaults"]
    listed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    known = set(re.findall(r"^# Variable: (AIRFLOW__\w+)$", listed, flags=re.MULTILINE))
    used = {n for s in compose["services"].values() for n in environment_of(s) if n.startswith("AIRFLOW__")}
    assert len(used) > 20
    assert used - known == set()
    assert {"AIRFLOW__CORE__DAG_FOLDER", "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP"} & known == set()


def test_airflow_is_tuned_like_the_embedded_stack(compose: Compose, tmp_path: Path) -> None:
    secrets = dict.fromkeys((*PASSWORDS, FERNET_KEY), "given")
    embedded = stack_airflow.environment(Home(tmp_path), secrets, "a database", 8080, 8793)
    shared = {name: value for name, value in embedded.items() if name not in OF_THE_PLACE}
    assert len(shared) > 10
    for name in ("api-server", "scheduler", "dag-processor", "triggerer", "worker", "init"):
        assert shared.items() - environment_of(compose["services"][name]).items() == set(), name


def test_mlflow_and_postgres_are_tuned_like_the_embedded_stack(compose: Compose) -> None:
    mlflow_environment = environment_of(compose["services"]["mlflow"])
    address = mlflow_environment["MLFLOW_BACKEND_STORE_URI"]
    assert address
    assert mlflow_environment == stack_mlflow.environment(address)
    options = [option for option in compose["services"]["postgres"]["command"] if "=" in option]
    of_the_place = ("listen_addresses", "unix_socket_directories")
    assert dict(option.split("=") for option in options) == {
        name: value for name, value in stack_postgres.SETTINGS.items() if name not in of_the_place
    }


def test_the_page_triggers_a_dag_that_exists() -> None:
    (dag,) = re.findall(r"airflow dags trigger (\w+)", PAGE)
    assert (REPOSITORY / "dags" / f"{dag}.py").exists()


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
    """Where something listens, inside or (for the browser that reads Airflow's own links) outside."""
    return {*ports.items(), ("localhost", "8080")}


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


def dockerfile(compose: Compose) -> list[str]:
    """The instructions of the one image that is built here, continued lines joined."""
    text: str = compose["services"]["init"]["build"]["dockerfile_inline"]
    return [line for line in re.sub(r"\s*\\\n\s*", " ", text).splitlines() if not line.startswith("#")]


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


# --- the databases ---------------------------------------------------------------------------------------------------


@pytest.fixture
def fresh_server(tmp_path: Path) -> Iterator[stack_postgres.PostgresServer]:
    place = stack_postgres.settle(tmp_path / "postgres")
    server = stack_postgres.PostgresServer(place, free_port(), "superuser", {"fsync": "off"})
    server.create()
    server.start()
    yield server
    server.stop()


def run_roles(server: stack_postgres.PostgresServer, passwords: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """The script as the Postgres image's entry point runs it."""
    psql = shipped_binaries() / "psql"
    command = [str(psql), server.dsn(), "--no-psqlrc", "--set", "ON_ERROR_STOP=1", "--file", str(ROLES)]
    environment = {**os.environ, **passwords}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_roles_script_finds_what_it_includes_in_the_container_too(compose: Compose) -> None:
    mounted = {
        inside: source for source, inside, _ in (v.split(":") for v in compose["services"]["postgres"]["volumes"][1:])
    }
    (included,) = re.findall(r"^\\ir (.+)$", ROLES.read_text(encoding="utf-8"), flags=re.MULTILINE)
    script = next(Path(inside) for inside, source in mounted.items() if (REPOSITORY / source) == ROLES.parent)
    inside = Path(os.path.normpath(script / included))
    assert (REPOSITORY / mounted[str(inside.parent)] / inside.name).read_text() == (ROLES.parent / included).read_text()


def test_the_roles_script_makes_what_the_services_log_in_to(
    compose: Compose, fresh_server: stack_postgres.PostgresServer
) -> None:
    given = {n: f"pw-{n}" for n in environment_of(compose["services"]["postgres"]) if n.startswith("AFTERBELL_")}
    assert run_roles(fresh_server, {}).returncode != 0, "a missing password must stop the start"
    with fresh_server.superuser() as cursor:
        cursor.execute("select rolname from pg_roles where rolname like 'a%' or rolname = 'mlflow'")
        assert cursor.fetchall() == []
    done = run_roles(fresh_server, given)
    assert done.returncode == 0, done.stderr
    addresses = set()
    for service in yaml.safe_load(TEXT)["services"].values():
        for text in strings(service):
            addresses |= set(re.findall(r"://(\w+):\$\{(\w+):\?[^}]*\}@postgres:5432/(\w+)", text))
    assert {(user, database) for user, _, database in addresses} == {
        ("airflow", "airflow"),
        ("mlflow", "mlflow"),
        ("afterbell", "afterbell"),
        ("afterbell_reader", "afterbell"),
    }
    for user, variable, database in addresses:
        psycopg2.connect(fresh_server.dsn(database, user, given[variable])).close()


def test_after_the_roles_script_the_reader_is_as_in_the_embedded_stack(
    compose: Compose, fresh_server: stack_postgres.PostgresServer
) -> None:
    given = {n: f"pw-{n}" for n in environment_of(compose["services"]["postgres"]) if n.startswith("AFTERBELL_")}
    assert run_roles(fresh_server, given).returncode == 0
    assert migrate(fresh_server.dsn("afterbell", "afterbell", given["AFTERBELL_STACK_WAREHOUSE_PASSWORD"]))
    dsn = fresh_server.dsn("afterbell", READER, given["AFTERBELL_STACK_READER_PASSWORD"])
    with closing(psycopg2.connect(dsn)) as reader, reader.cursor() as cursor:
        cursor.execute("select count(*) from serving.latest_predictions")
        assert cursor.fetchall() == [(0,)]
        with pytest.raises(errors.InsufficientPrivilege):
            cursor.execute("select pg_advisory_lock(1)")
    for database in ("airflow", "mlflow", "postgres", "template1"):
        with pytest.raises(psycopg2.OperationalError, match="permission denied"):
            psycopg2.connect(fresh_server.dsn(database, READER, given["AFTERBELL_STACK_READER_PASSWORD"]))
    assert habits(fresh_server) == habits_of_the_embedded_stack(fresh_server)


def habits(server: stack_postgres.PostgresServer) -> list[str]:
    with server.superuser() as cursor:
        cursor.execute("select rolconfig from pg_roles where rolname = %s", (READER,))
        ((found,),) = cursor.fetchall()
        return sorted(found)


def habits_of_the_embedded_stack(server: stack_postgres.PostgresServer) -> list[str]:
    with server.superuser() as cursor:
        cursor.execute(f"alter role {READER} reset all")
    make_roles(server, {READER: "another"})
    return habits(server)
