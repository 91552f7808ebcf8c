"""docker-compose.yaml cannot be run here, so everything in it that can be held against something real is: here its
schema, its secrets and its variables."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ml.settings import REPOSITORY, Settings
from ml.stack import airflow as stack_airflow
from ml.stack import mlflow as stack_mlflow
from ml.stack import postgres as stack_postgres
from ml.stack.home import FERNET_KEY, PASSWORDS, Home
from tests.compose.file import PAGE, TEXT, VARIABLE, Compose, dockerfile, environment_of

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
