from dataclasses import replace

import numpy as np
import pytest

from ml.errors import TrainingError
from ml.estimators.xgboost_trees import XGBoost
from ml.frames import OUT_OF_FOLD
from ml.lifecycle.dataset import Dataset
from ml.lifecycle.recipe import Member, Recipe
from ml.lifecycle.splits import Fold, Nested
from ml.lifecycle.training import ask, blocks, fit_serving, lag_between, out_of_fold, refitted
from tests.lifecycle.fits import seen, silent

DATES = np.datetime64("2024-01-01T21:00", "us") + np.arange(8) * np.timedelta64(1, "D")
CLIMATE = Member("climatology", {})
RECIPE = Recipe((CLIMATE,), ("a", "vol"), "set-1", 1)
FOLDS = Nested([Fold(DATES[:2], DATES[3:4])], [Fold(DATES[:4], DATES[5:6]), Fold(DATES[:5], DATES[6:8])])


def dataset() -> Dataset:
    """Two entities on eight dates; rises on the first two dates only for A, later for both."""
    ts = np.repeat(DATES, 2)
    entity = np.array(["A", "B"] * 8, dtype=object)
    value = np.array([1.0, -1, 1, -1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7])
    vol = np.array([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, np.nan, 12, 0, 14, 15, 16])
    X = np.column_stack([np.zeros(16), vol]).astype("float32")
    return Dataset(entity, ts, ts + np.timedelta64(1, "D"), X, value, ("a", "vol"))


def test_members_are_asked_about_the_test_rows_of_every_fold_in_order() -> None:
    found = seen(RECIPE, dataset(), FOLDS)
    assert found.at.tolist() == [6, 7, 10, 11, 12, 13, 14, 15]
    assert found.block.tolist() == [0, 0, 1, 1, 2, 2, 2, 2]
    assert found.members.value.tolist() == [3, 3, 5, 5, 6, 6, 7, 7]
    assert (found.scale == 1.0).all()
    assert found.inner.at.tolist() == [6, 7]


def test_members_and_baseline_have_seen_the_folds_train_rows_only() -> None:
    found = seen(RECIPE, dataset(), FOLDS)
    # The folds train on 2 rises of 4 rows, 6 of 8 and 8 of 10; one of each is imagined besides.
    assert found.baseline_p_up.tolist() == pytest.approx([3 / 6] * 2 + [7 / 10] * 2 + [9 / 12] * 4)
    assert found.members.p_up[:, 0].tolist() == found.baseline_p_up.tolist()
    assert found.members.expected[:, 0].tolist() == pytest.approx([0.0] * 2 + [10 / 8] * 2 + [18 / 10] * 4)


def test_out_of_fold_rows_are_those_of_outer_tests() -> None:
    oof = OUT_OF_FOLD.check(out_of_fold(RECIPE, dataset(), seen(RECIPE, dataset(), FOLDS)))
    assert oof["entity"].tolist() == ["A", "B"] * 3
    assert oof["ts"].dt.tz_localize(None).to_numpy("datetime64[us]").tolist() == np.repeat(DATES[5:], 2).tolist()
    assert oof["value"].tolist() == [5, 5, 6, 6, 7, 7]


def test_the_champions_side_of_a_comparison_is_the_same_evidence() -> None:
    there = refitted(RECIPE, dataset(), FOLDS, 1, silent)
    assert there.equals(out_of_fold(RECIPE, dataset(), seen(RECIPE, dataset(), FOLDS)))


def test_the_scale_is_the_named_feature_with_the_train_median_where_it_is_unusable() -> None:
    found = seen(replace(RECIPE, scale_feature="vol"), dataset(), FOLDS)
    assert found.scale.tolist() == [7.0, 8.0, 4.5, 12.0, 5.5, 14.0, 15.0, 16.0]


def test_members_of_a_scaled_recipe_learn_in_units_of_the_dispersion() -> None:
    scaled = replace(RECIPE, scale_feature="vol", label="scaled")
    found = seen(scaled, dataset(), FOLDS)
    units = np.mean([1 / 1, -1 / 2, 1 / 3, -1 / 4])
    assert found.members.expected[:2, 0].tolist() == pytest.approx([units * 7, units * 8])
    serving = fit_serving(scaled, CLIMATE, dataset(), threads=1)
    assert serving.predict(dataset().panel, np.array([0]))[1][0] != pytest.approx(dataset().value.mean())


def test_what_the_second_level_says_of_a_block_it_learned_from_outcomes_known_before() -> None:
    """Later outcomes turned around change no earlier answer by one bit."""
    recipe = replace(RECIPE, combiner="stack", calibrator="platt", members=(CLIMATE,))
    plain, rows = dataset(), dataset()
    late = rows.matures_at >= DATES[6]
    turned = replace(rows, value=np.where(late, -rows.value, rows.value))
    first, second = (
        out_of_fold(recipe, each, seen(recipe, plain, FOLDS) if each is plain else seen(recipe, turned, FOLDS))
        for each in (plain, turned)
    )
    until = (first["ts"] < "2024-01-07").to_numpy()
    assert until.sum() == 2
    assert first.loc[until, "p_up"].tolist() == second.loc[until, "p_up"].tolist()


def test_the_serving_fit_has_seen_every_row() -> None:
    serving = fit_serving(RECIPE, CLIMATE, dataset(), threads=1)
    p_up, expected = serving.predict(dataset().panel, np.array([0]))
    assert (p_up[0], expected[0]) == (pytest.approx(15 / 18), pytest.approx(dataset().value.mean()))


def test_fits_draw_at_most_so_many_rows_but_outer_tests_and_the_baseline_are_whole() -> None:
    drawn = replace(RECIPE, most_rows=3)
    asked = blocks(drawn, dataset(), FOLDS)
    assert [len(block.train("climatology")[0]) for block in asked] == [3, 3, 3]
    assert [block.test.size for block in asked] == [2, 2, 4]
    assert [float(block.baseline[0]) for block in asked] == pytest.approx([3 / 6, 7 / 10, 9 / 12])


def test_a_net_draws_its_share_of_the_rows_of_others() -> None:
    drawn = blocks(replace(RECIPE, most_rows=8), dataset(), FOLDS)[-1]
    assert [len(drawn.train(name)[0]) for name in ("linear", "lstm")] == [8, 4]
    assert len(blocks(RECIPE, dataset(), FOLDS)[-1].train("lstm")[0]) == 10


def test_a_dataset_with_other_features_is_refused() -> None:
    with pytest.raises(TrainingError, match="vol"):
        blocks(replace(RECIPE, feature_names=("a",)), dataset(), FOLDS)
    with pytest.raises(TrainingError, match="their order"):
        fit_serving(replace(RECIPE, feature_names=("vol", "a")), CLIMATE, dataset(), threads=1)


def test_one_class_cannot_be_boosted() -> None:
    rising = replace(dataset(), value=np.ones(16))
    member = Member("xgboost", XGBoost.defaults)
    recipe = replace(RECIPE, members=(member,))
    with pytest.raises(TrainingError, match="one class only"):
        ask(recipe, member, rising, blocks(recipe, rising, FOLDS), 1, silent)


EARLY = Nested([Fold(DATES[:1], DATES[1:2])], [Fold(DATES[:4], DATES[5:6]), Fold(DATES[:5], DATES[6:7])])


def test_as_old_as_a_champion_is_a_recipe_learns_from_rows_that_end_earlier() -> None:
    asked = blocks(RECIPE, dataset(), EARLY, lag=2)
    assert [block.train("climatology")[0].at.tolist() for block in asked] == [[0, 1], [0, 1, 2, 3], [0, 1, 2, 3, 4, 5]]
    assert [float(block.baseline[0]) for block in asked] == pytest.approx([2 / 4, 3 / 6, 5 / 8])
    assert [block.test.tolist() for block in asked] == [[2, 3], [10, 11], [12, 13]]
    old = refitted(RECIPE, dataset(), EARLY, 1, silent, lag=2)
    assert old["expected"].tolist() == pytest.approx([0.0] * 2 + [4 / 6] * 2)


def test_what_is_left_of_a_draw_is_drawn_alike() -> None:
    recipe = replace(RECIPE, most_rows=6)
    drawn, old = (blocks(recipe, dataset(), FOLDS, lag=lag)[-1].train("climatology")[0] for lag in (0, 2))
    assert len(drawn) == 6
    assert old.at.tolist() == [row for row in drawn.at.tolist() if row < 6]
    assert old.value.tolist() == dataset().value[old.at].tolist()
    assert old.weight.mean() == pytest.approx(1.0)


def test_an_old_second_level_has_seen_no_outcome_of_the_dates_that_it_is_old() -> None:
    """Outcomes that became known within the lag before the last block, turned around, change no answer about it."""
    recipe, rows = replace(RECIPE, combiner="stack", calibrator="platt"), dataset()
    folds = Nested([Fold(DATES[:1], DATES[1:4])], [Fold(DATES[:4], DATES[6:7])])
    turned = replace(rows, value=np.where(rows.matures_at >= DATES[3], -rows.value, rows.value))
    old, old_turned, new, new_turned = (
        refitted(recipe, each, folds, 1, silent, lag)["p_up"].tolist() for lag in (3, 0) for each in (rows, turned)
    )
    assert old == old_turned
    assert new != new_turned


def test_how_old_one_fit_is_beside_another_is_counted_in_dates_of_the_dataset() -> None:
    assert lag_between(dataset(), DATES[2], DATES[5]) == 3
    assert lag_between(dataset(), DATES[5], DATES[2]) == lag_between(dataset(), DATES[2], DATES[2]) == 0
    assert lag_between(dataset(), DATES[0] - np.timedelta64(30, "D"), DATES[5]) == 6


def test_older_than_the_folds_can_show_is_told() -> None:
    with pytest.raises(TrainingError, match=r"0 train dates left .* end 4 earlier; expected at least the 1 dates"):
        blocks(RECIPE, dataset(), FOLDS, lag=4)
    with pytest.raises(TrainingError, match="no answer whose outcome was known 2 dates before"):
        refitted(RECIPE, dataset(), FOLDS, 1, silent, lag=2)
