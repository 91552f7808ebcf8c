"""The estimators by name: one line each."""

from __future__ import annotations

from ml.errors import RegistryError
from ml.estimators.baselines import Climatology
from ml.estimators.boosting import XGBoost
from ml.estimators.interface import Estimator
from ml.estimators.nets import CNN, LSTM, Transformer

ESTIMATORS: dict[str, type[Estimator]] = {
    estimator.name: estimator
    for estimator in (
        XGBoost,
        LSTM,
        Transformer,
        CNN,
        Climatology,
    )
}


def estimator_class(name: str) -> type[Estimator]:
    """The estimator called `name`; RegistryError with the known names otherwise."""
    if name not in ESTIMATORS:
        raise RegistryError(f"estimator {name!r}", f"one of {sorted(ESTIMATORS)}", "Correct the recipe's estimator")
    return ESTIMATORS[name]
