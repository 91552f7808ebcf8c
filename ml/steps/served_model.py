"""What MLflow calls to load a registered model: plain files in, a `predict` out, no pickle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ml.lifecycle.model import Model


@dataclass(frozen=True)
class ServedModel:
    """The pyfunc face of a lifecycle model."""

    model: Model

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Features (entity, ts in UTC, then one float32 column each) to the FORECAST of their last instant."""
        del params  # part of MLflow's interface; the models have no knobs at prediction time
        return self.model.forecast(
            model_input.assign(ts=model_input["ts"].astype("datetime64[us]").dt.tz_localize("UTC"))
        )


def _load_pyfunc(data_path: str) -> ServedModel:
    return ServedModel(Model.load(Path(data_path)))
