"""What a night in a test needs: settings that point to an invented market, and an empty model registry."""

from __future__ import annotations

from pathlib import Path

import mlflow
import pytest

from ml.settings import Settings, settings
from tests.steps.market import bars, write


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
