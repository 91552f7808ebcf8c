"""A fitted recipe that can forecast, be saved, and be loaded in another process without pickle."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ml.errors import FrameError, RegistryError, StoreError
from ml.estimators.files import field, read_document, write_document
from ml.estimators.interface import Estimator, Matrix, Vector
from ml.estimators.registry import estimator_class
from ml.frames import FORECAST, TEXT, Contract
from ml.lifecycle.dataset import finite_or_missing
from ml.lifecycle.intervals import Interval, dispersion
from ml.lifecycle.recipe import Recipe

FORMAT = 1
KIND = "afterbell-model"
DOCUMENT = "model.json"
ESTIMATOR_DIRECTORY = "estimator"


@dataclass(frozen=True)
class Model:
    """What a recipe became on one window of rows.

    trained_from, trained_until: first and last ts of the train rows (datetime64[us], UTC).
    typical_scale: the dispersion of a row whose own is unusable.
    """

    recipe: Recipe
    estimator: Estimator
    interval: Interval
    typical_scale: float
    trained_from: np.datetime64
    trained_until: np.datetime64
    n_rows: int

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The feature columns that `forecast` reads."""
        return self.recipe.feature_names

    def forecast(self, features: pd.DataFrame) -> pd.DataFrame:
        """FORECAST for the features of one instant: `entity`, sorted, beside the model's float32 columns.

        Features of other names are ignored. Rows without any finite feature get no forecast.
        FrameError when a feature is missing or an entity stands in the frame twice.
        """
        frame = self._checked(features)
        X = np.column_stack([finite_or_missing(frame[name].to_numpy()) for name in self.feature_names])
        usable = ~np.isnan(X).all(axis=1)
        X = np.ascontiguousarray(X[usable])
        p_up, expected = self.estimator.predict(X)
        half_width = self.interval.quantile * self._scale(X)
        forecast = pd.DataFrame(
            {
                "entity": frame["entity"].to_numpy()[usable],
                "p_up": p_up,
                "expected": expected,
                "lower": expected - half_width,
                "upper": expected + half_width,
            }
        )
        return FORECAST.check(FORECAST.cast(forecast))

    def save(self, directory: Path) -> None:
        """Write JSON and the estimator's own files into `directory`, made when missing; StoreError when that fails."""
        try:
            (directory / ESTIMATOR_DIRECTORY).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{directory} that cannot be made ({error})", "a writable place", "Free space") from error
        self.estimator.save(directory / ESTIMATOR_DIRECTORY)
        content = {
            "recipe": json.loads(self.recipe.to_json()),
            "recipe_digest": self.recipe.digest,
            "interval": asdict(self.interval),
            "typical_scale": self.typical_scale,
            "trained_from": str(self.trained_from),
            "trained_until": str(self.trained_until),
            "n_rows": self.n_rows,
        }
        write_document(directory / DOCUMENT, KIND, FORMAT, content)

    @classmethod
    def load(cls, directory: Path) -> Model:
        """What `save` wrote. StoreError: a missing file. RegistryError: another format, or a recipe that was edited."""
        document = read_document(directory / DOCUMENT, KIND, FORMAT)
        recipe = Recipe.from_json(json.dumps(field(document, "recipe")))
        if recipe.digest != field(document, "recipe_digest"):
            raise RegistryError(
                f"a model whose recipe has digest {recipe.digest[:12]}",
                f"{document['recipe_digest'][:12]}, as saved",
                "Fetch the model again or retrain it",
            )
        return cls(
            recipe=recipe,
            estimator=estimator_class(recipe.estimator).load(directory / ESTIMATOR_DIRECTORY),
            interval=Interval(**field(document, "interval")),
            typical_scale=float(field(document, "typical_scale")),
            trained_from=np.datetime64(field(document, "trained_from"), "us"),
            trained_until=np.datetime64(field(document, "trained_until"), "us"),
            n_rows=int(field(document, "n_rows")),
        )

    def _checked(self, features: pd.DataFrame) -> pd.DataFrame:
        missing = [name for name in self.feature_names if name not in features.columns]
        if missing:
            raise FrameError(
                f"features without {missing}", f"the model's {len(self.feature_names)} features", "Compute them first"
            )
        columns = {"entity": TEXT, **dict.fromkeys(self.feature_names, "float32")}
        return Contract("features of one instant", columns, key=("entity",)).check(features[list(columns)])

    def _scale(self, X: Matrix) -> Vector:
        name = self.recipe.scale_feature
        if name is None:
            return np.ones(len(X))
        return dispersion(X[:, self.feature_names.index(name)].astype(np.float64), self.typical_scale)
