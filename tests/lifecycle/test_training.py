from dataclasses import replace

import numpy as np
import pytest

from ml.errors import TrainingError
from ml.frames import OUT_OF_FOLD
from ml.lifecycle.dataset import Dataset
from ml.lifecycle.recipe import Recipe
from ml.lifecycle.splits import Fold
from ml.lifecycle.training import fit, out_of_fold

DATES = np.datetime64("2024-01-01T21:00", "us") + np.arange(6) * np.timedelta64(1, "D")
RECIPE = Recipe("climatology", {}, ("a", "vol"), "set-1", 1)
FOLDS = [Fold(DATES[:2], DATES[3:4]), Fold(DATES[:3], DATES[4:6])]


def dataset() -> Dataset:
    """Two entities on six dates; rises on the first two dates only for A, later for both."""
    ts = np.repeat(DATES, 2)
    entity = np.array(["A", "B"] * 6, dtype=object)
    value = np.array([1.0, -1, 1, -1, 2, 2, 3, 3, 4, 4, 5, 5])
    vol = np.array([1, 2, 3, 4, 5, 6, np.nan, 8, 0, 10, 11, 12])
    X = np.column_stack([np.zeros(12), vol]).astype("float32")
    return Dataset(entity, ts, ts + np.timedelta64(1, "D"), X, value, ("a", "vol"))


def test_out_of_fold_rows_are_the_test_rows_in_order_with_what_came() -> None:
    oof = OUT_OF_FOLD.check(out_of_fold(RECIPE, dataset(), FOLDS, threads=1))
    assert oof["entity"].tolist() == ["A", "B"] * 3
    assert oof["ts"].dt.tz_localize(None).to_numpy("datetime64[us]").tolist() == np.repeat(DATES[3:], 2).tolist()
    assert oof["value"].tolist() == [3, 3, 4, 4, 5, 5]
    assert (oof["scale"] == 1.0).all()


def test_model_and_baseline_have_seen_the_folds_train_rows_only() -> None:
    oof = out_of_fold(RECIPE, dataset(), FOLDS, threads=1)
    # Fold one trains on 2 rises of 4 rows, fold two on 4 of 6; one of each is imagined besides.
    assert oof["baseline_p_up"].tolist() == pytest.approx([3 / 6] * 2 + [5 / 8] * 4)
    assert oof["p_up"].tolist() == oof["baseline_p_up"].tolist()
    assert oof["expected"].tolist() == pytest.approx([0.0] * 2 + [4 / 6] * 4)


def test_the_scale_is_the_named_feature_with_the_train_median_where_it_is_unusable() -> None:
    oof = out_of_fold(replace(RECIPE, scale_feature="vol"), dataset(), FOLDS, threads=1)
    assert oof["scale"].tolist() == [2.5, 8.0, 3.5, 10.0, 11.0, 12.0]


def test_the_serving_fit_has_seen_every_row() -> None:
    oof = out_of_fold(RECIPE, dataset(), FOLDS, threads=1)
    model = fit(RECIPE, dataset(), oof, threads=1)
    assert (model.trained_from, model.trained_until, model.n_rows) == (DATES[0], DATES[-1], 12)
    p_up, expected = model.estimator.predict(np.zeros((1, 2), "float32"))
    assert (p_up[0], expected[0]) == (pytest.approx(11 / 14), pytest.approx(28 / 12))


def test_a_dataset_with_other_features_is_refused() -> None:
    with pytest.raises(TrainingError, match="vol"):
        out_of_fold(replace(RECIPE, feature_names=("a",)), dataset(), FOLDS, threads=1)
    with pytest.raises(TrainingError, match="their order"):
        fit(replace(RECIPE, feature_names=("vol", "a")), dataset(), OUT_OF_FOLD.empty(), threads=1)


def test_one_class_cannot_be_boosted() -> None:
    rising = replace(dataset(), value=np.ones(12))
    with pytest.raises(TrainingError, match="one class only"):
        out_of_fold(replace(RECIPE, estimator="xgboost", params={"min_child_share": 0.1}), rising, FOLDS, threads=1)
