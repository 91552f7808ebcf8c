"""The estimators by name: one line each."""

from __future__ import annotations

from ml.errors import RegistryError
from ml.estimators.baselines import Climatology, Momentum
from ml.estimators.interface import Estimator
from ml.estimators.lightgbm_trees import LightGBM
from ml.estimators.linear import Linear
from ml.estimators.nets import CNN, LSTM, Transformer
from ml.estimators.xgboost_trees import XGBoost

ESTIMATORS: dict[str, type[Estimator]] = {
    estimator.name: estimator
    for estimator in (XGBoost, LightGBM, Linear, LSTM, Transformer, CNN, Climatology, Momentum)
}


def estimator_class(name: str) -> type[Estimator]:
    """The estimator called `name`; RegistryError with the known names otherwise."""
    if name not in ESTIMATORS:
        raise RegistryError(f"estimator {name!r}", f"one of {sorted(ESTIMATORS)}", "Correct the recipe's estimator")
    return ESTIMATORS[name]
