"""A decision takes effect: the registry's alias `champion` moves, and the warehouse records since when and why."""

from __future__ import annotations

import logging

from ml.io.registry import Registry
from ml.io.warehouse import Warehouse, models
from ml.settings import settings
from ml.steps import domains
from ml.steps.night import Keys

log = logging.getLogger(__name__)


def run(decision_id: str) -> Keys:
    """Carry one decision out; `promoted` is "yes" or "no" in what it returns.

    The alias moves inside the transaction that records the move: killed between the two, the next
    run of this step puts both right. Superseded when another champion came meanwhile.
    """
    config = settings()
    warehouse = Warehouse(config.require_warehouse_dsn())
    decided = models.decision(warehouse, int(decision_id))
    target = domains.target(decided["domain"], decided["target"], config)
    promoted = decided["verdict"] == "promote"
    if promoted:
        registry = Registry(config.require_mlflow_uri())
        with warehouse.transaction() as transaction:
            models.lock_champion(transaction, target)
            models.promote(transaction, target, decided)
            registry.set_champion(target.model_name, int(decided["candidate_version"]))
    log.info("%s: %s version %s", target.model_name, decided["verdict"], decided["candidate_version"])
    return {
        "horizon": target.name,
        "promoted": "yes" if promoted else "no",
        "verdict": decided["verdict"],
        "version": str(decided["candidate_version"]),
        "reason": decided["reason"],
    }
