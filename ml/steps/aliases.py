"""The registry's aliases say what the warehouse says.

`champion` is the version that the last promotion made serve, `previous` the one that served before it, `challenger` the
newest candidate that was looked at and may be looked at again. A row of the warehouse and an alias of MLflow cannot be
written as one. So the warehouse is right, and whoever holds a target's lock and finds that they differ moves the alias.
"""

from __future__ import annotations

import logging

from ml.domain import Target
from ml.io.registry import Registry
from ml.io.warehouse import Warehouse, models
from ml.io.warehouse.connection import Transaction

log = logging.getLogger(__name__)

PREVIOUS, CHALLENGER, CHAMPION = "previous", "challenger", "champion"


def put_right(transaction: Transaction, registry: Registry, target: Target) -> list[str]:
    """Move the aliases that differ from what the warehouse says; returns what it moved, in words.

    Call inside a transaction that holds `models.lock_champion`; what that has written counts. The alias that
    others load models by, `champion`, moves last. A `previous` or `challenger` that was deleted from MLflow has none.
    """
    moved = []
    for alias, version in _due(transaction, target).items():
        found, wanted = registry.alias(target.model_name, alias), version
        if found != wanted and wanted is not None and alias != CHAMPION and not registry.has(target.model_name, wanted):
            wanted = None
        if found != wanted:
            registry.point(target.model_name, alias, wanted)
            moved.append(f"{target.model_name}: alias {alias} moved from {_named(found)} to {_named(wanted)}")
    return moved


def repair(warehouse: Warehouse, registry: Registry, target: Target) -> list[str]:
    """Wait until no promotion is under way and put the aliases right, with a warning about each that was wrong."""
    with warehouse.transaction() as transaction:
        models.lock_champion(transaction, target)
        moved = put_right(transaction, registry, target)
    for line in moved:
        log.warning("%s, as the warehouse has it: a promotion was interrupted, or somebody moved it by hand", line)
    return moved


def _due(transaction: Transaction, target: Target) -> dict[str, int | None]:
    """By alias, in the order in which they are moved, the version that the warehouse says."""
    champion = models.champion_in(transaction, target)
    if champion is None:
        return dict.fromkeys((PREVIOUS, CHALLENGER, CHAMPION))
    waiting = models.challengers_in(transaction, target, champion)
    return {
        PREVIOUS: champion["from_version"],
        CHALLENGER: waiting[-1]["version"] if waiting else None,
        CHAMPION: champion["to_version"],
    }


def _named(version: int | None) -> str:
    return f"version {version}" if version is not None else "none"
