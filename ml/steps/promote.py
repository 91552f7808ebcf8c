"""A decision takes effect: the warehouse records since when and why, and the registry's aliases move with it."""

from __future__ import annotations

import logging

from ml.domain import Target
from ml.errors import Superseded
from ml.io.registry import Registry
from ml.io.warehouse import Warehouse, freezes, models
from ml.io.warehouse.connection import Row, Transaction
from ml.settings import settings
from ml.steps import aliases, approve, domains
from ml.steps.night import Keys

log = logging.getLogger(__name__)


def run(decision_id: str) -> Keys:
    """Carry one decision out; `promoted` is "yes" or "no" in what it returns.

    Not while a person has frozen the target, nor without the approval that AFTERBELL_APPROVAL asks for, nor when
    another champion came meanwhile: then the verdict is `keep`, and the reason says so. RegistryError when its model
    cannot be loaded or MLflow does not answer; then nothing has changed.
    """
    config = settings()
    warehouse = Warehouse(config.require_warehouse_dsn())
    decided = models.decision(warehouse, int(decision_id))
    target = domains.target(decided["domain"], decided["target"], config)
    verdict, reason = approve.ruling(config, warehouse, decided)
    if verdict == "promote":
        registry = Registry(config.require_mlflow_uri())
        with warehouse.transaction() as transaction:
            models.lock_champion(transaction, target)
            frozen = freezes.standing(transaction, target)
            try:
                if frozen is None:
                    take_effect(transaction, registry, target, decided)
                else:
                    verdict, reason = "keep", f"{_in_words(frozen)}; {reason}"
            except Superseded as error:  # before anything was written
                verdict, reason = "keep", f"superseded by {error.found}, nothing was changed; {reason}"
    log.info("%s: %s version %s, %s", target.model_name, verdict, decided["candidate_version"], reason)
    return {
        "horizon": target.name,
        "decision_id": decision_id,
        "promoted": "yes" if verdict == "promote" else "no",
        "verdict": verdict,
        "version": str(decided["candidate_version"]),
        "reason": reason,
    }


def take_effect(transaction: Transaction, registry: Registry, target: Target, decided: Row) -> None:
    """Record the move and move the aliases, inside a transaction that holds the lock. RegistryError, with nothing done,
    when the version cannot be loaded.

    Killed before the transaction ends, nothing is recorded and an alias may point ahead. The same again puts that
    right, and so does whoever comes next: predictions, `reconcile`, another promotion.
    """
    models.promote(transaction, target, decided)
    registry.require(target.model_name, int(decided["candidate_version"]))
    aliases.put_right(transaction, registry, target)


def _in_words(frozen: Row) -> str:
    """Who has frozen a target, since when and why."""
    return f"frozen since {frozen['decided_at']:%Y-%m-%d} by {frozen['decided_by']} ({frozen['why']})"
