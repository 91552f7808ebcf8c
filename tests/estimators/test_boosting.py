from pathlib import Path

import numpy as np
import optuna
import pytest

from ml.errors import RegistryError, TrainingError
from ml.estimators.boosting import XGBoost
from ml.estimators.interface import Flags, Matrix, Vector

Rows = tuple[Matrix, Flags, Vector]


@pytest.fixture(scope="module")
def rows() -> Rows:
    rng = np.random.default_rng(1)
    X = rng.standard_normal((3000, 4)).astype("float32")
    X[rng.random(3000) < 0.1, 1] = np.nan
    value = 0.02 * X[:, 0].astype("float64") + 0.02 * rng.standard_normal(3000)
    return X, value > 0, value


def fitted(rows: Rows, seed: int = 1) -> XGBoost:
    return XGBoost().fit(*rows, XGBoost.defaults, seed=seed, threads=1)


def test_probability_and_value_follow_the_planted_signal(rows: Rows) -> None:
    p_up, expected = fitted(rows).predict(rows[0])
    assert p_up.shape == expected.shape == (3000,)
    assert p_up.dtype == expected.dtype == np.float64
    strong, weak = rows[0][:, 0] > 1, rows[0][:, 0] < -1
    assert p_up[strong].mean() > 0.75
    assert p_up[weak].mean() < 0.25
    # E[value | a] = 0.02 a: the tails' mean is about +-0.03, shrunk by the conservative parameters.
    assert 0.015 < expected[strong].mean() < 0.035
    assert -0.035 < expected[weak].mean() < -0.015


def test_probabilities_are_calibrated_in_the_mean(rows: Rows) -> None:
    p_up, expected = fitted(rows).predict(rows[0])
    assert p_up.mean() == pytest.approx(rows[1].mean(), abs=0.01)
    assert expected.mean() == pytest.approx(rows[2].mean(), abs=0.001)


def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not(rows: Rows) -> None:
    first, second, other = (fitted(rows, seed).predict(rows[0]) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first[0], other[0])


def test_one_prepared_matrix_serves_many_fits_in_any_order(rows: Rows) -> None:
    X = rows[0]
    data = XGBoost.prepare(*rows, threads=1)
    alone = XGBoost.direction(data, X, XGBoost.defaults, seed=1, threads=1)
    both = XGBoost().fit_prepared(data, XGBoost.defaults, seed=1, threads=1).predict(X)
    again = XGBoost.direction(data, X, XGBoost.defaults, seed=1, threads=1)
    np.testing.assert_array_equal(alone, both[0])
    np.testing.assert_array_equal(alone, again)
    np.testing.assert_array_equal(both, fitted(rows).predict(X))


def test_one_absurd_value_does_not_move_everybodys_expectation(rows: Rows) -> None:
    X, up, value = rows
    wild = value.copy()
    wild[np.argmax(value)] = 1.0
    calm, shaken = fitted(rows).predict(X)[1], fitted((X, up, wild)).predict(X)[1]
    assert np.abs(shaken - calm).mean() < 0.25 * np.abs(calm).mean()


def test_one_class_is_a_training_error(rows: Rows) -> None:
    X, _, value = rows
    with pytest.raises(TrainingError, match="one class"):
        XGBoost().fit(X, np.ones(3000, bool), np.abs(value), XGBoost.defaults, seed=1, threads=1)


def test_a_saved_estimator_predicts_the_same_bits(rows: Rows, tmp_path: Path) -> None:
    model = fitted(rows)
    model.save(tmp_path)
    np.testing.assert_array_equal(XGBoost.load(tmp_path).predict(rows[0]), model.predict(rows[0]))


def test_a_damaged_booster_is_a_registry_error(rows: Rows, tmp_path: Path) -> None:
    fitted(rows).save(tmp_path)
    content = (tmp_path / "event.ubj").read_bytes()
    (tmp_path / "event.ubj").write_bytes(content[: len(content) // 2])
    with pytest.raises(RegistryError, match=r"event\.ubj"):
        XGBoost.load(tmp_path)


def test_the_declared_space_and_the_defaults_name_the_same_parameters() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    drawn = [XGBoost.space(study.ask()) for _ in range(20)]
    assert {frozenset(params) for params in drawn} == {frozenset(XGBoost.defaults)}
    fixed = optuna.trial.FixedTrial(dict(XGBoost.defaults))
    assert XGBoost.space(fixed) == XGBoost.defaults
