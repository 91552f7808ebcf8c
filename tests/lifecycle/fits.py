"""Recipes, evidence and models for tests, without a search."""

from __future__ import annotations

from ml.lifecycle.dataset import Dataset
from ml.lifecycle.model import Model, assemble
from ml.lifecycle.recipe import Recipe
from ml.lifecycle.splits import Fold, Nested
from ml.lifecycle.training import Evidence, ask, blocks, evidence, fit_serving, out_of_fold


def silent(line: str) -> None:
    """Progress that nobody reads."""


def seen(recipe: Recipe, dataset: Dataset, folds: Nested) -> Evidence:
    """What the recipe's members say on all folds."""
    asked = blocks(recipe, dataset, folds)
    said = {m.estimator: ask(recipe, m, dataset, asked, threads=1, progress=silent) for m in recipe.members}
    return evidence(recipe, dataset, asked, said)


def fitted(recipe: Recipe, dataset: Dataset, folds: Nested) -> Model:
    """The recipe as it would serve."""
    found = seen(recipe, dataset, folds)
    members = {m.estimator: fit_serving(recipe, m, dataset, threads=1) for m in recipe.members}
    return assemble(recipe, members, dataset, found, out_of_fold(recipe, dataset, found))


def nested_of(folds: list[Fold], inner: int) -> Nested:
    """The first `inner` folds for choices, the rest for comparison."""
    return Nested(folds[:inner], folds[inner:])
