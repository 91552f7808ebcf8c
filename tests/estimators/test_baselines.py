from pathlib import Path

import numpy as np
import pytest

from ml.errors import RegistryError, TrainingError
from ml.estimators.baselines import Climatology

X = np.zeros((4, 2), "float32")
VALUE = np.array([0.1, -0.3, 0.2, 0.4])


def climatology() -> Climatology:
    return Climatology().fit(X, VALUE > 0, VALUE, {}, seed=0, threads=1)


def test_climatology_says_the_base_rate_and_the_mean_whatever_it_is_asked() -> None:
    p_up, expected = climatology().predict(np.full((3, 2), np.nan, "float32"))
    # Three rises of four, and one of each imagined: (3 + 1) / (4 + 2).
    assert p_up.tolist() == pytest.approx([4 / 6] * 3)
    assert expected.tolist() == pytest.approx([0.1] * 3)


def test_climatology_is_never_certain() -> None:
    p_up, _ = Climatology().fit(X, np.ones(4, bool), np.abs(VALUE), {}, seed=0, threads=1).predict(X)
    assert (p_up < 1).all()


def test_climatology_survives_saving(tmp_path: Path) -> None:
    climatology().save(tmp_path)
    np.testing.assert_array_equal(Climatology.load(tmp_path).predict(X), climatology().predict(X))


def test_another_estimators_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "estimator.json").write_text('{"kind": "xgboost", "format": 1}')
    with pytest.raises(RegistryError, match="kind 'xgboost'"):
        Climatology.load(tmp_path)


def test_no_rows_are_a_training_error() -> None:
    with pytest.raises(TrainingError, match="no training rows"):
        Climatology().fit(X[:0], VALUE[:0] > 0, VALUE[:0], {}, seed=0, threads=1)
