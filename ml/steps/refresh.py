"""A champion whose training lies too far back: its own recipe on the night's rows, as a version of its own.

Nothing is searched and nothing chosen, so no trial is spent. The recipe is the warehouse's: a champion whose files are
gone or damaged is fitted anew from it as well, and at once.
"""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path

from ml.domain import Night, Target
from ml.io.registry import Registry
from ml.io.warehouse import Warehouse, models
from ml.io.warehouse.connection import Row
from ml.lifecycle import training
from ml.lifecycle.choice import Choice
from ml.lifecycle.model import assemble
from ml.lifecycle.recipe import Recipe
from ml.lifecycle.training import ask, blocks, evidence, fit_serving, out_of_fold
from ml.settings import Settings, settings
from ml.steps import candidate, domains
from ml.steps.candidate import Candidate, Question
from ml.steps.domains import Parts
from ml.steps.material import Material
from ml.steps.night import Keys, keys, parse

log = logging.getLogger(__name__)


def run(domain: str, as_of: str, known_at: str, snapshot: str, horizon: str) -> Keys:
    """Fit the champion's recipe anew when that is due; returns the night's keys with `horizon`, then with a `version`.

    Due is what was trained AFTERBELL_REFRESH_SESSIONS or more sessions before the night, as long after the gate has
    refused a newer fit of it; and at once what cannot be loaded. Asking again of the same data finds the same version.
    """
    config = settings()
    parts = domains.parts(domain, config)
    target = domains.target(domain, horizon, config)
    night = parse(domain, as_of, known_at)
    warehouse, registry = Warehouse(config.require_warehouse_dsn()), Registry(config.require_mlflow_uri())
    models.note_refresh_limit(warehouse, target, config.refresh_sessions)
    found = keys(night, snapshot=snapshot, horizon=target.name)
    champion = models.champion(warehouse, target)
    if champion is None:
        log.info("%s: nothing serves yet that could be refreshed", target.model_name)
        return found
    question = Question(target, night, snapshot, _key(target, snapshot, champion))
    if models.version_trained_for(warehouse, question.key) is None:
        why_not = _why_not(config, parts, warehouse, registry, target, night, champion)
        if why_not is not None:
            log.info("%s: version %s is not refreshed: %s", target.model_name, champion["to_version"], why_not)
            return found

    def make(rows: Material, _: Path) -> Candidate:
        return _fitted_anew(config, parts, champion, rows)

    return {**found, "version": str(candidate.version(config, parts, registry, warehouse, question, make))}


def _key(target: Target, snapshot: str, champion: Row) -> str:
    asked = [target.model_name, snapshot, champion["recipe_digest"], "refresh", training.REVISION]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


def _why_not(
    config: Settings,
    parts: Parts,
    warehouse: Warehouse,
    registry: Registry,
    target: Target,
    night: Night,
    champion: Row,
) -> str | None:
    """Why a champion is left as it is tonight, in words; None when it is to be fitted anew."""
    if not config.refresh_sessions:
        return "AFTERBELL_REFRESH_SESSIONS is 0"
    if parts.nights_between(champion["as_of"], night.as_of) <= 0:
        return "it has been trained on this night or a later one"
    if champion["feature_set_digest"] != parts.feature_set_digest or champion["recipe"].get("label") != target.label:
        return "it has learned other features, or another label, than tonight's: only another recipe can follow it"
    if (why := registry.why_broken(target.model_name, int(champion["to_version"]))) is not None:
        log.warning("%s", why)
        return None
    return _too_early(parts, warehouse, target, night, champion, config.refresh_sessions)


def _too_early(
    parts: Parts, warehouse: Warehouse, target: Target, night: Night, champion: Row, limit: int
) -> str | None:
    age = parts.nights_between(champion["as_of"], night.as_of)
    if age < limit:
        return f"it was trained {age} sessions ago, and {limit} are allowed"
    tried_at = models.refresh_tried(warehouse, target, int(champion["to_version"]), night.as_of)
    since = limit if tried_at is None else parts.nights_between(tried_at, night.as_of)
    if since < limit:
        return f"a newer fit of it was judged {since} sessions ago; the next one is due {limit} sessions after that"
    return None


def _fitted_anew(config: Settings, parts: Parts, champion: Row, rows: Material) -> Candidate:
    """Members, combiner and calibrator are the champion's; what they have learned is tonight's."""
    recipe, dataset, threads = Recipe.from_json(models.recipe_json(champion)), rows.dataset, config.threads
    asked = blocks(recipe, dataset, rows.folds)
    said = {member.estimator: ask(recipe, member, dataset, asked, threads, log.info) for member in recipe.members}
    fitted = {member.estimator: fit_serving(recipe, member, dataset, threads) for member in recipe.members}
    seen = evidence(recipe, dataset, asked, said)
    oof = out_of_fold(recipe, dataset, seen)
    reason = f"as in version {champion['to_version']}, whose recipe this is on newer rows"
    return Candidate(
        choice=Choice(recipe.estimators, recipe.combiner, recipe.calibrator, reason, []),
        model=assemble(recipe, fitted, dataset, seen, oof),
        oof=oof,
        beside=candidate.beside(config, parts, recipe, dataset, asked, seen),
        searched=[(member, 0) for member in recipe.members],
        left_out=[],
    )
