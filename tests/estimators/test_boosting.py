"""Boosted trees, whichever library grows them."""

import json
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from ml.errors import RegistryError
from ml.estimators.boosting import MOST_ROUNDS, PATIENCE, by_round, event_loss, value_loss
from ml.estimators.interface import Params
from ml.estimators.lightgbm_trees import LightGBM
from ml.estimators.panel import Sample, Vector, sample_of
from ml.estimators.xgboost_trees import XGBoost
from tests.estimators.planted import ENTITIES, HOLES, PERIODS, PLANTED, noise, panel_of, part, planted, with_value

Library = type[XGBoost] | type[LightGBM]
both = pytest.mark.parametrize("library", [XGBoost, LightGBM], ids=lambda library: library.name)


@pytest.fixture(scope="module")
def sample() -> Sample:
    return planted()


def fitted(library: Library, sample: Sample, params: Params | None = None, seed: int = 1) -> XGBoost | LightGBM:
    return library().fit(sample, {**library.defaults, **(params or {})}, seed=seed, threads=1)


def test_derivatives_of_unrelated_rows_are_those_of_the_log_loss(sample: Sample) -> None:
    unrelated = sample_of(sample.X, sample.value)
    weighted = Sample(unrelated.panel, unrelated.at, unrelated.value, np.linspace(0.5, 1.5, len(sample)))
    margin = np.linspace(-2, 2, len(sample))
    up = weighted.up

    def loss(log_odds: Vector) -> Vector:
        p = 1 / (1 + np.exp(-log_odds))
        rows: Vector = -weighted.weight * np.where(up, np.log(p), np.log(1 - p))
        return rows

    step = 1e-4
    gradient, curvature = event_loss(weighted).derivatives(margin.astype(np.float32))
    below, here, above = (loss(margin + shift) for shift in (-step, 0, step))
    np.testing.assert_allclose(gradient, (above - below) / (2 * step), atol=1e-5)
    np.testing.assert_allclose(curvature, (above - 2 * here + below) / step**2, atol=1e-5)


def test_losses_start_where_their_gradients_cancel(sample: Sample) -> None:
    weighted = Sample(sample.panel, sample.at, sample.value, np.linspace(0.5, 1.5, len(sample)))
    for loss in (event_loss(weighted), value_loss(weighted, 0.03)):
        gradient, curvature = loss.derivatives(np.full(len(sample), loss.start, dtype=np.float32))
        assert gradient.sum(dtype=np.float64) == pytest.approx(0, abs=1e-3)
        assert curvature.mean(dtype=np.float64) == pytest.approx(loss.curvature, rel=1e-5)


def test_a_round_leaves_out_whole_periods_others_each_time_and_the_same_share(sample: Sample) -> None:
    derivatives = by_round(event_loss(sample), sample, 0.7, seed=1)
    margin = np.zeros(len(sample), dtype=np.float32)
    rounds = [derivatives(margin)[1].reshape(PERIODS, ENTITIES) > 0 for _ in range(30)]
    for used in rounds:
        assert (used.all(axis=1) == used.any(axis=1)).all()
        assert used.any(axis=1).sum() == 70
    assert len({used.tobytes() for used in rounds}) == 30
    assert np.mean([used[:, 0] for used in rounds], axis=0).min() > 0.3
    again = by_round(event_loss(sample), sample, 0.7, seed=1)
    assert all(((again(margin)[1] > 0).reshape(PERIODS, ENTITIES) == used).all() for used in rounds)


def test_a_single_period_is_never_left_out() -> None:
    sample = sample_of(np.zeros((4, 1), np.float32), np.array([1.0, -1.0, 1.0, -1.0]))
    derivatives = by_round(event_loss(sample), sample, 0.3, seed=1)
    assert all((derivatives(np.zeros(4, np.float32))[1] > 0).all() for _ in range(20))


@both
def test_what_a_round_leaves_out_has_no_say_in_it(library: Library, sample: Sample) -> None:
    _, curvature = by_round(event_loss(sample), sample, 0.5, seed=1)(np.zeros(len(sample), np.float32))
    # Within periods: how much their rows have in common is measured on all.
    shuffled = np.random.default_rng(5).permuted(sample.value.reshape(PERIODS, ENTITIES), axis=1).ravel()
    shuffled[curvature > 0] = sample.value[curvature > 0]
    assert (shuffled != sample.value).mean() > 0.4
    for rounds, same in ((1, True), (2, False)):
        params = {"subsample": 0.5, "rounds": rounds}
        first = fitted(library, sample, params).predict(sample.panel, sample.at)[0]
        second = fitted(library, with_value(sample, shuffled), params).predict(sample.panel, sample.at)[0]
        assert np.allclose(first, second, rtol=0, atol=1e-7) is same


@both
def test_probability_and_value_follow_the_planted_signal(library: Library, sample: Sample) -> None:
    p_up, expected = fitted(library, sample).predict(sample.panel, sample.at)
    strong, weak = sample.X[:, PLANTED] > 1, sample.X[:, PLANTED] < -1
    assert p_up[strong].mean() > 0.75
    assert p_up[weak].mean() < 0.25
    # E[value | a] = 0.02 a: the tails' mean is about +-0.03, shrunk by the conservative parameters.
    assert 0.015 < expected[strong].mean() < 0.035
    assert -0.035 < expected[weak].mean() < -0.015


@both
def test_probabilities_are_calibrated_in_the_mean_and_in_the_tails(library: Library) -> None:
    """Rows that a round left out must hear what its tree says, or the trees together say too much."""
    train, unseen = planted(), planted(seed=20)
    p_up, expected = fitted(library, train, {"rounds": 200, "eta": 0.1}).predict(unseen.panel, unseen.at)
    assert p_up.mean() == pytest.approx(unseen.up.mean(), abs=0.03)
    assert expected.mean() == pytest.approx(unseen.value.mean(), abs=0.002)
    slope = np.polyfit(expected, unseen.value, 1)[0]
    assert slope == pytest.approx(1, abs=0.1)


@both
def test_moves_that_a_period_shares_are_not_learned_by_heart(library: Library) -> None:
    """A feature that tells periods apart, while a coin decides which way all rows of a period go."""
    rng, own = np.random.default_rng(3), planted()
    X = own.panel.X.copy()
    X[:, HOLES] = np.repeat(rng.standard_normal(PERIODS), ENTITIES)
    value = own.value + np.repeat(0.03 * rng.standard_normal(PERIODS), ENTITIES)
    p_up, expected = fitted(library, Sample(panel_of(X), own.at, value, own.weight)).predict(panel_of(X), own.at)
    for said in (p_up, expected):
        of_period = said.reshape(PERIODS, ENTITIES).mean(axis=1)
        assert of_period.std() < 0.2 * said.std()
        assert np.corrcoef(said, X[:, PLANTED])[0, 1] > 0.9


@both
def test_another_seed_gives_another_model(library: Library, sample: Sample) -> None:
    first, other = (fitted(library, sample, seed=seed).predict(sample.panel, sample.at)[0] for seed in (1, 2))
    assert not np.array_equal(first, other)


@both
def test_a_trial_stops_when_the_test_rows_gain_no_more(library: Library, sample: Sample) -> None:
    train, test = part(sample, 0, 2400), part(sample, 2400, 3000)
    params = {**library.defaults, "eta": 0.1}
    stop = library.tried(library.prepare(train, 1), test, params, 1, 1).params["rounds"]
    assert 20 < stop < MOST_ROUNDS

    def loss(rounds: float) -> float:
        p_up = fitted(library, train, {**params, "rounds": rounds}).predict(test.panel, test.at)[0]
        return float(-np.log(np.where(test.up, p_up, 1 - p_up)).mean())

    assert loss(stop) < min(loss(stop // 2), loss(stop - 1), loss(stop + 1), loss(stop + PATIENCE))


@both
def test_a_trial_on_noise_stops_at_once(library: Library) -> None:
    sample = noise()
    train, test = part(sample, 0, 2400), part(sample, 2400, 3000)
    assert library.tried(library.prepare(train, 1), test, library.defaults, 1, 1).params["rounds"] < 20


@both
def test_a_leaf_holds_its_share_of_the_rows(library: Library, sample: Sample) -> None:
    model = fitted(library, sample, {"min_child_share": 0.2, "subsample": 1.0, "rounds": 1})
    answers, rows = np.unique(model.predict(sample.panel, sample.at)[1], return_counts=True)
    assert answers.size >= 2
    # A logistic row weighs a little less in a leaf than at the base rate; the value's rows weigh one each.
    assert rows.min() >= 0.19 * len(sample)


@both
def test_one_absurd_value_does_not_move_everybodys_expectation(library: Library, sample: Sample) -> None:
    wild = sample.value.copy()
    wild[np.argmax(sample.value)] = 1.0
    calm, shaken = (
        fitted(library, each).predict(sample.panel, sample.at)[1] for each in (sample, with_value(sample, wild))
    )
    assert np.abs(shaken - calm).mean() < 0.25 * np.abs(calm).mean()


@both
@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.99])
def test_a_damaged_booster_is_a_registry_error(library: Library, kept: float, sample: Sample, tmp_path: Path) -> None:
    fitted(library, sample, {"rounds": 5}).save(tmp_path)
    (file,) = tmp_path.glob("event.*")
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(RegistryError, match=r"event\.(ubj|txt)"):
        library.load(tmp_path)


@pytest.mark.parametrize(("library", "file", "content"), [(XGBoost, "event.ubj", b"{}"), (LightGBM, "event.txt", b"")])
def test_content_that_the_library_does_not_know_is_a_registry_error(
    library: Library, file: str, content: bytes, sample: Sample, tmp_path: Path
) -> None:
    fitted(library, sample, {"rounds": 5}).save(tmp_path)
    (tmp_path / file).write_bytes(content)
    document = json.loads((tmp_path / "estimator.json").read_text())
    document[file] = sha256(content).hexdigest()
    (tmp_path / "estimator.json").write_text(json.dumps(document))
    with pytest.raises(RegistryError, match="cannot read"):
        library.load(tmp_path)
