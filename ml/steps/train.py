"""What the estimators learned to one candidate: choose how to combine them, score it on outer dates, register it."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ml.domain import SCHEDULED, Target
from ml.errors import TrainingError
from ml.estimators.interface import Estimator
from ml.estimators.registry import estimator_class
from ml.io.registry import Registry
from ml.io.warehouse import Warehouse
from ml.lifecycle.choice import choose
from ml.lifecycle.model import assemble
from ml.lifecycle.recipe import Member
from ml.lifecycle.training import Answers, blocks, evidence, finished, out_of_fold
from ml.settings import Settings, settings
from ml.steps import candidate, domains, learn, retrain
from ml.steps.candidate import Candidate, Question
from ml.steps.domains import Parts
from ml.steps.learn import Asked
from ml.steps.material import Material
from ml.steps.night import Keys, keys, parse

log = logging.getLogger(__name__)


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
    key = hashlib.sha256(json.dumps(sorted(runs)).encode()).hexdigest()
    question = Question(target, night, snapshot, key, why)

    def make(rows: Material, folder: Path) -> Candidate:
        return _candidate(config, parts, target, rows, _read(registry, runs, folder), names)

    version = candidate.version(config, parts, registry, warehouse, question, make)
    return keys(night, snapshot=snapshot, horizon=target.name, version=str(version))


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


def _candidate(
    config: Settings, parts: Parts, target: Target, rows: Material, learned: list[Learned], names: list[str]
) -> Candidate:
    draft = learn.recipe(config, parts, target, tuple(each.member for each in learned))
    asked = blocks(draft, rows.dataset, rows.folds)
    seen = evidence(draft, rows.dataset, asked, {each.member.estimator: each.answers for each in learned})
    choice = choose(seen.inner.members)
    log.info("%s: %s", target.name, choice.reason)
    beside = candidate.beside(config, parts, draft, rows.dataset, asked, seen)
    recipe, seen = finished(draft, choice, seen)
    oof = out_of_fold(recipe, rows.dataset, seen)
    fitted = {each.member.estimator: each.fitted for each in learned}
    return Candidate(
        choice=choice,
        model=assemble(recipe, fitted, rows.dataset, seen, oof),
        oof=oof,
        beside=beside,
        searched=[(each.member, each.trials) for each in learned],
        left_out=[name for name in names if name not in fitted],
    )
