"""Model versions, the gate's decisions and the promotions that follow from them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg2.errors import UniqueViolation
from psycopg2.extras import Json

from ml.domain import SCHEDULED, Target
from ml.errors import NotRecorded, RegistryError, Superseded
from ml.io.warehouse.connection import Parameters, Row, Transaction, Warehouse

MOST_LOOKS = 4
"""At one candidate; the table of decisions checks it as well."""


@dataclass(frozen=True)
class ModelVersion:
    """What a training produced, as the warehouse keeps it beside the registry."""

    domain: str
    target: str
    version: int
    training_key: str
    run_id: str
    estimator: str
    recipe: Mapping[str, Any]
    recipe_digest: str
    feature_set_digest: str
    snapshot_digest: str
    as_of: datetime
    known_at: datetime
    train_start: datetime
    train_end: datetime
    train_rows: int
    trials: int
    scores: Mapping[str, Any]
    left_out: list[str]
    importance: list[dict[str, Any]]
    code_commit: str
    costs: Mapping[str, Any] = field(default_factory=dict)
    overfitting: float | None = None
    reason: str = SCHEDULED
    requested_by: str | None = None


def record_version(warehouse: Warehouse, version: ModelVersion) -> None:
    """Write a trained version down; writing it again changes nothing.

    RegistryError when the warehouse knows another version of that number: the registry is a new one.
    """
    try:
        with warehouse.transaction() as transaction:
            transaction.execute("model_version_insert", _jsonb(vars(version)))
    except UniqueViolation as error:
        if version_trained_for(warehouse, version.training_key) is not None:
            return  # a twin wrote the very same row while this one was on its way
        raise RegistryError(
            f"version {version.version} of {version.domain}-{version.target} for the second time, in a new registry",
            "the registry that this warehouse has always been used with",
            "Point AFTERBELL_MLFLOW_URI to it, or give a new registry a new warehouse",
        ) from error


def version_trained_for(warehouse: Warehouse, training_key: str) -> Row | None:
    """The version that already answers this training question, if any."""
    return warehouse.row("model_version_by_training_key", {"training_key": training_key})


def version(warehouse: Warehouse, target: Target, number: int) -> Row:
    """One version's row; NotRecorded when the warehouse does not know it."""
    with warehouse.transaction() as transaction:
        return version_in(transaction, target, number)


def version_in(transaction: Transaction, target: Target, number: int) -> Row:
    """The same inside a transaction."""
    rows = transaction.rows("model_version", {**_target(target), "version": number})
    if not rows:
        raise NotRecorded(f"no version {number} of {target.model_name}", "one that train recorded", "Run train first")
    return rows[0]


def champion(warehouse: Warehouse, target: Target, as_of: datetime | None = None) -> Row | None:
    """The last promotion of a target with its version's skill, or None before the first.

    With `as_of`, the last one whose model has seen nothing later: what may answer that night.
    """
    return warehouse.row("champion", {**_target(target), "as_of": as_of})


def champion_in(transaction: Transaction, target: Target) -> Row | None:
    """The last promotion, inside a transaction."""
    return next(iter(transaction.rows("champion", {**_target(target), "as_of": None})), None)


def challengers(warehouse: Warehouse, target: Target, champion: Row, as_of: datetime) -> list[Row]:
    """Candidates that were looked at beside the champion's recipe by the night of `as_of` and may be again.

    Each with its `version`, `looks` taken, `since` (the night of the first) and `looked_at` (that of the last).
    """
    with warehouse.transaction() as transaction:
        return challengers_in(transaction, target, champion, as_of)


def challengers_in(transaction: Transaction, target: Target, champion: Row, as_of: datetime | None = None) -> list[Row]:
    """The same inside a transaction; without `as_of` by now."""
    asked = {"recipe_digest": champion["recipe_digest"], "champion_version": champion["to_version"]}
    return transaction.rows("challengers", {**_target(target), **asked, "as_of": as_of, "most_looks": MOST_LOOKS})


def skill_told(warehouse: Warehouse, target: Target, number: int) -> bool:
    """What the last decision about a version said of its skill; False before the first."""
    row = warehouse.row("skill_told", {**_target(target), "version": number})
    return bool(row["has_skill"]) if row else False


def recipe_json(row: Row) -> str:
    """The recipe of a version's row as the text that recipes are read from."""
    return json.dumps(row["recipe"])


def looks_since(transaction: Transaction, target: Target, since: datetime) -> list[Row]:
    """The nights after an instant on which a target was looked at, ascending: `as_of`, and the `alpha` they spent."""
    return transaction.rows("looks_since", {**_target(target), "since": since})


def trials_made(warehouse: Warehouse, target: Target) -> int:
    """All trials that were ever made for the versions of a target."""
    row = warehouse.row("trials_made", _target(target))
    return int(row["trials"]) if row else 0


def decision_about(warehouse: Warehouse, target: Target, candidate: int, champion_version: int | None) -> Row | None:
    """The last decision taken on this pair, if any."""
    return warehouse.row(
        "decision_about", {**_target(target), "candidate_version": candidate, "champion_version": champion_version}
    )


def refresh_tried(warehouse: Warehouse, target: Target, champion_version: int, before: datetime) -> datetime | None:
    """The last night before one on which the gate judged a newer fit of a champion's own recipe, if there is any."""
    asked = {**_target(target), "champion_version": champion_version, "before": before}
    row = warehouse.row("refresh_tried", asked)
    tried_at: datetime | None = row["tried_at"] if row else None
    return tried_at


def note_refresh_limit(warehouse: Warehouse, target: Target, sessions: int) -> None:
    """Write down after how many sessions a target's champion is to be refreshed; 0 for never."""
    with warehouse.transaction() as transaction:
        transaction.execute("refresh_limit_upsert", {**_target(target), "sessions": sessions})


def decision(warehouse: Warehouse, decision_id: int) -> Row:
    """One decision; NotRecorded when there is none."""
    row = warehouse.row("decision", {"decision_id": decision_id})
    if row is None:
        raise NotRecorded(f"no decision {decision_id}", "one that compare recorded", "Run compare first")
    return row


def decision_of_look(warehouse: Warehouse, target: Target, as_of: datetime, champion_version: int) -> Row | None:
    """The decision by which the look of a night promotes one of its candidates, if it does."""
    return warehouse.row("decision_of_look", {**_target(target), "as_of": as_of, "champion_version": champion_version})


def first_look(warehouse: Warehouse, target: Target, candidate: int, recipe_digest: str) -> Row:
    """The first look at a candidate beside the recipe that serves; NotRecorded when there was none."""
    asked = {**_target(target), "candidate_version": candidate, "recipe_digest": recipe_digest}
    row = warehouse.row("decision_first_look", asked)
    if row is None:
        raise NotRecorded(f"no first look at version {candidate} of {target.model_name}", "one", "Run compare first")
    return row


def record_decisions(transaction: Transaction, decisions: Sequence[Parameters]) -> None:
    """Store all decisions of a look whole, or none. Of twins the one that decided first has the word."""
    for values in decisions:
        transaction.execute("decision_insert", _jsonb(values))


def record_by_hand(
    transaction: Transaction,
    target: Target,
    candidate: int,
    *,
    action: str,
    decided_by: str,
    why: str,
    request: str | None,
) -> Row:
    """A person's decision that a version shall serve, with the skill that the gate last told of it.

    action: the audit log's word for it. request: by which `decided_on_request` finds it again. Call inside a
    transaction that holds `lock_champion`.
    """
    serving = champion_in(transaction, target)
    values = {
        **_target(target),
        "candidate_version": candidate,
        "champion_version": serving["to_version"] if serving else None,
        "reason": why,
        "decided_by": decided_by,
        "evidence": {"request": request, "action": action},
    }
    return transaction.one("decision_by_hand_insert", _jsonb(values))


def decided_on_request(transaction: Transaction, target: Target, request: str) -> Row | None:
    """What a person has decided by this request already, if anything."""
    return next(iter(transaction.rows("decision_on_request", {**_target(target), "request": request})), None)


def promote(transaction: Transaction, target: Target, decided: Row) -> None:
    """Record that a decision took effect; Superseded when another champion arrived meanwhile.

    Call inside a transaction that holds `lock_champion`; promoting twice changes nothing.
    """
    serving = champion_in(transaction, target)
    current = serving["to_version"] if serving else None
    if serving and serving["decision_id"] == decided["decision_id"]:
        return
    if current != decided["champion_version"]:
        raise Superseded(
            f"champion version {current} of {target.model_name}",
            f"version {decided['champion_version']}, against which decision {decided['decision_id']} was taken",
            "Nothing was changed; the next retraining compares with the new champion",
        )
    transaction.execute(
        "promotion_insert",
        {
            **_target(target),
            "from_version": current,
            "to_version": decided["candidate_version"],
            "decision_id": decided["decision_id"],
        },
    )


def lock_champion(transaction: Transaction, target: Target) -> None:
    """Let nobody else change this target's champion until the transaction ends."""
    transaction.lock(f"champion:{target.model_name}")


def _target(target: Target) -> dict[str, str]:
    return {"domain": target.domain, "target": target.name}


def _jsonb(values: Parameters) -> dict[str, Any]:
    return {key: Json(value) if isinstance(value, dict | list) else value for key, value in values.items()}
