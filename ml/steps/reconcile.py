"""The registry's aliases of every target are looked at beside the warehouse, put right, and what was wrong is told."""

from __future__ import annotations

import logging

from ml.errors import RegistryError
from ml.io.registry import Registry
from ml.io.warehouse import Warehouse
from ml.settings import settings
from ml.steps import aliases, domains

log = logging.getLogger(__name__)


def run(domain: str) -> list[str]:
    """A line for each alias that was moved, or one that says that none had to be. Running it at any time does no harm.

    Not only what promotions leave behind when they are killed: an alias that somebody moved by hand moves back.
    RegistryError when that fails for a target, after the others have had their turn.
    """
    config = settings()
    warehouse, registry = Warehouse(config.require_warehouse_dsn()), Registry(config.require_mlflow_uri())
    targets = domains.parts(domain, config).domain.targets
    moved: list[str] = []
    failed: list[RegistryError] = []
    for target in targets:
        try:
            moved += aliases.repair(warehouse, registry, target)
        except RegistryError as error:
            log.warning("%s cannot be put right: %s", target.model_name, error)
            failed.append(error)
    if failed:
        raise failed[0]
    return moved or [f"aliases of {', '.join(target.model_name for target in targets)}: as the warehouse has them"]
