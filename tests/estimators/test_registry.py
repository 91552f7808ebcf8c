import pytest

from ml.errors import RegistryError
from ml.estimators.registry import ESTIMATORS, estimator_class


def test_every_estimator_is_registered_under_its_own_name() -> None:
    nets = {"lstm", "transformer", "cnn"}
    assert set(ESTIMATORS) == {"xgboost", "lightgbm", "linear", "climatology", "momentum"} | nets
    assert all(estimator_class(name).name == name for name in ESTIMATORS)


def test_an_unknown_estimator_is_answered_with_the_known_names() -> None:
    with pytest.raises(RegistryError, match="xgboost"):
        estimator_class("oracle")
