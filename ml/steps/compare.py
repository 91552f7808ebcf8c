"""Candidate and champion to a decision: both recipes on the same outer dates, the gate's word stored whole."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

import numpy as np
import pandas as pd

from ml.domain import SCHEDULED, Night, Target
from ml.errors import TrainingError
from ml.io.registry import Registry
from ml.io.warehouse import Warehouse, models, shadows
from ml.io.warehouse.connection import Row
from ml.lifecycle import looks
from ml.lifecycle.comparison import (
    Contender,
    Decision,
    Rules,
    decide,
    decide_again,
    kept_out,
    only_the_best,
)
from ml.lifecycle.looks import Budget, Spent
from ml.lifecycle.recipe import Recipe
from ml.lifecycle.training import lag_between, refitted
from ml.lifecycle.vetoes import Facts, Limits
from ml.settings import Settings, settings
from ml.steps import aliases, domains
from ml.steps.candidate import OUT_OF_FOLD_TABLE
from ml.steps.freshness import PATIENCE
from ml.steps.material import Source
from ml.steps.night import Keys, keys, parse

log = logging.getLogger(__name__)

GATE = "gate"
MEGABYTE = 1e6


def run(
    domain: str, as_of: str, known_at: str, snapshot: str, horizon: str, version: str, reason: str = SCHEDULED
) -> Keys:
    """Judge one candidate, and with it those of earlier looks; returns the night's keys with `horizon` and the
    `decision_id` of the one that is promoted, or else of the candidate.

    reason: why the candidate was trained; any but `scheduled` asks for a look at once, if the year has one left. What
    was decided is not asked again: the same call gives the same decision and spends no alpha.
    """
    config = settings()
    target = domains.target(domain, horizon, config)
    night = parse(domain, as_of, known_at)
    warehouse = Warehouse(config.require_warehouse_dsn())
    gate = Gate(config, warehouse, target, night, models.champion(warehouse, target), at_once=reason != SCHEDULED)
    number = int(version)
    decision_id = gate.decided(number)
    if decision_id is None:
        gate.judge(models.version(warehouse, target, number))
        decision_id = gate.decided(number, again=True)
        assert decision_id is not None
    return keys(night, snapshot=snapshot, horizon=target.name, decision_id=str(decision_id))


@dataclass(frozen=True)
class _Judged:
    """A candidate's row and what was said of it."""

    candidate: Row
    decision: Decision


@dataclass(frozen=True)
class Gate:
    """One night at the gate of a target. champion: the promotion that holds, None before the first."""

    config: Settings
    warehouse: Warehouse
    target: Target
    night: Night
    champion: Row | None
    at_once: bool

    @property
    def _champions_version(self) -> int | None:
        return int(self.champion["to_version"]) if self.champion else None

    def decided(self, candidate: int, *, again: bool = False) -> int | None:
        """The decision of tonight's look or, without one, that about the candidate; None when there is none yet.

        Where no look was taken, asking for one at once is another question. again: it has just been asked.
        """
        if self.champion is not None and self._champions_version == candidate:
            return int(self.champion["decision_id"])
        said = models.decision_about(self.warehouse, self.target, candidate, self._champions_version)
        if said is None or (self.at_once and not again and said["door"] == "replace" and not said["look"]):
            return None
        if said["look"] and self._champions_version is not None:
            promoting = models.decision_of_look(self.warehouse, self.target, said["as_of"], self._champions_version)
            said = promoting or said
        return int(said["decision_id"])

    def judge(self, candidate: Row) -> None:
        """Judge the candidate, with those of earlier looks if one is due, and store what was said.

        Once more where another retraining has taken the look meanwhile.
        """
        while not self.judged(candidate, self.taken()):
            log.warning("%s: another retraining has taken a look meanwhile", self.target.model_name)
            if self.decided(int(candidate["version"]), again=True) is not None:
                return  # a twin judged the same candidate

    def judged(self, candidate: Row, taken: list[Row]) -> bool:
        """Judge and store, unless a look that was not among those taken has come in between: then nothing is stored."""
        judged = self._judged(candidate, taken)
        best = only_the_best([each.decision for each in judged])
        for each, decision in zip(judged, best, strict=True):
            number = each.candidate["version"]
            log.info("%s version %d: %s, %s", self.target.model_name, number, decision.verdict, decision.reason)
        rows = [self._row(each.candidate["version"], said) for each, said in zip(judged, best, strict=True)]
        is_look = any(row["look"] for row in rows)
        with self.warehouse.transaction() as transaction:
            models.lock_champion(transaction, self.target)
            if is_look and models.looks_since(transaction, self.target, self._year_ago) != taken:
                return False
            models.record_decisions(transaction, rows)
            if is_look:
                aliases.put_right(transaction, self._registry, self.target)
        return True

    def _judged(self, candidate: Row, taken: list[Row]) -> list[_Judged]:
        if self.champion is None:
            return [_Judged(candidate, _telling_who_is_missing(self._decide(candidate, None), candidate))]
        if (why := _why_it_stays(self.champion, candidate)) is not None:
            return [_Judged(candidate, kept_out(self.target, self._contender(candidate), why))]
        if (why := _why_it_cannot_serve(candidate, self.champion)) is not None:
            decision = self._decide(candidate, None)
            reason = f"champion version {self._champions_version} cannot serve: {why}; {decision.reason}"
            return [_Judged(candidate, _telling_who_is_missing(replace(decision, reason=reason), candidate))]
        if candidate["recipe_digest"] == self.champion["recipe_digest"]:
            return [_Judged(candidate, self._refresh(candidate))]
        if (why := self._why_no_look(taken)) is not None:
            return [_Judged(candidate, kept_out(self.target, self._contender(candidate), why))]
        decision = self._decide(candidate, self._refitted(candidate))
        newest = _Judged(candidate, _telling_who_is_missing(self._if_it_loads(candidate, decision), candidate))
        return [newest, *self._again(candidate)]

    @property
    def _year_ago(self) -> datetime:
        return self.night.as_of - looks.YEAR

    def taken(self) -> list[Row]:
        """The nights of the past year, and later ones, on which the target was looked at."""
        with self.warehouse.transaction() as transaction:
            return models.looks_since(transaction, self.target, self._year_ago)

    def _why_no_look(self, taken: list[Row]) -> str | None:
        spent = Spent([row["as_of"] for row in taken], float(sum(row["alpha"] for row in taken)))
        return looks.why_not(self._budget, spent, self.night.as_of, at_once=self.at_once)

    @property
    def _budget(self) -> Budget:
        return Budget(self.config.alpha_per_year, self.config.looks_per_year)

    def _decide(self, candidate: Row, champion: Contender | None) -> Decision:
        return decide(self.target, self._contender(candidate), champion, looks.look(self._budget, 1), self._rules)

    @cached_property
    def _rules(self) -> Rules:
        limits = Limits(
            cost_bps=self.config.costs_bps,
            most_bytes=self.config.most_model_mb * MEGABYTE,
            most_seconds=self.config.most_night_seconds,
        )
        least = self.config.min_improvements.get(self.target.name, 0.0)
        return Rules(least, limits, models.trials_made(self.warehouse, self.target), self._is_overdue())

    def _is_overdue(self) -> bool:
        if self.champion is None:
            return False
        parts = domains.parts(self.target.domain, self.config)
        age = parts.nights_between(self.champion["as_of"], self.night.as_of)
        return 0 < PATIENCE * self.config.refresh_sessions <= age

    def _again(self, newest: Row) -> list[_Judged]:
        """Those of earlier looks once more, with what they have predicted in shadow since then."""
        assert self.champion is not None
        judged = []
        for row in models.challengers(self.warehouse, self.target, self.champion, self.night.as_of):
            version, digest = int(row["version"]), self.champion["recipe_digest"]
            challenger = models.version(self.warehouse, self.target, version)
            if version == newest["version"] or _why_it_cannot_serve(challenger, newest) is not None:
                continue
            first = models.first_look(self.warehouse, self.target, version, digest)
            since = shadows.series(self.warehouse, self.target, version, digest, self.night.as_of)
            look = looks.look(self._budget, int(row["looks"]) + 1)
            decision = decide_again(self.target, first["evidence"], first["has_skill"], since, look, self._rules)
            judged.append(_Judged(challenger, self._if_it_loads(challenger, decision)))
        return judged

    def _if_it_loads(self, candidate: Row, decision: Decision) -> Decision:
        """The same, unless it promotes what cannot be loaded."""
        if decision.verdict != "promote":
            return decision
        why = self._registry.why_broken(self.target.model_name, int(candidate["version"]))
        if why is None:
            return decision
        return replace(decision, verdict="keep", reason=f"its artifact cannot be loaded ({why}); {decision.reason}")

    @cached_property
    def _registry(self) -> Registry:
        return Registry(self.config.require_mlflow_uri())

    def _contender(self, candidate: Row) -> Contender:
        return _contender(candidate, self._registry.evidence(candidate["run_id"], OUT_OF_FOLD_TABLE))

    def _refresh(self, candidate: Row) -> Decision:
        """What newer rows are worth to a recipe shows beside the same recipe, as old as the champion is."""
        try:
            return self._decide(candidate, self._refitted(candidate, is_older=True))
        except TrainingError as error:
            why = f"it cannot be told what newer rows are worth: {error}"
            return replace(kept_out(self.target, self._contender(candidate), why), door="refresh")

    def _refitted(self, candidate: Row, *, is_older: bool = False) -> Contender:
        """The champion's recipe refitted on the candidate's outer folds; is_older: on rows as old as those it knows."""
        assert self.champion is not None
        serving = models.version(self.warehouse, self.target, self.champion["to_version"])
        parts = domains.parts(self.target.domain, self.config)
        rows = Source.of(self.config, parts, candidate["snapshot_digest"]).gather(self.target)
        recipe = Recipe.from_json(models.recipe_json(serving))
        lag = lag_between(rows.dataset, _train_end(serving), _train_end(candidate)) if is_older else 0
        return _contender(serving, refitted(recipe, rows.dataset, rows.folds, self.config.threads, log.info, lag))

    def _row(self, version: int, decision: Decision) -> Row:
        return {
            "domain": self.target.domain,
            "target": self.target.name,
            "candidate_version": version,
            "champion_version": self._champions_version,
            "as_of": self.night.as_of,
            "door": decision.door,
            "look": decision.look,
            "verdict": decision.verdict,
            "reason": decision.reason,
            "alpha_spent": decision.alpha_spent,
            "has_skill": decision.has_skill,
            "evidence": decision.evidence,
            "decided_by": GATE,
        }


def _telling_who_is_missing(decision: Decision, candidate: Row) -> Decision:
    if not candidate["left_out"]:
        return decision
    missing = ", ".join(candidate["left_out"])
    return replace(decision, reason=f"{decision.reason}; the candidate was made without {missing}, which did not learn")


def _why_it_stays(champion: Row, candidate: Row) -> str | None:
    """A champion of later nights stays, whatever a replayed night brings."""
    if champion["as_of"] <= candidate["as_of"]:
        return None
    return f"a past night: champion version {champion['to_version']} has been trained on later ones and stays"


def _why_it_cannot_serve(candidate: Row, champion: Row) -> str | None:
    """A champion whose features nobody computes any more can neither be refitted nor predict; one that has learned
    another label answers another question."""
    if champion["feature_set_digest"] != candidate["feature_set_digest"]:
        return "its feature set is no longer computed"
    learned = champion["recipe"].get("label")
    if learned != candidate["recipe"]["label"]:
        return f"it has learned the label {learned}, the target declares {candidate['recipe']['label']}"
    return None


def _contender(row: Row, oof: pd.DataFrame) -> Contender:
    return Contender(row["recipe_digest"], oof, _train_end(row), _facts(row))


def _train_end(row: Row) -> np.datetime64:
    return np.datetime64(pd.Timestamp(row["train_end"]).tz_convert(None), "us")


def _facts(row: Row) -> Facts:
    costs = row["costs"]
    night = costs.get("night", {})
    return Facts(costs.get("size_bytes"), costs.get("load_seconds"), night.get("p95_seconds"), row["overfitting"])
