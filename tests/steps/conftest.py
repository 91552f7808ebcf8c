"""What a night in a test needs: settings that point to an invented market, and an empty model registry."""

from __future__ import annotations

from pathlib import Path

import mlflow
import pytest

from ml.__main__ import main
from ml.settings import Settings, settings
from tests.steps.market import bars, seen, write


@pytest.fixture
def registry(mlflow_server: str) -> str:
    """The MLflow server of this worker without any registered model."""
    client = mlflow.MlflowClient(tracking_uri=mlflow_server)
    for model in client.search_registered_models():
        client.delete_registered_model(model.name)
    return mlflow_server


@pytest.fixture
def market(stack_settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder with the invented market; the settings take bars from there, for one horizon and one estimator."""
    folder = tmp_path / "bars"
    write(folder, bars())
    monkeypatch.setenv("AFTERBELL_PROVIDER", "files")
    monkeypatch.setenv("AFTERBELL_FILES_PATH", str(folder))
    monkeypatch.setenv("AFTERBELL_HORIZONS", "1d")
    monkeypatch.setenv("AFTERBELL_ESTIMATORS", "xgboost")
    monkeypatch.setenv("AFTERBELL_THREADS", "1")
    settings.cache_clear()
    return folder


@pytest.fixture
def two_versions(market: Path, registry: str, monkeypatch: pytest.MonkeyPatch, reader_dsn: str) -> Path:
    """Version 1 serves; version 2 was trained on the same night with other parameters, and kept out by the gate."""
    assert main(["night", "--trials", "1"]) == 0
    monkeypatch.setenv("AFTERBELL_SEED", "8")
    settings.cache_clear()
    assert main(["night", "--trials", "1"]) == 0
    assert seen(reader_dsn, "select model_version from serving.models where role = 'champion'") == [(1,)]
    return market
