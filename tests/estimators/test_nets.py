"""The nets by TensorFlow itself, on a panel whose events follow one row's feature and a pattern in its past."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import optuna
import pytest

from ml.errors import RegistryError, StoreError, TrainingError
from ml.estimators.interface import Params
from ml.estimators.nets import CNN, LOOK, LSTM, SequenceNet, Transformer, _batches
from ml.estimators.panel import Codes, Matrix, Panel, Sample, Vector
from ml.estimators.xgboost_trees import XGBoost

REPOSITORY = Path(__file__).resolve().parents[2]
NETS: tuple[type[SequenceNet], ...] = (LSTM, Transformer, CNN)
ENTITIES, PERIODS, WINDOW = 60, 240, 8
ROW, PAST, MISSING, CONSTANT, EMPTY = range(5)
"""The features: one that matters in the row itself, one that matters only in the rows before it, noise that is
often missing, a constant, and one without any value."""
SMALL: Params = {
    "steps": 156,
    "window": WINDOW,
    "width": 16,
    "depth": 1,
    "dropout": 0.1,
    "rate": 0.01,
    "decay": 0.01,
    "batch": 256,
}

every_net = pytest.mark.parametrize("net", NETS, ids=lambda net: net.name)


@dataclass(frozen=True)
class World:
    """train and test: samples of one panel, test later. past: (N,) the alternating sum of four rows before each."""

    panel: Panel
    train: Sample
    test: Sample
    past: Vector


@cache
def world() -> World:
    """Rows in the order of time, each twentieth missing."""
    rng = np.random.default_rng(1)
    X = rng.standard_normal((PERIODS, ENTITIES, 5)).astype("float32")
    X[..., CONSTANT], X[..., EMPTY] = 7, np.nan
    X[rng.random((PERIODS, ENTITIES)) < 0.4, MISSING] = np.nan
    past = sum((-1) ** lag * np.roll(X[..., PAST], lag, axis=0).astype("float64") for lag in range(1, 5)) / 2
    value = 0.02 * (X[..., ROW] + np.sign(past) + rng.standard_normal((PERIODS, ENTITIES)))
    there = rng.random((PERIODS, ENTITIES)) > 0.05
    period, entity = np.nonzero(there)
    panel = Panel(X[there], entity, period)
    train, test = np.flatnonzero((period > 5) & (period < 180)), np.flatnonzero(period > 190)
    known = value[there]
    samples = [Sample(panel, at, known[at], np.ones(at.size)) for at in (train, test)]
    return World(panel, samples[0], samples[1], past[there])


@cache
def fitted(net: type[SequenceNet]) -> SequenceNet:
    return net().fit(world().train, SMALL, seed=1, threads=2)


def correlation(one: Vector, other: Vector) -> float:
    return float(np.corrcoef(one, other)[0, 1])


def with_values(panel: Panel, X: Matrix) -> Panel:
    return Panel(X, panel.entity, panel.period)


def log_odds(p_up: Vector) -> Vector:
    return np.log(p_up / (1 - p_up))


@every_net
def test_what_is_planted_in_the_row_and_in_its_past_is_found(net: type[SequenceNet]) -> None:
    here = world()
    p_up, expected = fitted(net).predict(here.panel, here.test.at)
    assert p_up.shape == expected.shape == (len(here.test),)
    assert p_up.dtype == expected.dtype == np.float64
    assert correlation(p_up, here.test.X[:, ROW].astype("float64")) > 0.5
    assert correlation(p_up, here.past[here.test.at]) > 0.4
    # E[value] = 0.02 (row + sign of past): its deviation is 0.028, of which conservative fits find a part.
    assert 0.015 < expected.std() < 0.035
    assert correlation(expected, here.test.value) > 0.6


def test_what_is_planted_in_the_past_is_invisible_to_who_sees_the_row_alone() -> None:
    here = world()
    trees = XGBoost().fit(here.train, XGBoost.defaults, seed=1, threads=2)
    p_up, _ = trees.predict(here.panel, here.test.at)
    assert correlation(p_up, here.test.X[:, ROW].astype("float64")) > 0.8
    assert abs(correlation(p_up, here.past[here.test.at])) < 0.05


@every_net
def test_before_the_first_step_everybody_is_told_the_base_rate(net: type[SequenceNet]) -> None:
    here = world()
    weight = np.where(here.train.up, 1.5, 0.5)
    params = {**SMALL, "steps": 0}
    model = net().fit(replace(here.train, weight=weight / weight.mean()), params, seed=1, threads=2)
    p_up, _ = model.predict(here.panel, here.test.at)
    assert p_up == pytest.approx(weight[here.train.up].sum() / weight.sum(), abs=1e-6)


@every_net
def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not(net: type[SequenceNet]) -> None:
    here = world()
    model = fitted(net)
    again, other = (net().fit(here.train, SMALL, seed=seed, threads=2) for seed in (1, 2))
    first, second, third = (m.predict(here.panel, here.test.at) for m in (model, again, other))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, third)


@every_net
def test_what_else_is_asked_does_not_change_an_answer(net: type[SequenceNet]) -> None:
    here = world()
    model = fitted(net)
    everybody = model.predict(here.panel, here.test.at)
    moved = model.contributions(here.panel, here.test.at)
    assert len(here.test) > 2048, "the rows should need several batches"
    for some in (slice(0, 1), slice(1017, 1018), slice(1500, 2041), slice(None, None, 7)):
        np.testing.assert_array_equal(model.predict(here.panel, here.test.at[some]), [said[some] for said in everybody])
        np.testing.assert_array_equal(model.contributions(here.panel, here.test.at[some]), moved[some])


@every_net
def test_only_the_entitys_own_rows_of_the_window_change_an_answer(net: type[SequenceNet]) -> None:
    here = world()
    model, panel = fitted(net), here.panel
    at = here.test.at[200:201]
    seen = panel.windows(at, WINDOW).ravel()
    assert (seen < 0).any(), "the window should have a gap"
    elsewhere = np.setdiff1d(np.arange(len(panel)), seen)
    X = panel.X.copy()
    X[elsewhere] = 99
    np.testing.assert_array_equal(model.predict(with_values(panel, X), at), model.predict(panel, at))
    for row in seen[seen >= 0]:
        X = panel.X.copy()
        X[row, PAST] += 1
        assert not np.array_equal(model.predict(with_values(panel, X), at), model.predict(panel, at))


@every_net
def test_rows_before_the_lookback_and_after_the_asked_ones_are_not_needed(net: type[SequenceNet]) -> None:
    here = world()
    model, panel = fitted(net), here.panel
    assert model.lookback == WINDOW - 1
    at = np.flatnonzero(panel.period == 200)
    kept = (panel.period >= 200 - model.lookback) & (panel.period <= 200)
    tail = Panel(panel.X[kept], panel.entity[kept], panel.period[kept] - (200 - model.lookback))
    there = np.flatnonzero(tail.period == model.lookback)
    np.testing.assert_array_equal(model.predict(tail, there), model.predict(panel, at))


@every_net
def test_a_window_without_any_value_is_answered(net: type[SequenceNet]) -> None:
    nothing = Panel(np.full((1, 5), np.nan, "float32"), np.zeros(1, np.int64), np.zeros(1, np.int64))
    p_up, expected = fitted(net).predict(nothing, np.zeros(1, np.int64))
    assert 0 < p_up[0] < 1
    assert np.isfinite(expected).all()


@every_net
def test_nothing_asked_is_nothing_answered(net: type[SequenceNet]) -> None:
    p_up, expected = fitted(net).predict(world().panel, np.empty(0, np.int64))
    assert p_up.shape == expected.shape == (0,)


@every_net
def test_contributions_add_up_to_what_moves_a_row_from_one_of_medians(net: type[SequenceNet]) -> None:
    here = world()
    model, panel, at = fitted(net), here.panel, here.test.at[:500]
    medians = np.nanmedian(here.train.X[:, :EMPTY].astype("float64"), axis=0).astype("float32")
    usual = np.where(np.isnan(panel.X), np.nan, np.append(medians, np.nan)).astype("float32")
    moved = model.contributions(panel, at)
    assert moved.shape == (500, 5)
    assert moved.dtype == np.float32
    between = log_odds(model.predict(panel, at)[0]) - log_odds(model.predict(with_values(panel, usual), at)[0])
    assert between.std() > 0.5, "there should be something to explain"
    assert np.abs(moved.sum(axis=1) - between).mean() < 0.08 * np.abs(between).mean()
    assert (moved[:, [CONSTANT, EMPTY]] == 0).all()
    strength = np.abs(moved).mean(axis=0)
    assert min(strength[ROW], strength[PAST]) > 3 * strength[MISSING]


def test_rows_count_by_their_weight() -> None:
    here = world()
    doubted = here.train.at % 2 == 0
    value = np.where(doubted, -here.train.value, here.train.value)
    weight = np.where(doubted, 0.02, 1.98)
    model = CNN().fit(Sample(here.panel, here.train.at, value, weight / weight.mean()), SMALL, seed=1, threads=2)
    p_up, expected = model.predict(here.panel, here.test.at)
    for said in (p_up, expected):
        assert correlation(said, here.test.value) > 0.4


def test_a_trial_gives_the_answers_of_its_best_look() -> None:
    here = world()
    data = CNN.prepare(here.train, threads=2)
    p_up, params = CNN.tried(data, here.test, {**SMALL, "rate": 0.03}, seed=1, threads=2)
    assert params == {**SMALL, "rate": 0.03, "steps": params["steps"]}
    model = CNN().fit_prepared(data, params, seed=1, threads=2)
    np.testing.assert_array_equal(model.predict(here.panel, here.test.at)[0], p_up)


def test_every_row_comes_once_before_any_comes_again() -> None:
    batches = _batches(10, 4, np.random.default_rng(3))
    first = np.concatenate([next(batches) for _ in range(5)])
    assert sorted(first[:10]) == sorted(first[10:]) == list(range(10))
    assert first[:10].tolist() != first[10:].tolist()
    assert np.unique(next(_batches(3, 7, np.random.default_rng(3))), return_counts=True)[1].min() == 2


def test_a_trial_on_noise_stops_early(monkeypatch: pytest.MonkeyPatch) -> None:
    here = world()
    noise = np.random.default_rng(5).standard_normal(len(here.panel))
    train, test = (replace(s, value=noise[s.at]) for s in (here.train, here.test))
    monkeypatch.setattr("ml.estimators.nets.MOST_LOOKS", 200)  # would take a minute
    _, params = CNN.tried(CNN.prepare(train, threads=2), test, SMALL, seed=1, threads=2)
    assert 1 <= params["steps"] // (LOOK // int(SMALL["batch"])) < 10


@every_net
def test_one_class_is_a_training_error(net: type[SequenceNet]) -> None:
    here = world()
    with pytest.raises(TrainingError, match="one class"):
        net().fit(replace(here.train, value=np.abs(here.train.value)), SMALL, seed=1, threads=2)


def test_a_training_that_diverges_is_a_training_error() -> None:
    with pytest.raises(TrainingError, match="diverged"):
        CNN().fit(world().train, {**SMALL, "rate": 1e30}, seed=1, threads=2)


@every_net
def test_the_declared_space_and_the_defaults_name_the_same_parameters(net: type[SequenceNet]) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    drawn = [net.space(study.ask()) for _ in range(20)]
    searched = {name: value for name, value in net.defaults.items() if name != "steps"}
    assert {frozenset(params) for params in drawn} == {frozenset(searched)}
    assert net.space(optuna.trial.FixedTrial(searched)) == searched


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fitted nets, each in a directory of its name."""
    root = tmp_path_factory.mktemp("saved")
    for net in NETS:
        (root / net.name).mkdir()
        fitted(net).save(root / net.name)
    return root


@pytest.fixture
def lstm(saved: Path, tmp_path: Path) -> Path:
    """A copy of the saved LSTM to damage."""
    return Path(shutil.copytree(saved / "lstm", tmp_path / "lstm"))


IN_ANOTHER_PROCESS = """
import sys
from pathlib import Path
import numpy as np
import ml.estimators.registry as registry
assert not {"tensorflow", "keras"} & set(sys.modules), "the registry imports TensorFlow"
from tests.estimators import test_nets as story
here = story.world()
root = Path(sys.argv[1])
for net in story.NETS:
    model = registry.estimator_class(net.name).load(root / net.name)
    np.save(root / f"{net.name}.npy", model.predict(here.panel, here.test.at))
    np.save(root / f"{net.name}-moved.npy", model.contributions(here.panel, here.test.at))
np.save(root / "fitted.npy", story.fitted(story.CNN).predict(here.panel, here.test.at))
"""


def test_another_process_reads_and_fits_the_same_bits(saved: Path) -> None:
    subprocess.run([sys.executable, "-c", IN_ANOTHER_PROCESS, str(saved)], cwd=REPOSITORY, check=True)
    here = world()
    for net in NETS:
        model = fitted(net)
        np.testing.assert_array_equal(np.load(saved / f"{net.name}.npy"), model.predict(here.panel, here.test.at))
        moved = model.contributions(here.panel, here.test.at)
        np.testing.assert_array_equal(np.load(saved / f"{net.name}-moved.npy"), moved)
    np.testing.assert_array_equal(np.load(saved / "fitted.npy"), fitted(CNN).predict(here.panel, here.test.at))


def test_what_was_read_can_be_saved_and_explained_again(saved: Path, tmp_path: Path) -> None:
    here = world()
    model = LSTM.load(saved / "lstm")
    assert model.lookback == WINDOW - 1
    model.save(tmp_path)
    asked: Codes = here.test.at[:10]
    np.testing.assert_array_equal(LSTM.load(tmp_path).predict(here.panel, asked), model.predict(here.panel, asked))


@every_net
def test_no_pickle_is_written(net: type[SequenceNet], saved: Path) -> None:
    assert sorted(file.name for file in (saved / net.name).iterdir()) == ["estimator.json", "net.keras"]
    with zipfile.ZipFile(saved / net.name / "net.keras") as archive:
        assert set(archive.namelist()) == {"metadata.json", "config.json", "model.weights.h5"}
        assert "Lambda" not in archive.read("config.json").decode()


def _truncated(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _one_bit_changed(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("damage", [_truncated, _one_bit_changed])
def test_damaged_bytes_are_a_registry_error(damage: Callable[[bytes], bytes], lstm: Path) -> None:
    content = (lstm / "net.keras").read_bytes()
    (lstm / "net.keras").write_bytes(damage(content))
    with pytest.raises(RegistryError, match=r"net\.keras with sha256"):
        LSTM.load(lstm)


def _without(member: str, source: Path, target: Path) -> None:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            if name != member:
                new.writestr(name, old.read(name))


@pytest.mark.parametrize("member", ["model.weights.h5", "config.json"])
def test_a_file_that_keras_cannot_read_is_a_registry_error(member: str, saved: Path, lstm: Path) -> None:
    _without(member, saved / "lstm" / "net.keras", lstm / "net.keras")
    _edit(lstm, sha256=hashlib.sha256((lstm / "net.keras").read_bytes()).hexdigest())
    with pytest.raises(RegistryError, match="cannot read"):
        LSTM.load(lstm)


def _edit(directory: Path, **fields: object) -> None:
    document = json.loads((directory / "estimator.json").read_text())
    (directory / "estimator.json").write_text(json.dumps({**document, **fields}))


def test_scales_of_other_features_are_a_registry_error(lstm: Path) -> None:
    _edit(lstm, median=[0.0])
    with pytest.raises(RegistryError, match="each of the net's 5 features"):
        LSTM.load(lstm)


def test_another_nets_files_are_refused(saved: Path) -> None:
    with pytest.raises(RegistryError, match="kind 'lstm'"):
        CNN.load(saved / "lstm")


@pytest.mark.parametrize("file", ["estimator.json", "net.keras"])
def test_a_missing_file_is_a_store_error(file: str, lstm: Path) -> None:
    (lstm / file).unlink()
    with pytest.raises(StoreError, match=file):
        LSTM.load(lstm)


def test_a_directory_that_is_not_there_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be written"):
        fitted(LSTM).save(tmp_path / "nowhere")
