import pytest

from ml.errors import RegistryError
from ml.lifecycle.recipe import Recipe

PLAIN = Recipe("xgboost", {"eta": 0.1, "rounds": 30}, ("a", "b"), "set-1", 7, scale_feature="b")


def test_a_recipe_survives_json_with_every_digit() -> None:
    precise = Recipe("xgboost", {"eta": 0.1 + 1e-17, "rounds": 30, "alpha": 1 / 3}, ("a", "b"), "set-1", 7)
    again = Recipe.from_json(precise.to_json())
    assert again == precise
    assert again.digest == precise.digest


def test_the_order_of_parameters_does_not_make_another_recipe() -> None:
    other = Recipe("xgboost", {"rounds": 30, "eta": 0.1}, ("a", "b"), "set-1", 7, scale_feature="b")
    assert other.digest == PLAIN.digest


@pytest.mark.parametrize(
    "other",
    [
        Recipe("climatology", PLAIN.params, ("a", "b"), "set-1", 7, "b"),
        Recipe("xgboost", {"eta": 0.1, "rounds": 31}, ("a", "b"), "set-1", 7, "b"),
        Recipe("xgboost", PLAIN.params, ("b", "a"), "set-1", 7, "b"),
        Recipe("xgboost", PLAIN.params, ("a", "b"), "set-2", 7, "b"),
        Recipe("xgboost", PLAIN.params, ("a", "b"), "set-1", 8, "b"),
        Recipe("xgboost", PLAIN.params, ("a", "b"), "set-1", 7),
    ],
)
def test_whatever_changes_a_fit_changes_the_digest(other: Recipe) -> None:
    assert other.digest != PLAIN.digest


def test_the_digest_is_stable_across_versions_of_this_code() -> None:
    assert PLAIN.digest.startswith("a2c9f387152b10b6")


@pytest.mark.parametrize("text", ["", "{}", '{"feature_names": ["a"], "colour": 1}', "[1]"])
def test_anything_else_is_not_a_recipe(text: str) -> None:
    with pytest.raises(RegistryError, match="cannot be read"):
        Recipe.from_json(text)


def test_the_scale_must_be_one_of_the_features() -> None:
    with pytest.raises(RegistryError, match="one of its own features"):
        Recipe("xgboost", {}, ("a",), "set-1", 7, scale_feature="b")
