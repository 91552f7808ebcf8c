"""The MLflow registry: runs, versions, and the alias `champion`.

A model is logged as a pyfunc whose loader is a module of this repository over plain files, so no
pickle is ever written or read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version as installed_version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlflow
import pandas as pd
from mlflow.entities.model_registry import ModelVersion
from mlflow.environment_variables import (
    MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR,
    MLFLOW_HTTP_REQUEST_MAX_RETRIES,
    MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT,
)
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema

from ml.errors import RegistryError

CHAMPION = "champion"
TRAINING_KEY = "afterbell.training_key"
LOADER = "ml.steps.served_model"
MODEL = "model"
RECORD = "record.json"


@dataclass(frozen=True)
class Training:
    """All that a training leaves behind in MLflow. `model_files` and `artifacts` are folders."""

    model_name: str
    training_key: str
    run_name: str
    model_files: Path
    artifacts: Path
    feature_names: tuple[str, ...]
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Registered:
    """A version in the registry and the run that made it."""

    version: int
    run_id: str


class Registry:
    """One MLflow server."""

    def __init__(self, uri: str) -> None:
        # A step is retried by Airflow; MLflow's own seven retries would hide a dead server for minutes.
        if not MLFLOW_HTTP_REQUEST_MAX_RETRIES.is_set():
            MLFLOW_HTTP_REQUEST_MAX_RETRIES.set(2)
        MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR.set(False)
        MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT.set(True)
        mlflow.set_tracking_uri(uri)
        self.uri = uri
        self._client = mlflow.MlflowClient(tracking_uri=uri)

    def find(self, training: str, model_name: str) -> Registered | None:
        """The version that already answers a training question, if any."""
        with self._clear_errors():
            found = self._client.search_model_versions(
                f"name = '{model_name}' and tags.`{TRAINING_KEY}` = '{training}'"
            )
        return _registered(min(found, key=lambda v: int(v.version))) if found else None

    def register(self, training: Training) -> Registered:
        """Log a run with everything in it and register its model as a new version."""
        with self._clear_errors():
            mlflow.set_experiment(training.model_name)
            with mlflow.start_run(run_name=training.run_name, tags=dict(training.tags)):
                mlflow.log_params(dict(training.params))
                mlflow.log_metrics(dict(training.metrics))
                mlflow.log_artifacts(str(training.artifacts), "evidence")
                info = mlflow.pyfunc.log_model(
                    name=MODEL,
                    loader_module=LOADER,
                    data_path=str(training.model_files),
                    signature=_signature(training.feature_names),
                    pip_requirements=[f"{name}=={installed_version(name)}" for name in ("xgboost", "numpy", "pandas")],
                )
            tags = {TRAINING_KEY: training.training_key}
            made = mlflow.register_model(info.model_uri, training.model_name, tags=tags)
        return _registered(made)

    def champion(self, model_name: str) -> int | None:
        """The version that the alias `champion` points at, or None."""
        try:
            with self._clear_errors():
                return int(self._client.get_model_version_by_alias(model_name, CHAMPION).version)
        except RegistryError as error:
            if _means_absent(error.__cause__):
                return None
            raise

    def set_champion(self, model_name: str, version: int) -> None:
        """Point the alias `champion` at a version."""
        with self._clear_errors():
            self._client.set_registered_model_alias(model_name, CHAMPION, str(version))

    def forecast(self, model_name: str, version: int, features: pd.DataFrame) -> pd.DataFrame:
        """What a version says about features (entity, then float32 columns): a FORECAST frame."""
        with self._clear_errors():
            said: pd.DataFrame = mlflow.pyfunc.load_model(f"models:/{model_name}/{version}").predict(features)
        return said

    def evidence(self, run_id: str, name: str) -> pd.DataFrame:
        """A Parquet table that a training left beside its run."""
        with self._clear_errors(), TemporaryDirectory() as folder:
            path = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=f"evidence/{name}", dst_path=folder)
            return pd.read_parquet(path)

    def record(self, run_id: str) -> dict[str, Any]:
        """What a training wrote down about itself, for the case that the warehouse never heard of it."""
        with self._clear_errors():
            text = mlflow.artifacts.load_text(f"runs:/{run_id}/evidence/{RECORD}")
        return dict(json.loads(text))

    @contextmanager
    def _clear_errors(self) -> Iterator[None]:
        try:
            yield
        except (MlflowException, OSError) as error:
            raise RegistryError(
                re.sub(r"//[^@/\s]+@", "//", f"an answer from MLflow at {self.uri} that says: {error}"),
                "a reachable server with the model in it",
                "Start it (make run) or correct AFTERBELL_MLFLOW_URI, then run this step again",
            ) from error


def _registered(version: ModelVersion) -> Registered:
    return Registered(int(version.version), str(version.run_id))


def _means_absent(cause: BaseException | None) -> bool:
    absent = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")  # no model yet; a model without the alias
    return isinstance(cause, MlflowException) and cause.error_code in absent


def _signature(feature_names: tuple[str, ...]) -> ModelSignature:
    inputs = [ColSpec("string", "entity"), *(ColSpec("float", name) for name in feature_names)]
    outputs = [ColSpec("string", "entity"), *(ColSpec("double", c) for c in ("p_up", "expected", "lower", "upper"))]
    return ModelSignature(inputs=Schema(inputs), outputs=Schema(outputs))
