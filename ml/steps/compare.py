"""Candidate and champion to a decision: both recipes on the same outer dates, the gate's word stored whole."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime

import numpy as np
import pandas as pd

from ml.domain import SCHEDULED, Target
from ml.io.registry import Registry
from ml.io.warehouse import Warehouse, models
from ml.io.warehouse.connection import Row
from ml.lifecycle.comparison import Contender, Decision, alpha_per_look, decide
from ml.lifecycle.recipe import Recipe
from ml.lifecycle.training import refitted
from ml.settings import Settings, settings
from ml.steps import domains
from ml.steps.material import Source
from ml.steps.night import Keys, keys, parse
from ml.steps.train import OUT_OF_FOLD_TABLE

log = logging.getLogger(__name__)

GATE = "gate"


def run(
    domain: str,
    as_of: str,
    known_at: str,
    snapshot: str,
    horizon: str,
    version: str,
    reason: str = SCHEDULED,  # noqa: ARG001
) -> Keys:
    """Judge one candidate; returns the night's keys with `horizon` and the `decision_id`.

    A pair of candidate and champion is looked at once: asking again gives the same decision and
    spends no alpha.
    """
    config = settings()
    target = domains.target(domain, horizon, config)
    night = parse(domain, as_of, known_at)
    warehouse = Warehouse(config.require_warehouse_dsn())
    decision_id = _decided_before(warehouse, target, int(version))
    if decision_id is None:
        decision_id = _decide(config, warehouse, target, int(version), night.as_of)
    return keys(night, snapshot=snapshot, horizon=target.name, decision_id=str(decision_id))


def _decided_before(warehouse: Warehouse, target: Target, version: int) -> int | None:
    champion = models.champion(warehouse, target)
    if champion is not None and champion["to_version"] == version:
        return int(champion["decision_id"])
    decided = models.decision_about(warehouse, target, version, champion["to_version"] if champion else None)
    return int(decided["decision_id"]) if decided else None


def _decide(config: Settings, warehouse: Warehouse, target: Target, version: int, as_of: datetime) -> int:
    champion = models.champion(warehouse, target)
    candidate = models.version(warehouse, target, version)
    candidate_oof = Registry(config.require_mlflow_uri()).evidence(candidate["run_id"], OUT_OF_FOLD_TABLE)
    decision = decide(
        target,
        _contender(candidate, candidate_oof),
        _champion_contender(config, warehouse, target, candidate, champion),
        alpha_for_this_look=alpha_per_look(config.alpha_per_year, config.looks_per_year),
        looks_taken=models.looks_in_year_before(warehouse, target, as_of),
        looks_per_year=config.looks_per_year,
    )
    decision = _telling_who_is_missing(_unless_special(decision, candidate, champion), candidate)
    log.info("%s version %d: %s, %s", target.model_name, version, decision.verdict, decision.reason)
    return models.record_decision(warehouse, _row(target, version, champion, as_of, decision))


def _unless_special(decision: Decision, candidate: Row, champion: Row | None) -> Decision:
    """Two cases without a comparison: a champion of later nights stays, one that cannot serve gives way."""
    if champion is None:
        return decision
    if _is_later(champion, candidate):
        reason = f"a past night: champion version {champion['to_version']} has been trained on later ones and stays"
        return replace(decision, door="replace", verdict="keep", reason=reason)
    if (why := _why_it_cannot_serve(candidate, champion)) is not None:
        return replace(
            decision, reason=f"champion version {champion['to_version']} cannot serve: {why}; {decision.reason}"
        )
    return decision


def _telling_who_is_missing(decision: Decision, candidate: Row) -> Decision:
    if not candidate["left_out"]:
        return decision
    missing = ", ".join(candidate["left_out"])
    return replace(decision, reason=f"{decision.reason}; the candidate was made without {missing}, which did not learn")


def _is_later(champion: Row, candidate: Row) -> bool:
    return bool(champion["as_of"] > candidate["as_of"])


def _why_it_cannot_serve(candidate: Row, champion: Row) -> str | None:
    """A champion whose features nobody computes any more can neither be refitted nor predict; one that has learned
    another label answers another question."""
    if champion["feature_set_digest"] != candidate["feature_set_digest"]:
        return "its feature set is no longer computed"
    learned = champion["recipe"].get("label")
    if learned != candidate["recipe"]["label"]:
        return f"it has learned the label {learned}, the target declares {candidate['recipe']['label']}"
    return None


def _champion_contender(
    config: Settings, warehouse: Warehouse, target: Target, candidate: Row, champion: Row | None
) -> Contender | None:
    """The champion's recipe refitted on the candidate's outer folds; None when there is none to refit."""
    if champion is None or _is_later(champion, candidate) or _why_it_cannot_serve(candidate, champion):
        return None
    serving = models.version(warehouse, target, champion["to_version"])
    parts = domains.parts(target.domain, config)
    rows = Source.of(config, parts, candidate["snapshot_digest"]).gather(target)
    recipe = Recipe.from_json(models.recipe_json(serving))
    return _contender(serving, refitted(recipe, rows.dataset, rows.folds, config.threads, log.info))


def _contender(row: Row, oof: pd.DataFrame) -> Contender:
    return Contender(row["recipe_digest"], oof, np.datetime64(pd.Timestamp(row["train_end"]).tz_localize(None), "us"))


def _row(target: Target, version: int, champion: Row | None, as_of: datetime, decision: Decision) -> Row:
    return {
        "domain": target.domain,
        "target": target.name,
        "candidate_version": version,
        "champion_version": champion["to_version"] if champion else None,
        "as_of": as_of,
        "door": decision.door,
        "verdict": decision.verdict,
        "reason": decision.reason,
        "alpha_spent": decision.alpha_spent,
        "has_skill": decision.has_skill,
        "evidence": decision.evidence,
        "decided_by": GATE,
    }
