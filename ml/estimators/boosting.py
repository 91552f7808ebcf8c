"""Gradient boosted trees by XGBoost: one booster for the event, one for the value."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import xgboost as xgb
from optuna.trial import BaseTrial

from ml.errors import RegistryError, TrainingError
from ml.estimators.files import field, read_bytes, read_document, write_bytes, write_document
from ml.estimators.interface import Estimator, Flags, Matrix, Params, Vector

MAX_BIN = 64
CLIP = 5.0
FORMAT = 1
DOCUMENT = "estimator.json"
EVENT_FILE, VALUE_FILE = "event.ubj", "value.ubj"


@dataclass(frozen=True)
class Quantised:
    """Training rows as XGBoost's quantised matrix, which does not depend on the labels."""

    matrix: Any
    up: Flags
    value: Vector


class XGBoost(Estimator):
    """Histogram trees with a declared, conservative space.

    The value booster minimises squared error on value / std(training values), clipped at +-5
    deviations: unclipped, a handful of extreme rows decides the splits. `min_child_share` is the
    smallest share of training rows that a leaf may hold, so that one setting means the same on an
    early fold and on the whole history.
    """

    name: ClassVar[str] = "xgboost"
    defaults: ClassVar[Params] = {
        "rounds": 100,
        "max_depth": 3,
        "eta": 0.04,
        "min_child_share": 0.005,
        "subsample": 0.7,
        "colsample": 0.6,
        "lambda": 10.0,
        "alpha": 0.1,
    }

    def __init__(self) -> None:
        self._event: Any = None
        self._value: Any = None
        self._std = 1.0

    @staticmethod
    def space(trial: BaseTrial) -> Params:
        return {
            "rounds": trial.suggest_int("rounds", 30, 300, log=True),
            "max_depth": trial.suggest_int("max_depth", 2, 6),
            "eta": trial.suggest_float("eta", 0.02, 0.1, log=True),
            "min_child_share": trial.suggest_float("min_child_share", 0.0005, 0.02, log=True),
            "subsample": trial.suggest_float("subsample", 0.5, 1.0),
            "colsample": trial.suggest_float("colsample", 0.3, 1.0),
            "lambda": trial.suggest_float("lambda", 1.0, 100.0, log=True),
            "alpha": trial.suggest_float("alpha", 0.001, 10.0, log=True),
        }

    @staticmethod
    def prepare(X: Matrix, up: Flags, value: Vector, threads: int) -> Quantised:
        return Quantised(xgb.QuantileDMatrix(X, max_bin=MAX_BIN, nthread=threads), up, value)

    def fit_prepared(self, data: Quantised, params: Params, seed: int, threads: int) -> Self:
        self._event = _fit_event(data, params, seed, threads)
        self._std = float(np.std(data.value))
        self._value = _fit_value(data, self._std, params, seed, threads)
        return self

    @classmethod
    def direction(cls, data: Quantised, X: Matrix, params: Params, seed: int, threads: int) -> Vector:
        return _predict(_fit_event(data, params, seed, threads), X)

    def predict(self, X: Matrix) -> tuple[Vector, Vector]:
        return _predict(self._event, X), _predict(self._value, X) * self._std

    def save(self, directory: Path) -> None:
        write_bytes(directory / EVENT_FILE, self._event.save_raw("ubj"))
        write_bytes(directory / VALUE_FILE, self._value.save_raw("ubj"))
        write_document(directory / DOCUMENT, self.name, FORMAT, {"std": self._std})

    @classmethod
    def load(cls, directory: Path) -> Self:
        document = read_document(directory / DOCUMENT, cls.name, FORMAT)
        loaded = cls()
        loaded._std = float(field(document, "std"))
        loaded._event = _read_booster(directory / EVENT_FILE)
        loaded._value = _read_booster(directory / VALUE_FILE)
        return loaded


def _fit_event(data: Quantised, params: Params, seed: int, threads: int) -> Any:
    rate = float(data.up.mean())
    if not 0 < rate < 1:
        raise TrainingError(
            f"{data.up.size} training rows with one class only (share of rises {rate:g})",
            "both rises and falls",
            "Give a longer history or more entities",
        )
    # A logistic row weighs p (1 - p), so a share of rows becomes a share of that weight.
    leaf = float(params["min_child_share"]) * data.up.size * rate * (1 - rate)
    data.matrix.set_label(data.up.astype(np.float32))
    return _train(data.matrix, "binary:logistic", params, base_score=rate, leaf_weight=leaf, seed=seed, threads=threads)


def _fit_value(data: Quantised, std: float, params: Params, seed: int, threads: int) -> Any:
    standardised = np.clip(data.value / std, -CLIP, CLIP)
    leaf = float(params["min_child_share"]) * data.value.size
    data.matrix.set_label(standardised.astype(np.float32))
    base = float(standardised.mean())
    return _train(
        data.matrix, "reg:squarederror", params, base_score=base, leaf_weight=leaf, seed=seed, threads=threads
    )


def _train(
    matrix: Any, objective: str, params: Params, *, base_score: float, leaf_weight: float, seed: int, threads: int
) -> Any:
    settings = {
        "objective": objective,
        "base_score": base_score,
        "tree_method": "hist",
        "max_bin": MAX_BIN,
        "max_depth": int(params["max_depth"]),
        "eta": params["eta"],
        "min_child_weight": leaf_weight,
        "subsample": params["subsample"],
        "colsample_bytree": params["colsample"],
        "lambda": params["lambda"],
        "alpha": params["alpha"],
        "seed": seed,
        "nthread": threads,
    }
    return xgb.train(settings, matrix, num_boost_round=int(params["rounds"]))


def _predict(booster: Any, X: Matrix) -> Vector:
    return np.asarray(booster.inplace_predict(X), dtype=np.float64)


def _read_booster(path: Path) -> Any:
    content = read_bytes(path)
    booster = xgb.Booster()
    try:
        booster.load_model(bytearray(content))
    # XGBoost quotes the damaged bytes, and its Python side fails on decoding them.
    except (xgb.core.XGBoostError, UnicodeDecodeError) as error:
        raise RegistryError(
            f"{path.name} that XGBoost {xgb.__version__} cannot read",
            "a booster in UBJSON written by this or an older XGBoost",
            "Fetch the model again or retrain it",
        ) from error
    return booster
