"""The model card of a version: what is known about it when it has just been trained, as JSON and as a page."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import numpy as np

from ml.domain import Target
from ml.estimators.registry import estimator_class
from ml.io.registry import CARD_PAGE, signature
from ml.lifecycle import card
from ml.lifecycle.choice import Choice
from ml.lifecycle.dataset import Dataset
from ml.lifecycle.model import Model
from ml.lifecycle.recipe import Member
from ml.steps.domains import Parts

CARD = "card.json"
LAST_ROWS = 1_000

RECORDED = (
    *("training_key", "estimator", "recipe", "recipe_digest", "feature_set_digest", "snapshot_digest"),
    *("as_of", "known_at", "train_start", "train_end", "code_commit"),
)
"""What the card takes over from the version's record as it is."""


def facts(
    parts: Parts,
    target: Target,
    record: Mapping[str, Any],
    model: Model,
    searched: Sequence[tuple[Member, int]],
    choice: Choice,
    dataset: Dataset,
    outer: Mapping[str, Any],
    folds: Sequence[Mapping[str, Any]],
    files: Path,
    packages: Sequence[str],
) -> dict[str, Any]:
    """All that the page shows, JSON-able.

    searched: each member that has learned with its trials, whether it serves or not. outer, folds: what
    `lifecycle.card` says of the outer test rows. files: the saved model.
    """
    return {
        **{name: record[name] for name in RECORDED},
        "target": asdict(target),
        "signature": signature(parts.feature_names),
        "training": _training(model, dataset),
        "members": [
            {**asdict(member), "trials": trials, "serves": member.estimator in choice.members}
            for member, trials in searched
        ],
        "choice": asdict(choice),
        "outer": outer,
        "momentum": parts.descriptions[parts.momentum_feature] if parts.momentum_feature else None,
        "folds": folds,
        "calibration": card.calibration_curve(model),
        "intervals": card.coverage(model),
        "importance": card.strongest(record["importance"], parts.descriptions),
        "costs": card.costs(files, dataset),
        "packages": {"python": platform.python_version(), **{name: installed_version(name) for name in packages}},
        "left_out": _left_out(parts, record["left_out"], searched, choice, dataset),
    }


def write(folder: Path, said: Mapping[str, Any]) -> None:
    """Both files, into an existing folder."""
    from ml.lifecycle import card_page  # noqa: PLC0415 -- plots take half a second to import, and few runs draw any

    (folder / CARD).write_text(json.dumps(said, indent=1, allow_nan=False), encoding="utf-8")
    (folder / CARD_PAGE).write_text(card_page.html(said), encoding="utf-8")


def _training(model: Model, dataset: Dataset) -> dict[str, int]:
    known = dataset.known.size
    drawn = (estimator_class(name).own_rows(model.recipe.most_rows) for name in model.recipe.estimators)
    return {
        "known_rows": known,
        "fitted_rows": max(min(known, rows or known) for rows in drawn),
        "dates": dataset.dates.size,
        "entities": np.unique(dataset.panel.entity[dataset.known]).size,
    }


def _left_out(
    parts: Parts, silent: Sequence[str], searched: Sequence[tuple[Member, int]], choice: Choice, dataset: Dataset
) -> list[dict[str, str]]:
    """What was asked for or given and has no part in the model, with the reason as far as training knows it."""
    out = [(name, "it did not learn; the log of its task `learn` says why") for name in silent]
    spare = [member.estimator for member, _ in searched if member.estimator not in choice.members]
    out += [(name, f"the combiner {choice.combiner} does without it: {choice.reason}") for name in spare]
    if parts.momentum_feature is None:
        out.append(("the momentum baseline", "the feature set lacks the feature whose sign it goes by"))
    out += [(name, "no row has a value of this feature") for name in _empty(dataset)]
    if unknown := len(dataset) - dataset.known.size:
        out.append(
            (f"{unknown} of {len(dataset)} rows", "their outcome is not known: they are only the past of others")
        )
    return [{"what": what, "why": why} for what, why in out]


def _empty(dataset: Dataset) -> list[str]:
    """Features that are missing on every row; only those that the last rows lack are looked at further."""
    missing = np.isnan(dataset.X[-LAST_ROWS:]).all(axis=0)
    return [dataset.feature_names[j] for j in np.flatnonzero(missing) if np.isnan(dataset.X[:, j]).all()]
