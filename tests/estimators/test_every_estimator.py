"""What the interface promises, asked of every estimator without a net."""

from pathlib import Path

import numpy as np
import optuna
import pytest
from scipy.special import logit

from ml.errors import RegistryError, StoreError, TrainingError
from ml.estimators.baselines import Climatology, Momentum
from ml.estimators.interface import Estimator, Params
from ml.estimators.lightgbm_trees import LightGBM
from ml.estimators.linear import Linear
from ml.estimators.panel import Panel, Sample
from ml.estimators.xgboost_trees import XGBoost
from tests.estimators.planted import PLANTED, features, panel_of, part, planted, with_value

Kind = type[Estimator]

PARAMS: dict[Kind, Params] = {
    XGBoost: XGBoost.defaults,
    LightGBM: LightGBM.defaults,
    Linear: Linear.defaults,
    Climatology: {},
    Momentum: {"feature": PLANTED},
}
every = pytest.mark.parametrize("kind", PARAMS, ids=lambda kind: kind.name)
learning = pytest.mark.parametrize("kind", [XGBoost, LightGBM, Linear], ids=lambda kind: kind.name)


@pytest.fixture(scope="module")
def sample() -> Sample:
    return planted()


def fitted(kind: Kind, sample: Sample, params: Params | None = None) -> Estimator:
    return kind().fit(sample, PARAMS[kind] if params is None else params, seed=1, threads=1)


@every
def test_answers_are_finite_probabilities_and_values_also_of_rows_never_seen(kind: Kind, sample: Sample) -> None:
    model = fitted(kind, sample)
    strange = features(seed=9)[:4]
    strange[0] = np.nan
    strange[1] = 1e30
    strange[2] = -1e30
    for panel, at in ((sample.panel, sample.at), (panel_of(strange), np.arange(4))):
        p_up, expected = model.predict(panel, at)
        assert p_up.shape == expected.shape == at.shape
        assert p_up.dtype == expected.dtype == np.float64
        assert ((p_up > 0) & (p_up < 1)).all()
        assert np.isfinite(expected).all()


@every
def test_an_answer_does_not_depend_on_what_else_is_asked(kind: Kind, sample: Sample) -> None:
    model = fitted(kind, sample)
    some = np.array([3, 17, 18, 2000])
    every_row, few = model.predict(sample.panel, sample.at), model.predict(sample.panel, some)
    for whole, part_ in zip(every_row, few, strict=True):
        np.testing.assert_allclose(whole[some], part_, rtol=1e-12)


@every
def test_the_same_seed_gives_the_same_bits(kind: Kind, sample: Sample) -> None:
    first, second = (fitted(kind, sample).predict(sample.panel, sample.at) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@every
def test_what_is_prepared_once_serves_many_fits_in_any_order(kind: Kind, sample: Sample) -> None:
    train, test = part(sample, 0, 2400), part(sample, 2400, 3000)
    data = kind.prepare(train, 1)
    first = kind.tried(data, test, PARAMS[kind], 1, 1)
    kind().fit_prepared(data, PARAMS[kind], 1, 1)
    again = kind.tried(data, test, PARAMS[kind], 1, 1)
    np.testing.assert_array_equal(first.p_up, again.p_up)
    assert first.params == again.params


@every
def test_a_fit_with_the_parameters_of_a_trial_says_what_the_trial_said(kind: Kind, sample: Sample) -> None:
    train, test = part(sample, 0, 2400), part(sample, 2400, 3000)
    p_up, params = kind.tried(kind.prepare(train, 1), test, PARAMS[kind], 1, 1)
    assert set(params) == set(PARAMS[kind])
    np.testing.assert_array_equal(fitted(kind, train, params).predict(test.panel, test.at)[0], p_up)


@every
def test_a_trial_answers_about_the_rows_it_is_given(kind: Kind, sample: Sample) -> None:
    """The library's own form of test rows is kept between trials, but not for other rows."""
    data = kind.prepare(part(sample, 0, 1500), 1)
    for test in (part(sample, 1500, 2400), part(sample, 2400, 3000)):
        afresh = kind.tried(kind.prepare(part(sample, 0, 1500), 1), test, PARAMS[kind], 1, 1)
        said = kind.tried(data, test, PARAMS[kind], 1, 1)
        np.testing.assert_array_equal(said.p_up, afresh.p_up)
        assert said.params == afresh.params


@every
def test_a_saved_estimator_says_the_same_bits(kind: Kind, sample: Sample, tmp_path: Path) -> None:
    model = fitted(kind, sample)
    model.save(tmp_path)
    loaded = kind.load(tmp_path)
    np.testing.assert_array_equal(
        loaded.predict(sample.panel, sample.at), model.predict(sample.panel, sample.at), strict=True
    )
    np.testing.assert_array_equal(
        loaded.contributions(sample.panel, sample.at), model.contributions(sample.panel, sample.at), strict=True
    )


@every
def test_an_incomplete_or_strange_directory_is_refused(kind: Kind, sample: Sample, tmp_path: Path) -> None:
    model = fitted(kind, sample)
    with pytest.raises(StoreError, match="cannot be written"):
        model.save(tmp_path / "absent")
    with pytest.raises(StoreError, match="complete model directory"):
        kind.load(tmp_path)
    (tmp_path / "estimator.json").write_text('{"kind": "oracle", "format": 1}')
    with pytest.raises(RegistryError, match="kind 'oracle'"):
        kind.load(tmp_path)


@every
def test_contributions_and_a_constant_add_up_to_the_log_odds(kind: Kind, sample: Sample) -> None:
    model = fitted(kind, sample)
    own = model.contributions(sample.panel, sample.at)
    assert own.shape == sample.panel.X.shape
    assert own.dtype == np.float32
    constant = logit(model.predict(sample.panel, sample.at)[0]) - own.sum(axis=1, dtype=np.float64)
    assert np.ptp(constant) < 1e-4


@every
def test_the_planted_feature_contributes_most(kind: Kind, sample: Sample) -> None:
    own = fitted(kind, sample).contributions(sample.panel, sample.at)
    size = np.abs(own).mean(axis=0)
    if kind is Climatology:
        assert not size.any()
    else:
        assert np.argmax(size) == PLANTED
        assert size[PLANTED] > 4 * np.delete(size, PLANTED).max()
        assert np.corrcoef(own[:, PLANTED], sample.panel.X[:, PLANTED])[0, 1] > 0.7


@every
def test_weight_on_half_the_rows_moves_the_base_rate(kind: Kind) -> None:
    X = features()
    up = np.random.default_rng(3).random(len(X)) < np.where(np.arange(len(X)) % 2, 0.7, 0.3)
    weight = np.where(np.arange(len(X)) % 2, 1.8, 0.2)
    sample = Sample(panel_of(X), np.arange(len(X)), np.where(up, 0.02, -0.02), weight)
    p_up, expected = fitted(kind, sample).predict(sample.panel, sample.at)
    # 0.9 of the weight lies on rows of which 0.7 rise: 0.9 x 0.7 + 0.1 x 0.3 = 0.66.
    assert p_up.mean() == pytest.approx(0.66, abs=0.02)
    assert expected.mean() == pytest.approx(0.02 * (2 * 0.66 - 1), abs=0.0008)


@learning
def test_a_row_of_twice_the_weight_counts_like_a_row_and_its_twin(kind: Kind) -> None:
    """Heavy rows follow the feature and light rows oppose it, so that without weights there is nothing to learn."""
    X, heavy = features(), np.arange(3000) % 2 == 0
    noise = np.random.default_rng(4).standard_normal(len(X))
    value = 0.02 * (np.where(heavy, 1, -1) * X[:, PLANTED] + noise)
    twins = np.sort(np.r_[np.arange(len(X)), np.flatnonzero(heavy)])
    panel = Panel(X[twins], np.arange(twins.size) % 45, np.arange(twins.size) // 45)
    doubled = Sample(panel, np.arange(twins.size), value[twins], np.ones(twins.size))
    weighted = Sample(panel_of(X), np.arange(len(X)), value, np.where(heavy, 4 / 3, 2 / 3))
    plain = Sample(panel_of(X), np.arange(len(X)), value, np.ones(len(X)))
    # Every row and feature in every round, and a penalty per unit of weight: what else differs is chance.
    exact = {name: 1.0 if name in {"subsample", "colsample"} else value for name, value in PARAMS[kind].items()}
    like = {**exact, "lambda": 15.0, "alpha": 0.15} if "lambda" in exact else exact
    twin, heavier, neither = (
        fitted(kind, sample, params).predict(weighted.panel, weighted.at)
        for sample, params in ((doubled, like), (weighted, exact), (plain, exact))
    )
    for said, of_weights, of_none in zip(twin, heavier, neither, strict=True):
        assert np.abs(said - of_weights).mean() < 0.2 * np.abs(said - of_none).mean()


@learning
def test_one_class_is_a_training_error(kind: Kind, sample: Sample) -> None:
    rises = with_value(sample, np.abs(sample.value) + 0.001)
    with pytest.raises(TrainingError, match="one class"):
        fitted(kind, rises)
    with pytest.raises(TrainingError, match="one class"):
        kind.tried(kind.prepare(rises, 1), rises, PARAMS[kind], 1, 1)


@every
def test_the_declared_space_and_the_defaults_name_the_same_parameters(kind: Kind) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    searched = set(kind.defaults) - {"rounds"}
    assert {frozenset(kind.space(study.ask())) for _ in range(20)} == {frozenset(searched)}
    conservative = {name: kind.defaults[name] for name in searched}
    assert kind.space(optuna.trial.FixedTrial(conservative)) == conservative
