"""Gradient boosted trees by XGBoost: one booster for the event, one for the value."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import xgboost as xgb
from optuna.trial import BaseTrial
from scipy.special import expit

from ml.errors import RegistryError
from ml.estimators.boosting import (
    MAX_BIN,
    MOST_ROUNDS,
    PATIENCE,
    SHARED_DEFAULTS,
    Floats,
    Loss,
    Quantised,
    by_round,
    event_loss,
    shared_space,
    value_loss,
)
from ml.estimators.files import field, read_document, read_noted, write_document, write_noted
from ml.estimators.interface import Codes, Estimator, Matrix, Panel, Params, Sample, Tried, Vector
from ml.estimators.panel import rows_of

FORMAT = 2
DOCUMENT = "estimator.json"
EVENT_FILE, VALUE_FILE = "event.ubj", "value.ubj"


class XGBoost(Estimator):
    """Histogram trees that grow level by level, with a declared, conservative space."""

    name: ClassVar[str] = "xgboost"
    packages: ClassVar[tuple[str, ...]] = ("xgboost",)
    defaults: ClassVar[Params] = {**SHARED_DEFAULTS, "max_depth": 3}

    def __init__(self) -> None:
        self._event: Any = None
        self._value: Any = None
        self._std = 1.0

    @staticmethod
    def space(trial: BaseTrial) -> Params:
        return {"max_depth": trial.suggest_int("max_depth", 2, 5), **shared_space(trial)}

    @staticmethod
    def prepare(sample: Sample, threads: int) -> Quantised:
        def watchable(test: Sample) -> Any:
            # Not quantised: finding the value behind a bin again made watching ten times as slow.
            return xgb.DMatrix(test.X, test.up.astype(np.float32), nthread=threads)

        return Quantised(sample, xgb.QuantileDMatrix(sample.X, max_bin=MAX_BIN, nthread=threads), watchable)

    def fit_prepared(self, data: Quantised, params: Params, seed: int, threads: int) -> Self:
        rounds = int(params["rounds"])
        self._std = float(np.std(data.sample.value))
        self._event = _train("binary:logistic", event_loss(data.sample), data, params, rounds, seed, threads)
        value = value_loss(data.sample, self._std)
        self._value = _train("reg:squarederror", value, data, params, rounds, seed, threads)
        return self

    @classmethod
    def tried(cls, data: Quantised, test: Sample, params: Params, seed: int, threads: int) -> Tried:
        loss = event_loss(data.sample)
        booster = _train("binary:logistic", loss, data, params, MOST_ROUNDS, seed, threads, data.watched(test))
        stop = int(booster.best_iteration) + 1
        return Tried(_predict(booster, test.X, stop), {**params, "rounds": stop})

    def predict(self, panel: Panel, at: Codes) -> tuple[Vector, Vector]:
        X = rows_of(panel.X, at)
        return _predict(self._event, X), _predict(self._value, X) * self._std

    def contributions(self, panel: Panel, at: Codes) -> Matrix:
        """SHAP values of the event booster (Lundberg et al. 2020, TreeSHAP), relative to its training mean."""
        said = self._event.predict(xgb.DMatrix(rows_of(panel.X, at)), pred_contribs=True)
        own: Matrix = said[:, :-1]
        return own

    def save(self, directory: Path) -> None:
        content: dict[str, Any] = {"std": self._std}
        for name, booster in ((EVENT_FILE, self._event), (VALUE_FILE, self._value)):
            content[name] = write_noted(directory / name, bytes(booster.save_raw("ubj")))
        write_document(directory / DOCUMENT, self.name, FORMAT, content)

    @classmethod
    def load(cls, directory: Path) -> Self:
        document = read_document(directory / DOCUMENT, cls.name, FORMAT)
        loaded = cls()
        loaded._std = float(field(document, "std"))
        loaded._event = _read_booster(directory / EVENT_FILE, field(document, EVENT_FILE))
        loaded._value = _read_booster(directory / VALUE_FILE, field(document, VALUE_FILE))
        return loaded


def _train(
    objective: str,
    loss: Loss,
    data: Quantised,
    params: Params,
    rounds: int,
    seed: int,
    threads: int,
    watched: Any = None,
) -> Any:
    """A booster of so many rounds; with `watched` rows it stops when their log-loss no longer falls."""
    derivatives = by_round(loss, data.sample, params["subsample"], seed)

    def gradients(margin: Floats, _: Any) -> tuple[Floats, Floats]:
        return derivatives(margin)

    settings = {
        # The objective's derivatives are ours; its name tells a reader of the file what the margin means.
        "objective": objective,
        "base_score": float(expit(loss.start)) if objective == "binary:logistic" else loss.start,
        "tree_method": "hist",
        "max_bin": MAX_BIN,
        "max_depth": int(params["max_depth"]),
        "eta": params["eta"],
        "min_child_weight": float(params["min_child_share"]) * len(data.sample) * loss.curvature,
        "colsample_bytree": params["colsample"],
        "lambda": params["lambda"],
        "alpha": params["alpha"],
        "seed": seed,
        "nthread": threads,
    }
    return xgb.train(
        settings,
        data.matrix,
        num_boost_round=rounds,
        obj=gradients,
        evals=[] if watched is None else [(watched, "test")],
        early_stopping_rounds=None if watched is None else PATIENCE,
        verbose_eval=False,
    )


def _predict(booster: Any, X: Matrix, rounds: int = 0) -> Vector:
    """What the first `rounds` rounds say; 0 for all."""
    return np.asarray(booster.inplace_predict(X, iteration_range=(0, rounds)), dtype=np.float64)


def _read_booster(path: Path, digest: str) -> Any:
    content = read_noted(path, digest)
    booster = xgb.Booster()
    try:
        booster.load_model(bytearray(content))
    except xgb.core.XGBoostError as error:
        raise RegistryError(
            f"{path.name} that XGBoost {xgb.__version__} cannot read",
            "a booster in UBJSON written by this or an older XGBoost",
            "Retrain the model",
        ) from error
    return booster
