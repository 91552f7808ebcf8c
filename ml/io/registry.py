"""The MLflow registry: runs, versions, and the aliases that point at some of them.

A model is logged as a pyfunc whose loader is a module of this repository over plain files, so no
pickle is ever written or read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
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
from mlflow.pyfunc import PyFuncModel
from mlflow.types import ColSpec, Schema

from ml.errors import RegistryError
from ml.frames import FORECAST

TRAINING_KEY = "afterbell.training_key"
STUDY_KEY = "afterbell.study_key"
LOOKBACK = "afterbell.lookback"
LOADER = "ml.steps.served_model"
MODEL = "model"
STUDY = "study"
EVIDENCE = "evidence"
RECORD = "record.json"
CARD_PAGE = "card.html"


@dataclass(frozen=True)
class Training:
    """All that a training leaves behind in MLflow.

    `model_files` and `artifacts` are folders; RECORD and CARD_PAGE lie in the latter.
    """

    model_name: str
    training_key: str
    run_name: str
    model_files: Path
    artifacts: Path
    feature_names: tuple[str, ...]
    packages: tuple[str, ...]
    lookback: int
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Study:
    """What one estimator learned of one target. `files` is a folder that becomes the run's artifacts."""

    model_name: str
    key: str
    run_name: str
    files: Path
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
            with mlflow.start_run(run_name=training.run_name, tags=dict(training.tags)) as run:
                mlflow.log_params(dict(training.params))
                mlflow.log_metrics(dict(training.metrics))
                mlflow.log_artifacts(str(training.artifacts), EVIDENCE)
                info = mlflow.pyfunc.log_model(
                    name=MODEL,
                    loader_module=LOADER,
                    data_path=str(training.model_files),
                    signature=_signature(training.feature_names),
                    pip_requirements=[f"{name}=={installed_version(name)}" for name in training.packages],
                )
            tags = {TRAINING_KEY: training.training_key, LOOKBACK: str(training.lookback)}
            made = mlflow.register_model(info.model_uri, training.model_name, tags=tags)
            self._client.update_model_version(made.name, made.version, _link_to_card(run))
        return _registered(made)

    def study(self, model_name: str, key: str) -> str | None:
        """The run that already answers a study's question, if any."""
        with self._clear_errors():
            experiment = self._client.get_experiment_by_name(_studies(model_name))
            if experiment is None:
                return None
            wanted = f"tags.`{STUDY_KEY}` = '{key}' and attributes.status = 'FINISHED'"
            found = self._client.search_runs([experiment.experiment_id], wanted, order_by=["start_time"], max_results=1)
        return str(found[0].info.run_id) if found else None

    def keep_study(self, study: Study) -> None:
        """Log a study as a run of its own; it is found from the moment it is complete."""
        with self._clear_errors():
            mlflow.set_experiment(_studies(study.model_name))
            with mlflow.start_run(run_name=study.run_name, tags={**study.tags, STUDY_KEY: study.key}):
                mlflow.log_params(dict(study.params))
                mlflow.log_metrics(dict(study.metrics))
                mlflow.log_artifacts(str(study.files), STUDY)

    def fetch_study(self, run_id: str, folder: Path) -> Path:
        """Copy a study's files into `folder`; returns where they lie."""
        with self._clear_errors():
            return Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=STUDY, dst_path=str(folder)))

    def alias(self, model_name: str, alias: str) -> int | None:
        """The version that an alias points at, or None."""
        with self._none_when_absent():
            return int(self._client.get_model_version_by_alias(model_name, alias).version)
        return None

    def point(self, model_name: str, alias: str, version: int | None) -> None:
        """Point an alias at a version, or at none: then it is removed."""
        with self._clear_errors():
            if version is None:
                self._client.delete_registered_model_alias(model_name, alias)
            else:
                self._client.set_registered_model_alias(model_name, alias, str(version))

    def has(self, model_name: str, version: int) -> bool:
        """Whether there is such a version; whether it can be loaded is told by `require`."""
        with self._none_when_absent():
            self._client.get_model_version(model_name, str(version))
            return True
        return False

    def require(self, model_name: str, version: int) -> None:
        """RegistryError when a version is gone, or damaged so that it cannot be loaded."""
        self._load(model_name, version)

    def why_broken(self, model_name: str, version: int) -> str | None:
        """Why a version cannot be loaded, None when it can. RegistryError when the server does not answer."""
        if not self.has(model_name, version):
            return f"version {version} of {model_name} is gone from the registry"
        try:
            self.require(model_name, version)
        except RegistryError as error:
            return str(error)
        return None

    def forecast(self, model_name: str, version: int, recent: Callable[[int], pd.DataFrame]) -> pd.DataFrame:
        """What a version says about the last instant of features: a FORECAST frame.

        recent: gives the features (entity, ts, then float32 columns) of so many instants, the last included.
        """
        with self._clear_errors():
            tags = self._client.get_model_version(model_name, str(version)).tags
        served = self._load(model_name, version)
        with self._clear_errors():
            features = recent(int(tags.get(LOOKBACK, 0)) + 1)
            # MLflow's schemas know instants without a zone, in nanoseconds.
            plain = features.assign(ts=features["ts"].dt.tz_localize(None).astype("datetime64[ns]"))
            said: pd.DataFrame = served.predict(plain)
        return said

    def _load(self, model_name: str, version: int) -> PyFuncModel:
        """A version's model. RegistryError whatever is wrong with its files: estimators have their own words for a
        damaged one."""
        try:
            with self._clear_errors():
                return mlflow.pyfunc.load_model(f"models:/{model_name}/{version}")
        except Exception as error:
            if isinstance(error.__cause__, MlflowException) and not _means_absent(error.__cause__):
                raise  # the server's own trouble
            raise RegistryError(
                f"version {version} of {model_name} that cannot be loaded: {error}",
                "the files that its training left in MLflow",
                "Roll back to another version, or put its artifacts back; what readers see stays as it is",
            ) from error

    def evidence(self, run_id: str, name: str) -> pd.DataFrame:
        """A Parquet table that a training left beside its run."""
        with self._clear_errors(), TemporaryDirectory() as folder:
            path = mlflow.artifacts.download_artifacts(
                run_id=run_id, artifact_path=f"{EVIDENCE}/{name}", dst_path=folder
            )
            return pd.read_parquet(path)

    def record(self, run_id: str) -> dict[str, Any]:
        """What a training wrote down about itself, for the case that the warehouse never heard of it."""
        with self._clear_errors():
            text = mlflow.artifacts.load_text(f"runs:/{run_id}/{EVIDENCE}/{RECORD}")
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

    @contextmanager
    def _none_when_absent(self) -> Iterator[None]:
        """Goes on behind the block when what it asks for is not there."""
        try:
            with self._clear_errors():
                yield
        except RegistryError as error:
            if not _means_absent(error.__cause__):
                raise


def signature(feature_names: tuple[str, ...]) -> dict[str, list[dict[str, Any]]]:
    """What a model with these features asks for and gives, as it will be registered: `name` and `type` of columns."""
    said = _signature(feature_names)
    return {"inputs": said.inputs.to_dict(), "outputs": said.outputs.to_dict()}


def _studies(model_name: str) -> str:
    """Studies have an experiment of their own: beside the candidates they would only be in the way."""
    return f"{model_name} studies"


def _link_to_card(run: mlflow.ActiveRun) -> str:
    """The description of a version, in Markdown; the address is within MLflow's own pages, wherever they are served."""
    info = run.info
    place = f"#/experiments/{info.experiment_id}/runs/{info.run_id}/artifactPath/{EVIDENCE}/{CARD_PAGE}"
    return f"[Model card]({place})"


def _registered(version: ModelVersion) -> Registered:
    return Registered(int(version.version), str(version.run_id))


def _means_absent(cause: BaseException | None) -> bool:
    absent = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")  # no model yet; a model without the alias
    return isinstance(cause, MlflowException) and cause.error_code in absent


def _signature(feature_names: tuple[str, ...]) -> ModelSignature:
    keys = [ColSpec("string", "entity"), ColSpec("datetime", "ts")]
    inputs = [*keys, *(ColSpec("float", name) for name in feature_names)]
    outputs = [ColSpec("string", "entity"), *(ColSpec("double", name) for name in FORECAST.columns if name != "entity")]
    return ModelSignature(inputs=Schema(inputs), outputs=Schema(outputs))
