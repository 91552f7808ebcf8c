"""From a model with its evidence to a version: card and record beside it, in MLflow and in the warehouse, once."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from ml.domain import Night, Target
from ml.errors import NotRecorded
from ml.estimators.baselines import Momentum
from ml.estimators.registry import estimator_class
from ml.frames import session_day
from ml.io.provenance import code_commit
from ml.io.registry import CARD_PAGE, EVIDENCE, RECORD, Registered, Registry, Training
from ml.io.scratch import scratch
from ml.io.warehouse import Warehouse, models
from ml.lifecycle.card import Beside, by_fold, judged
from ml.lifecycle.choice import Choice
from ml.lifecycle.dataset import Dataset
from ml.lifecycle.model import Model
from ml.lifecycle.recipe import Member, Recipe
from ml.lifecycle.training import Block, Evidence, alone, ask, evidence, out_of_fold
from ml.settings import Settings
from ml.steps import card
from ml.steps.domains import Parts
from ml.steps.material import Material, Source

log = logging.getLogger(__name__)

OUT_OF_FOLD_TABLE = "out_of_fold.parquet"
TAGS = ("snapshot_digest", "feature_set_digest", "code_commit", "as_of")
IMPORTANCE_ROWS = 2_000
"""The latest rows, on which it is told what a model looks at."""


@dataclass(frozen=True)
class Question:
    """What a training answers. key: a digest of all that decides the answer; asked again, it finds the same version.

    why: the reason, and who asked for it, where that is told (`retrain.tags`).
    """

    target: Target
    night: Night
    snapshot: str
    key: str
    why: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Candidate:
    """A model and what is known about it.

    oof: what it says on outer test rows; beside: what others say on them. searched: each member that was tried, with
    its trials. left_out: estimators that were to learn and did not.
    """

    choice: Choice
    model: Model
    oof: pd.DataFrame
    beside: Beside
    searched: list[tuple[Member, int]]
    left_out: list[str]


Make = Callable[[Material, Path], Candidate]
"""From a target's rows and a folder for scratch to what is to be registered."""


def version(
    config: Settings, parts: Parts, registry: Registry, warehouse: Warehouse, question: Question, make: Make
) -> int:
    """The number of the version that answers a question; it is made where nobody has asked before.

    Killed between the registry and the warehouse, the next call finds the version in the former and records it.
    """
    name = question.target.model_name
    known = models.version_trained_for(warehouse, question.key)
    if known is None:
        registered = registry.find(question.key, name)
        if registered is None:
            with scratch() as folder:
                rows = Source.of(config, parts, question.snapshot).gather(question.target)
                registered = registry.register(_training(parts, question, rows, make(rows, folder / "made"), folder))
        models.record_version(warehouse, _version(registry, registered))
        known = models.version_trained_for(warehouse, question.key)
    if known is None:
        raise NotRecorded(f"no version for training {question.key[:16]}", "the one just recorded", "Run it again")
    log.info("%s: version %s of snapshot %s", name, known["version"], question.snapshot[:16])
    log.info("its model card is the artifact %s/%s of the MLflow run %s", EVIDENCE, CARD_PAGE, known["run_id"])
    return int(known["version"])


def beside(
    config: Settings, parts: Parts, draft: Recipe, dataset: Dataset, asked: list[Block], seen: Evidence
) -> Beside:
    """What others say about the candidate's outer rows: each member by itself, and the sign of momentum."""
    said: dict[str, pd.DataFrame] = {}
    for member in draft.members:
        own = replace(seen, members=seen.members.only((member.estimator,)))
        said[member.estimator] = out_of_fold(alone(draft, member), dataset, own)
    if parts.momentum_feature is not None:
        member = Member(Momentum.name, {"feature": parts.feature_names.index(parts.momentum_feature)})
        recipe = alone(draft, member)
        answers = ask(recipe, member, dataset, asked, config.threads, log.debug)
        said[Momentum.name] = out_of_fold(recipe, dataset, evidence(recipe, dataset, asked, {Momentum.name: answers}))
    return said


def _training(parts: Parts, question: Question, rows: Material, made: Candidate, folder: Path) -> Training:
    target, model, recipe = question.target, made.model, made.model.recipe
    outer = judged(made.oof, made.beside, target)
    record = _record(question, made, rows.dataset, outer)
    files, artifacts = folder / "model", folder / EVIDENCE
    artifacts.mkdir()
    model.save(files)
    made.oof.to_parquet(artifacts / OUT_OF_FOLD_TABLE)
    momentum = {name: said for name, said in made.beside.items() if name == Momentum.name}
    folds = by_fold(made.oof, momentum, rows.folds.outer, target)
    packages = _packages(recipe)
    facts = card.facts(
        parts, target, record, model, made.searched, made.choice, rows.dataset, outer, folds, files, packages
    )
    card.write(artifacts, facts)
    record |= {"costs": facts["costs"], "overfitting": made.choice.overfitting}
    (artifacts / RECORD).write_text(json.dumps(record, indent=1), encoding="utf-8")
    return Training(
        model_name=target.model_name,
        training_key=question.key,
        run_name=f"{target.model_name} {session_day(question.night.as_of)}",
        model_files=files,
        artifacts=artifacts,
        feature_names=parts.feature_names,
        packages=packages,
        lookback=model.lookback,
        params={"recipe": recipe.name, "trials": record["trials"], "seed": recipe.seed},
        metrics={**record["scores"], **_coverages(model)},
        tags={**question.why, **{name: str(record[name]) for name in TAGS}},
    )


def _record(question: Question, made: Candidate, dataset: Dataset, outer: Mapping[str, Any]) -> dict[str, Any]:
    """The version's row in the warehouse, but for its number and run, as JSON."""
    target, night, model, recipe = question.target, question.night, made.model, made.model.recipe
    return {
        "domain": target.domain,
        "target": target.name,
        "training_key": question.key,
        "estimator": recipe.name,
        "recipe": json.loads(recipe.to_json()),
        "recipe_digest": recipe.digest,
        "feature_set_digest": recipe.feature_set,
        "snapshot_digest": question.snapshot,
        "as_of": night.as_of.isoformat(),
        "known_at": night.known_at.isoformat(),
        "train_start": _iso(model.trained_from),
        "train_end": _iso(model.trained_until),
        "train_rows": model.n_rows,
        "trials": sum(trials for _, trials in made.searched),
        "scores": {**outer["scores"], **_of_momentum(outer["beside"])},
        "left_out": made.left_out,
        "importance": model.importance(dataset.panel, dataset.known[-IMPORTANCE_ROWS:]),
        "code_commit": code_commit(),
        **question.why,
    }


def _of_momentum(beside: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """The momentum baseline's scores on the same rows, `momentum_log_loss` and so on; none where it cannot run."""
    return {f"{Momentum.name}_{name}": score for name, score in beside.get(Momentum.name, {}).items()}


def _version(registry: Registry, registered: Registered) -> models.ModelVersion:
    record = registry.record(registered.run_id)
    instants = {
        name: datetime.fromisoformat(record[name]) for name in ("as_of", "known_at", "train_start", "train_end")
    }
    return models.ModelVersion(**{**record, **instants, "version": registered.version, "run_id": registered.run_id})


def _coverages(model: Model) -> dict[str, float]:
    stated = zip(model.intervals.coverages, model.intervals.measured, strict=True)
    return {f"coverage_of_{coverage:.0%}".rstrip("%"): measured for coverage, measured in stated}


def _packages(recipe: Recipe) -> tuple[str, ...]:
    """What a process needs to load the model, beside this repository."""
    own = (package for name in recipe.estimators for package in estimator_class(name).packages)
    return tuple(sorted({"numpy", "pandas", "scikit-learn", "scipy", *own}))


def _iso(instant: Any) -> str:
    return pd.Timestamp(instant).tz_localize(UTC).isoformat()
