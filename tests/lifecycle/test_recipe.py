from dataclasses import replace
from typing import Any

import pytest

from ml.errors import RegistryError
from ml.lifecycle.recipe import Member, Recipe

XGB = Member("xgboost", {"eta": 0.1, "rounds": 30})
PLAIN = Recipe((XGB,), ("a", "b"), "set-1", 7, scale_feature="b")


def test_a_recipe_survives_json_with_every_digit() -> None:
    member = Member("xgboost", {"eta": 0.1 + 1e-17, "rounds": 30, "alpha": 1 / 3})
    precise = Recipe((member, XGB_LIGHT), ("a", "b"), "set-1", 7, "stack", "platt", regime_features=("a",), most_rows=9)
    again = Recipe.from_json(precise.to_json())
    assert again == precise
    assert again.digest == precise.digest


XGB_LIGHT = Member("lightgbm", {"eta": 0.2})


def test_the_order_of_parameters_does_not_make_another_recipe() -> None:
    other = replace(PLAIN, members=(Member("xgboost", {"rounds": 30, "eta": 0.1}),))
    assert other.digest == PLAIN.digest


@pytest.mark.parametrize(
    "other",
    [
        replace(PLAIN, members=(Member("climatology", XGB.params),)),
        replace(PLAIN, members=(Member("xgboost", {"eta": 0.1, "rounds": 31}),)),
        replace(PLAIN, members=(XGB, XGB_LIGHT)),
        replace(PLAIN, feature_names=("b", "a")),
        replace(PLAIN, feature_set="set-2"),
        replace(PLAIN, seed=8),
        replace(PLAIN, scale_feature=None),
        replace(PLAIN, combiner="stack"),
        replace(PLAIN, calibrator="platt"),
        replace(PLAIN, label="scaled"),
        replace(PLAIN, regime_features=("a",)),
        replace(PLAIN, most_rows=10),
    ],
)
def test_whatever_changes_a_fit_changes_the_digest(other: Recipe) -> None:
    assert other.digest != PLAIN.digest


def test_the_digest_is_stable_across_versions_of_this_code() -> None:
    assert PLAIN.digest.startswith("09fdcc764ecf82d4")


def test_a_person_can_tell_recipes_by_name() -> None:
    assert PLAIN.name == "xgboost"
    assert replace(PLAIN, members=(XGB, XGB_LIGHT), combiner="stack").name == "stack of xgboost, lightgbm"


@pytest.mark.parametrize("text", ["", "{}", '{"feature_names": ["a"], "colour": 1}', "[1]"])
def test_anything_else_is_not_a_recipe(text: str) -> None:
    with pytest.raises(RegistryError, match="cannot be read"):
        Recipe.from_json(text)


@pytest.mark.parametrize("looks_at", [{"scale_feature": "c"}, {"regime_features": ("a", "c")}])
def test_what_is_looked_at_must_be_one_of_the_features(looks_at: dict[str, Any]) -> None:
    with pytest.raises(RegistryError, match=r"\['c'\].*its own features"):
        replace(PLAIN, **looks_at)


@pytest.mark.parametrize("members", [(), (XGB, XGB)])
def test_every_recipe_has_members_and_none_twice(members: tuple[Member, ...]) -> None:
    with pytest.raises(RegistryError, match="each estimator once"):
        replace(PLAIN, members=members)
