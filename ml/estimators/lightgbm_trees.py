"""Gradient boosted trees by LightGBM: one booster for the event, one for the value."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

import lightgbm as lgb
import numpy as np
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

FORMAT = 1
DOCUMENT = "estimator.json"
EVENT_FILE, VALUE_FILE = "event.txt", "value.txt"


class LightGBM(Estimator):
    """Histogram trees that grow leaf by leaf, with a declared, conservative space."""

    name: ClassVar[str] = "lightgbm"
    packages: ClassVar[tuple[str, ...]] = ("lightgbm",)
    defaults: ClassVar[Params] = {**SHARED_DEFAULTS, "leaves": 8}

    def __init__(self) -> None:
        self._event: Any = None
        self._value: Any = None
        self._event_start = 0.0
        self._value_start = 0.0
        self._std = 1.0

    @staticmethod
    def space(trial: BaseTrial) -> Params:
        return {"leaves": trial.suggest_int("leaves", 4, 32, log=True), **shared_space(trial)}

    @staticmethod
    def prepare(sample: Sample, threads: int) -> Quantised:
        settings = {"max_bin": MAX_BIN, "feature_pre_filter": False, "num_threads": threads, "verbosity": -1}

        rows = lgb.Dataset(sample.X, params=settings).construct()

        def watchable(test: Sample) -> Any:
            return rows.create_valid(test.X, params=settings).construct()

        return Quantised(sample, rows, watchable)

    def fit_prepared(self, data: Quantised, params: Params, seed: int, threads: int) -> Self:
        rounds = int(params["rounds"])
        self._std = float(np.std(data.sample.value))
        event, value = event_loss(data.sample), value_loss(data.sample, self._std)
        self._event_start, self._value_start = event.start, value.start
        self._event = _train(event, data, params, rounds, seed, threads)
        self._value = _train(value, data, params, rounds, seed, threads)
        return self

    @classmethod
    def tried(cls, data: Quantised, test: Sample, params: Params, seed: int, threads: int) -> Tried:
        loss = event_loss(data.sample)
        booster = _train(loss, data, params, MOST_ROUNDS, seed, threads, test)
        stop = int(booster.best_iteration)
        return Tried(expit(loss.start + _predict(booster, test.X, stop)), {**params, "rounds": stop})

    def predict(self, panel: Panel, at: Codes) -> tuple[Vector, Vector]:
        X = rows_of(panel.X, at)
        p_up: Vector = expit(self._event_start + _predict(self._event, X))
        return p_up, (self._value_start + _predict(self._value, X)) * self._std

    def contributions(self, panel: Panel, at: Codes) -> Matrix:
        """SHAP values of the event booster (Lundberg et al. 2020, TreeSHAP), relative to its training mean."""
        said = self._event.predict(rows_of(panel.X, at), pred_contrib=True)
        own: Matrix = said[:, :-1].astype(np.float32)
        return own

    def save(self, directory: Path) -> None:
        content: dict[str, Any] = {"std": self._std, "event_start": self._event_start, "value_start": self._value_start}
        for name, booster in ((EVENT_FILE, self._event), (VALUE_FILE, self._value)):
            content[name] = write_noted(directory / name, booster.model_to_string().encode())
        write_document(directory / DOCUMENT, self.name, FORMAT, content)

    @classmethod
    def load(cls, directory: Path) -> Self:
        document = read_document(directory / DOCUMENT, cls.name, FORMAT)
        loaded = cls()
        loaded._std = float(field(document, "std"))
        loaded._event_start = float(field(document, "event_start"))
        loaded._value_start = float(field(document, "value_start"))
        loaded._event = _read_booster(directory / EVENT_FILE, field(document, EVENT_FILE))
        loaded._value = _read_booster(directory / VALUE_FILE, field(document, VALUE_FILE))
        return loaded


def _train(
    loss: Loss, data: Quantised, params: Params, rounds: int, seed: int, threads: int, test: Sample | None = None
) -> Any:
    """A booster of so many rounds; with `test` rows it stops when their log-loss no longer falls."""
    derivatives = by_round(loss, data.sample, params["subsample"], seed)

    # A function and not an object: LightGBM copies its settings deeply.
    def objective(margin: Vector, _: Any) -> tuple[Floats, Floats]:
        return derivatives((loss.start + margin).astype(np.float32))

    settings = {
        "objective": objective,
        "metric": "none",
        "num_leaves": int(params["leaves"]),
        "learning_rate": params["eta"],
        "min_sum_hessian_in_leaf": float(params["min_child_share"]) * len(data.sample) * loss.curvature,
        "min_data_in_leaf": 1,
        "feature_fraction": params["colsample"],
        "feature_fraction_seed": seed,
        "lambda_l2": params["lambda"],
        "lambda_l1": params["alpha"],
        "deterministic": True,
        "force_col_wise": True,  # on 25,000 x 170, a third faster than by rows
        "num_threads": threads,
        "verbosity": -1,
    }
    if test is None:
        return lgb.train(settings, data.matrix, num_boost_round=rounds)
    up = test.up

    def log_loss(margin: Vector, _: Any) -> tuple[str, float, bool]:
        log_odds = loss.start + margin
        return "log-loss", float(np.mean(np.logaddexp(0, log_odds) - up * log_odds)), False

    return lgb.train(
        settings,
        data.matrix,
        num_boost_round=rounds,
        valid_sets=[data.watched(test)],
        feval=log_loss,
        callbacks=[lgb.early_stopping(PATIENCE, verbose=False)],
    )


def _predict(booster: Any, X: Matrix, rounds: int = -1) -> Vector:
    """The margin of the first `rounds` rounds above where they start; -1 for all."""
    return np.asarray(booster.predict(X, raw_score=True, num_iteration=rounds), dtype=np.float64)


def _read_booster(path: Path, digest: str) -> Any:
    content = read_noted(path, digest)
    try:
        return lgb.Booster(model_str=content.decode())
    except lgb.basic.LightGBMError as error:
        raise RegistryError(
            f"{path.name} that LightGBM {lgb.__version__} cannot read",
            "a booster as text written by this or an older LightGBM",
            "Retrain the model",
        ) from error
