"""Fitting a recipe: on outer folds for evidence, on everything for the model that may serve."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.errors import TrainingError
from ml.estimators.baselines import Climatology
from ml.estimators.interface import Matrix, Vector
from ml.estimators.registry import estimator_class
from ml.frames import OUT_OF_FOLD
from ml.lifecycle.dataset import Dataset
from ml.lifecycle.intervals import calibrate, dispersion, typical
from ml.lifecycle.model import Model
from ml.lifecycle.recipe import Recipe
from ml.lifecycle.splits import Fold

REVISION = 1
"""Raised by whoever changes what a search, a split or a fit gives: older answers to a training are then not found."""


def out_of_fold(recipe: Recipe, dataset: Dataset, folds: list[Fold], threads: int) -> pd.DataFrame:
    """What the recipe says about each fold's test rows after fitting on its train rows (OUT_OF_FOLD).

    baseline_p_up is the climatology of the same train rows; scale the dispersion known on each test row.
    """
    _check_features(recipe, dataset)
    parts = [_one_fold(recipe, dataset, fold, threads) for fold in folds]
    return OUT_OF_FOLD.check(OUT_OF_FOLD.cast(pd.concat(parts, ignore_index=True)))


def fit(recipe: Recipe, dataset: Dataset, oof: pd.DataFrame, threads: int) -> Model:
    """The recipe fitted on every row, its intervals calibrated on out-of-fold residuals `oof`."""
    _check_features(recipe, dataset)
    estimator = estimator_class(recipe.estimator)()
    return Model(
        recipe=recipe,
        estimator=estimator.fit(dataset.X, dataset.up, dataset.value, recipe.params, seed=recipe.seed, threads=threads),
        interval=calibrate(oof),
        typical_scale=typical(_scale_column(recipe, dataset.X)),
        trained_from=dataset.dates[0],
        trained_until=dataset.dates[-1],
        n_rows=len(dataset),
    )


def _one_fold(recipe: Recipe, dataset: Dataset, fold: Fold, threads: int) -> pd.DataFrame:
    train, test = dataset.rows(fold.train), dataset.rows(fold.test)
    X, up, value = dataset.X[train], dataset.up[train], dataset.value[train]
    estimator = estimator_class(recipe.estimator)().fit(X, up, value, recipe.params, seed=recipe.seed, threads=threads)
    p_up, expected = estimator.predict(dataset.X[test])
    baseline = Climatology().fit(X, up, value, {}, seed=recipe.seed, threads=threads)
    return pd.DataFrame(
        {
            "entity": dataset.entity[test],
            "ts": pd.DatetimeIndex(dataset.ts[test]).tz_localize("UTC"),
            "value": dataset.value[test],
            "p_up": p_up,
            "expected": expected,
            "scale": dispersion(_scale_column(recipe, dataset.X[test]), typical(_scale_column(recipe, X))),
            "baseline_p_up": baseline.predict(dataset.X[test])[0],
        }
    )


def _scale_column(recipe: Recipe, X: Matrix) -> Vector:
    if recipe.scale_feature is None:
        return np.ones(len(X))
    column: npt.NDArray[np.float32] = X[:, recipe.feature_names.index(recipe.scale_feature)]
    return column.astype(np.float64)


def _check_features(recipe: Recipe, dataset: Dataset) -> None:
    if recipe.feature_names != dataset.feature_names:
        differing = sorted(set(recipe.feature_names) ^ set(dataset.feature_names))
        raise TrainingError(
            f"a dataset whose features differ from the recipe's in {differing or 'their order'}",
            f"the recipe's {len(recipe.feature_names)} features in their order",
            "Build the dataset with the recipe's feature_names",
        )
