"""Gradient boosted trees by XGBoost: one booster for the event, one for the value."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import xgboost as xgb
from optuna.trial import BaseTrial

from ml.errors import RegistryError
from ml.estimators.files import field, read_bytes, read_document, write_bytes, write_document
from ml.estimators.interface import (
    Codes,
    Estimator,
    Matrix,
    Panel,
    Params,
    Sample,
    Tried,
    Vector,
    require_both_classes,
)
from ml.estimators.panel import rows_of

MAX_BIN = 64
CLIP = 5.0
MOST_ROUNDS = 400
PATIENCE = 30
"""Rounds without a lower test loss after which a trial stops."""
FORMAT = 1
DOCUMENT = "estimator.json"
EVENT_FILE, VALUE_FILE = "event.ubj", "value.ubj"


@dataclass(frozen=True)
class Quantised:
    """Training rows as XGBoost's quantised matrix, which does not depend on the labels."""

    matrix: Any
    sample: Sample


class XGBoost(Estimator):
    """Histogram trees with a declared, conservative space.

    The value booster minimises squared error on value / std(training values), clipped at +-5
    deviations: unclipped, a handful of extreme rows decides the splits. `min_child_share` is the
    smallest share of training rows that a leaf may hold, so that one setting means the same on an
    early fold and on the whole history. `rounds` is not searched: a trial stops early and says where.
    """

    name: ClassVar[str] = "xgboost"
    packages: ClassVar[tuple[str, ...]] = ("xgboost",)
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
            "max_depth": trial.suggest_int("max_depth", 2, 6),
            "eta": trial.suggest_float("eta", 0.02, 0.1, log=True),
            "min_child_share": trial.suggest_float("min_child_share", 0.0005, 0.02, log=True),
            "subsample": trial.suggest_float("subsample", 0.5, 1.0),
            "colsample": trial.suggest_float("colsample", 0.3, 1.0),
            "lambda": trial.suggest_float("lambda", 1.0, 100.0, log=True),
            "alpha": trial.suggest_float("alpha", 0.001, 10.0, log=True),
        }

    @staticmethod
    def prepare(sample: Sample, threads: int) -> Quantised:
        matrix = xgb.QuantileDMatrix(sample.X, weight=sample.weight, max_bin=MAX_BIN, nthread=threads)
        return Quantised(matrix, sample)

    def fit_prepared(self, data: Quantised, params: Params, seed: int, threads: int) -> Self:
        self._event = _fit_event(data, params, seed, threads)
        self._std = float(np.std(data.sample.value))
        self._value = _fit_value(data, self._std, params, seed, threads)
        return self

    @classmethod
    def tried(cls, data: Quantised, test: Sample, params: Params, seed: int, threads: int) -> Tried:
        X = test.X
        unseen = xgb.QuantileDMatrix(X, test.up.astype(np.float32), max_bin=MAX_BIN, ref=data.matrix, nthread=threads)
        booster = _fit_event(data, {**params, "rounds": MOST_ROUNDS}, seed, threads, unseen)
        stop = int(booster.best_iteration) + 1
        p_up = np.asarray(booster.inplace_predict(X, iteration_range=(0, stop)), dtype=np.float64)
        return Tried(p_up, {**params, "rounds": stop})

    def predict(self, panel: Panel, at: Codes) -> tuple[Vector, Vector]:
        X = rows_of(panel.X, at)
        return _predict(self._event, X), _predict(self._value, X) * self._std

    def contributions(self, panel: Panel, at: Codes) -> Matrix:
        """SHAP values of the event booster (Lundberg et al. 2020, TreeSHAP), relative to its training mean."""
        said = self._event.predict(xgb.DMatrix(rows_of(panel.X, at)), pred_contribs=True)
        own: Matrix = said[:, :-1]
        return own

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


def _fit_event(data: Quantised, params: Params, seed: int, threads: int, unseen: Any = None) -> Any:
    require_both_classes(data.sample)
    rate = data.sample.rate
    # A logistic row weighs p (1 - p), so a share of rows becomes a share of that weight.
    leaf = float(params["min_child_share"]) * len(data.sample) * rate * (1 - rate)
    data.matrix.set_label(data.sample.up.astype(np.float32))
    settings = _settings("binary:logistic", params, base_score=rate, leaf_weight=leaf, seed=seed, threads=threads)
    rounds = int(params["rounds"])
    if unseen is None:
        return xgb.train(settings, data.matrix, num_boost_round=rounds)
    return xgb.train(
        {**settings, "eval_metric": "logloss"},
        data.matrix,
        num_boost_round=rounds,
        evals=[(unseen, "test")],
        early_stopping_rounds=PATIENCE,
        verbose_eval=False,
    )


def _fit_value(data: Quantised, std: float, params: Params, seed: int, threads: int) -> Any:
    standardised = np.clip(data.sample.value / std, -CLIP, CLIP)
    leaf = float(params["min_child_share"]) * len(data.sample)
    data.matrix.set_label(standardised.astype(np.float32))
    base = float(np.average(standardised, weights=data.sample.weight))
    settings = _settings("reg:squarederror", params, base_score=base, leaf_weight=leaf, seed=seed, threads=threads)
    return xgb.train(settings, data.matrix, num_boost_round=int(params["rounds"]))


def _settings(
    objective: str, params: Params, *, base_score: float, leaf_weight: float, seed: int, threads: int
) -> dict[str, Any]:
    return {
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
