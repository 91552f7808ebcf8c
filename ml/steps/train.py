"""What the estimators learned to one candidate: choose how to combine them, score it on outer dates, register it."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from ml.domain import SCHEDULED, Night, Target
from ml.errors import NotRecorded, TrainingError
from ml.estimators.baselines import Momentum
from ml.estimators.interface import Estimator
from ml.estimators.registry import estimator_class
from ml.frames import session_day
from ml.io.provenance import code_commit
from ml.io.registry import CARD_PAGE, EVIDENCE, RECORD, Registered, Registry, Training
from ml.io.scratch import scratch
from ml.io.warehouse import Warehouse, models
from ml.lifecycle.card import Beside, by_fold, judged
from ml.lifecycle.choice import Choice, choose
from ml.lifecycle.dataset import Dataset
from ml.lifecycle.model import Model, assemble
from ml.lifecycle.recipe import Member, Recipe
from ml.lifecycle.training import Answers, Block, Evidence, alone, ask, blocks, evidence, finished, out_of_fold
from ml.settings import Settings, settings
from ml.steps import card, domains, learn, retrain
from ml.steps.domains import Parts
from ml.steps.learn import Asked
from ml.steps.material import Material, Source
from ml.steps.night import Keys, keys, parse

log = logging.getLogger(__name__)

OUT_OF_FOLD_TABLE = "out_of_fold.parquet"
TAGS = ("snapshot_digest", "feature_set_digest", "code_commit", "as_of")
IMPORTANCE_ROWS = 2_000
"""The latest rows, on which it is told what a model looks at."""


@dataclass(frozen=True)
class Learned:
    """What one estimator left behind, read back."""

    member: Member
    answers: Answers
    fitted: Estimator
    trials: int


def run(
    domain: str,
    as_of: str,
    known_at: str,
    snapshot: str,
    horizon: str,
    estimators: list[str] | None = None,
    trials: int | None = None,
    reason: str = SCHEDULED,
    requested_by: str | None = None,
) -> Keys:
    """Make one candidate of what was learned; returns the night's keys with `horizon` and its `version`.

    Estimators that did not learn (failed, ran out of memory) are left out, and the version says so. Asking
    the same question again (data, target, features, searches) finds the version it gave before, with the `reason`
    and the `requested_by` of that time.
    """
    config = settings()
    why = retrain.tags(reason, requested_by)
    parts = domains.parts(domain, config)
    target = domains.target(domain, horizon, config)
    night = parse(domain, as_of, known_at)
    warehouse = Warehouse(config.require_warehouse_dsn())
    registry = Registry(config.require_mlflow_uri())
    names = domains.estimators(estimators)
    runs = _runs(
        config, parts, registry, [Asked(target, snapshot, name, trials or config.own_trials) for name in names]
    )
    question = hashlib.sha256(json.dumps(sorted(runs)).encode()).hexdigest()
    known = models.version_trained_for(warehouse, question)
    if known is None:
        registered = registry.find(question, target.model_name)
        if registered is None:
            with scratch() as folder:
                learned = _read(registry, runs, folder / "studies")
                registered = registry.register(
                    _training(config, parts, target, night, snapshot, question, names, learned, folder, why)
                )
        models.record_version(warehouse, _version(registry, registered))
        known = models.version_trained_for(warehouse, question)
    if known is None:
        raise NotRecorded(f"no version for training {question[:16]}", "the one just recorded", "Run train again")
    log.info("%s: version %s of snapshot %s", target.model_name, known["version"], snapshot[:16])
    log.info("its model card is the artifact %s/%s of the MLflow run %s", EVIDENCE, CARD_PAGE, known["run_id"])
    return keys(night, snapshot=snapshot, horizon=target.name, version=str(known["version"]))


def _runs(config: Settings, parts: Parts, registry: Registry, questions: list[Asked]) -> dict[str, str]:
    """The MLflow runs of the estimators that learned, by the digests of their questions."""
    runs: dict[str, str] = {}
    for asked in questions:
        key = asked.key(config, parts)
        run_id = registry.study(asked.target.model_name, key)
        if run_id is None:
            log.warning("%s: %s has not learned and is left out", asked.target.model_name, asked.estimator)
        else:
            runs[key] = run_id
    if not runs:
        raise TrainingError(
            f"none of {', '.join(asked.estimator for asked in questions)} has learned {questions[0].target.model_name}",
            "at least one",
            "Look at the logs of the tasks `learn`; run them again, then this one",
        )
    return runs


def _read(registry: Registry, runs: Mapping[str, str], folder: Path) -> list[Learned]:
    learned = []
    for key, run_id in runs.items():
        place = folder / key
        place.mkdir(parents=True)
        files = registry.fetch_study(run_id, place)
        document = json.loads((files / learn.MEMBER).read_text(encoding="utf-8"))
        said = pd.read_parquet(files / learn.ANSWERS_TABLE)
        learned.append(
            Learned(
                member=Member(document["estimator"], document["params"]),
                answers=Answers(said["p_up"].to_numpy(), said["expected"].to_numpy()),
                fitted=estimator_class(document["estimator"]).load(files / learn.FITTED),
                trials=int(document["trials"]),
            )
        )
    return learned


def _training(
    config: Settings,
    parts: Parts,
    target: Target,
    night: Night,
    snapshot: str,
    question: str,
    names: list[str],
    learned: list[Learned],
    folder: Path,
    why: Mapping[str, str],
) -> Training:
    rows = Source.of(config, parts, snapshot).gather(target)
    made = _candidate(config, parts, target, rows, learned)
    model, recipe = made.model, made.model.recipe
    outer = judged(made.oof, made.beside, target)
    record = {**_record(target, night, snapshot, question, model, names, learned, rows.dataset, outer), **why}
    files, artifacts = folder / "model", folder / EVIDENCE
    artifacts.mkdir()
    model.save(files)
    made.oof.to_parquet(artifacts / OUT_OF_FOLD_TABLE)
    (artifacts / RECORD).write_text(json.dumps(record, indent=1), encoding="utf-8")
    searched = [(each.member, each.trials) for each in learned]
    momentum = {name: said for name, said in made.beside.items() if name == Momentum.name}
    folds = by_fold(made.oof, momentum, rows.folds.outer, target)
    packages = _packages(recipe)
    facts = card.facts(parts, target, record, model, searched, made.choice, rows.dataset, outer, folds, files, packages)
    card.write(artifacts, facts)
    return Training(
        model_name=target.model_name,
        training_key=question,
        run_name=f"{target.model_name} {session_day(night.as_of)}",
        model_files=files,
        artifacts=artifacts,
        feature_names=parts.feature_names,
        packages=packages,
        lookback=model.lookback,
        params={"recipe": recipe.name, "trials": record["trials"], "seed": config.seed},
        metrics={**record["scores"], **_coverages(model)},
        tags={**why, **{name: str(record[name]) for name in TAGS}},
    )


@dataclass(frozen=True)
class _Candidate:
    """What was made of what was learned; oof: what it says on outer test rows, beside: what others say on them."""

    choice: Choice
    model: Model
    oof: pd.DataFrame
    beside: Beside


def _candidate(config: Settings, parts: Parts, target: Target, rows: Material, learned: list[Learned]) -> _Candidate:
    draft = learn.recipe(config, parts, target, tuple(each.member for each in learned))
    asked = blocks(draft, rows.dataset, rows.folds)
    seen = evidence(draft, rows.dataset, asked, {each.member.estimator: each.answers for each in learned})
    choice = choose(seen.inner.members)
    log.info("%s: %s", target.name, choice.reason)
    beside = _beside(config, parts, draft, rows.dataset, asked, seen)
    recipe, seen = finished(draft, choice, seen)
    oof = out_of_fold(recipe, rows.dataset, seen)
    fitted = {each.member.estimator: each.fitted for each in learned}
    return _Candidate(choice, assemble(recipe, fitted, rows.dataset, seen, oof), oof, beside)


def _beside(
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


def _record(
    target: Target,
    night: Night,
    snapshot: str,
    question: str,
    model: Model,
    names: list[str],
    learned: list[Learned],
    dataset: Dataset,
    outer: Mapping[str, Any],
) -> dict[str, Any]:
    """The version's row in the warehouse, but for its number and run, as JSON."""
    recipe = model.recipe
    return {
        "domain": target.domain,
        "target": target.name,
        "training_key": question,
        "estimator": recipe.name,
        "recipe": json.loads(recipe.to_json()),
        "recipe_digest": recipe.digest,
        "feature_set_digest": recipe.feature_set,
        "snapshot_digest": snapshot,
        "as_of": night.as_of.isoformat(),
        "known_at": night.known_at.isoformat(),
        "train_start": _iso(model.trained_from),
        "train_end": _iso(model.trained_until),
        "train_rows": model.n_rows,
        "trials": sum(each.trials for each in learned),
        "scores": {**outer["scores"], **_of_momentum(outer["beside"])},
        "left_out": [name for name in names if name not in {each.member.estimator for each in learned}],
        "importance": model.importance(dataset.panel, dataset.known[-IMPORTANCE_ROWS:]),
        "code_commit": code_commit(),
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
