from dataclasses import replace
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest

from ml.errors import RegistryError, TrainingError
from ml.estimators.xgboost_trees import XGBoost
from ml.lifecycle.dataset import Dataset
from ml.lifecycle.metrics import log_loss_rows, per_date_mean
from ml.lifecycle.search import SearchResult, search
from ml.lifecycle.splits import Fold, walk_forward


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    rng = np.random.default_rng(0)
    dates = np.datetime64("2024-01-01T21:00", "us") + np.arange(60) * np.timedelta64(1, "D")
    ts = np.repeat(dates, 10)
    X = rng.standard_normal((600, 3)).astype("float32")
    value = X[:, 0] + rng.standard_normal(600)
    entity = np.tile(np.array(list("ABCDEFGHIJ"), dtype=object), 60)
    return Dataset(entity, ts, ts + np.timedelta64(1, "D"), X, value, ("a", "b", "c"))


@pytest.fixture(scope="module")
def folds(dataset: Dataset) -> list[Fold]:
    return walk_forward(dataset.dates, dataset.date_maturities, n_folds=2, test_dates_per_fold=10, embargo=1)


def run(dataset: Dataset, folds: list[Fold], trials: int, **changes: object) -> tuple[SearchResult, list[str]]:
    lines: list[str] = []
    options: dict[str, object] = {"timeout_s": 60.0, "seed": 5, "threads": 1, "progress": lines.append, **changes}
    return search(dataset, folds, "xgboost", trials=trials, **options), lines  # type: ignore[arg-type]


def test_the_conservative_parameters_go_first_and_the_warm_start_second(dataset: Dataset, folds: list[Fold]) -> None:
    warm = {**XGBoost.defaults, "max_depth": 2, "rounds": 40}
    found, lines = run(dataset, folds, 3, warm_start=warm)
    first, second = ({**params, "rounds": 0} for params in found.trials["params"][:2])
    assert first == {**XGBoost.defaults, "rounds": 0}
    assert second == {**warm, "rounds": 0}
    assert found.trials["number"].tolist() == [0, 1, 2]
    assert found.best == found.trials["value"].min()
    assert len(lines) == 3
    assert lines[2].startswith("xgboost: trial 3/3: log-loss 0.")
    assert "s elapsed" in lines[2]


def test_the_score_is_the_mean_over_folds_of_the_per_date_log_loss(dataset: Dataset, folds: list[Fold]) -> None:
    found, _ = run(dataset, folds, 1)
    by_fold, rounds = [], []
    for fold in folds:
        test = dataset.sample(fold.test)
        data = XGBoost.prepare(dataset.sample(fold.train), 1)
        p_up, used = XGBoost.tried(data, test, XGBoost.defaults, seed=5, threads=1)
        by_fold.append(per_date_mean(log_loss_rows(test.up, p_up), dataset.ts[test.at]).mean())
        rounds.append(used["rounds"])
    assert found.best == pytest.approx(np.mean(by_fold), rel=1e-12)
    assert found.params == {**XGBoost.defaults, "rounds": int(np.median(rounds))}


def test_the_same_inputs_give_the_same_search(dataset: Dataset, folds: list[Fold]) -> None:
    first, second = (run(dataset, folds, 12)[0].trials.drop(columns="seconds") for _ in range(2))
    pd.testing.assert_frame_equal(first, second, check_exact=True)
    assert set(first["state"]) <= {"complete", "pruned"}


def test_an_exhausted_time_budget_still_completes_one_trial(dataset: Dataset, folds: list[Fold]) -> None:
    found, _ = run(dataset, folds, 50, timeout_s=0.0)
    assert found.trials["state"].tolist() == ["complete"]
    assert {**found.params, "rounds": 100} == XGBoost.defaults


def test_which_parameters_mattered_is_told_when_enough_trials_are_complete(
    dataset: Dataset, folds: list[Fold], monkeypatch: pytest.MonkeyPatch
) -> None:
    found, _ = run(dataset, folds, 6)
    assert found.importance == {}
    complete = int((found.trials["state"] == "complete").sum())
    monkeypatch.setattr("ml.lifecycle.search.FEWEST_COMPLETE", complete)
    again, _ = run(dataset, folds, 6)
    assert set(again.importance) <= set(XGBoost.defaults)
    assert len(again.importance) > 1
    assert sum(again.importance.values()) == pytest.approx(1)
    assert list(again.importance.values()) == sorted(again.importance.values(), reverse=True)
    monkeypatch.setattr("ml.lifecycle.search.FEWEST_COMPLETE", complete + 1)
    assert run(dataset, folds, 6)[0].importance == {}


def test_every_trial_stays_inside_the_declared_space(dataset: Dataset, folds: list[Fold]) -> None:
    for params in run(dataset, folds, 6)[0].trials["params"]:
        assert set(params) == set(XGBoost.defaults)
        assert 2 <= params["max_depth"] <= 6
        assert 1 <= params["rounds"] <= 400


def test_a_search_that_was_cut_off_ends_as_it_would_have(dataset: Dataset, folds: list[Fold]) -> None:
    storage = optuna.storages.InMemoryStorage()
    whole, _ = run(dataset, folds, 9)
    run(dataset, folds, 4, storage=storage, study_name="cut")
    cut = optuna.load_study(study_name="cut", storage=storage).ask()  # a trial that a killed process left running
    resumed, lines = run(dataset, folds, 9, storage=storage, study_name="cut")
    assert len(lines) == 5
    columns = ["value", "params", "state"]
    pd.testing.assert_frame_equal(resumed.trials[columns], whole.trials[columns], check_exact=True)
    assert cut.number not in resumed.trials["number"].tolist()
    assert run(dataset, folds, 9, storage=storage, study_name="cut")[1] == []


def test_workers_that_share_a_study_try_different_parameters(dataset: Dataset, folds: list[Fold]) -> None:
    storage = optuna.storages.InMemoryStorage()
    run(dataset, folds, 2, storage=storage, study_name="shared")
    shared, _ = run(dataset, folds, 4, storage=storage, study_name="shared", worker=1)
    alone, _ = run(dataset, folds, 4)
    assert shared.trials["params"][2:].tolist() != alone.trials["params"][2:].tolist()


def test_a_trial_that_fails_is_recorded_and_the_next_one_tried(
    dataset: Dataset, folds: list[Fold], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = iter([MemoryError("no room"), None, None, None, None])
    tried = XGBoost.tried.__func__  # type: ignore[attr-defined]

    def sometimes(cls: type[XGBoost], *arguments: Any) -> Any:
        if (error := next(calls)) is not None:
            raise error
        return tried(cls, *arguments)

    monkeypatch.setattr(XGBoost, "tried", classmethod(sometimes))
    found, lines = run(dataset, folds, 3)
    assert found.trials["state"].tolist() == ["fail", "complete", "complete"]
    assert found.trials["error"].iloc[0] == "MemoryError: no room"
    assert "trial 1/3: failed, MemoryError: no room, none complete yet" in lines[0]


def test_when_every_trial_fails_the_first_reason_is_told(folds: list[Fold], dataset: Dataset) -> None:
    rising = replace(dataset, value=np.abs(dataset.value))
    with pytest.raises(TrainingError, match=r"2 trials of xgboost, none of which.*one class"):
        run(rising, folds, 2)


def test_nothing_to_search_is_a_clear_error(dataset: Dataset, folds: list[Fold]) -> None:
    with pytest.raises(TrainingError, match="0 folds"):
        run(dataset, [], 1)
    with pytest.raises(RegistryError, match="'oracle'"):
        search(dataset, folds, "oracle", trials=1, timeout_s=1, seed=0, threads=1, progress=print)


def test_dear_trials_that_do_worse_than_the_first_are_given_up_at_a_fold(
    dataset: Dataset, folds: list[Fold], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert set(run(dataset, folds, 5)[0].trials["state"]) == {"complete"}
    monkeypatch.setattr(XGBoost, "unpruned", 1)
    found = run(dataset, folds, 5)[0].trials
    assert found["state"].tolist()[0] == "complete"
    assert "pruned" in set(found["state"])
