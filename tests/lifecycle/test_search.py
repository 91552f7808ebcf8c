import numpy as np
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
    assert found.trials["params"].iloc[0] == XGBoost.defaults
    assert found.trials["params"].iloc[1] == warm
    assert found.trials["number"].tolist() == [0, 1, 2]
    assert found.best == found.trials["value"].min()
    assert len(lines) == 3
    assert lines[2].startswith("trial 3/3: log-loss 0.")
    assert "s elapsed" in lines[2]


def test_the_score_is_the_mean_over_folds_of_the_per_date_log_loss(dataset: Dataset, folds: list[Fold]) -> None:
    found, _ = run(dataset, folds, 1)
    by_fold = []
    for fold in folds:
        train, test = dataset.rows(fold.train), dataset.rows(fold.test)
        model = XGBoost().fit(
            dataset.X[train], dataset.up[train], dataset.value[train], XGBoost.defaults, seed=5, threads=1
        )
        losses = log_loss_rows(dataset.up[test], model.predict(dataset.X[test])[0])
        by_fold.append(per_date_mean(losses, dataset.ts[test]).mean())
    assert found.best == pytest.approx(np.mean(by_fold), rel=1e-12)


def test_the_same_inputs_give_the_same_search(dataset: Dataset, folds: list[Fold]) -> None:
    first, second = (run(dataset, folds, 12)[0].trials.drop(columns="seconds") for _ in range(2))
    pd.testing.assert_frame_equal(first, second, check_exact=True)
    assert set(first["state"]) <= {"complete", "pruned"}


def test_an_exhausted_time_budget_still_completes_one_trial(dataset: Dataset, folds: list[Fold]) -> None:
    found, _ = run(dataset, folds, 50, timeout_s=0.0)
    assert found.trials["state"].tolist() == ["complete"]
    assert found.params == XGBoost.defaults


def test_every_trial_stays_inside_the_declared_space(dataset: Dataset, folds: list[Fold]) -> None:
    for params in run(dataset, folds, 6)[0].trials["params"]:
        assert set(params) == set(XGBoost.defaults)
        assert 2 <= params["max_depth"] <= 6
        assert 30 <= params["rounds"] <= 300


def test_nothing_to_search_is_a_clear_error(dataset: Dataset, folds: list[Fold]) -> None:
    with pytest.raises(TrainingError, match="0 folds"):
        run(dataset, [], 1)
    with pytest.raises(RegistryError, match="'oracle'"):
        search(dataset, folds, "oracle", trials=1, timeout_s=1, seed=0, threads=1, progress=print)
