"""The registry's aliases of every target are looked at beside the warehouse, put right, and what was wrong is told."""

from __future__ import annotations

from ml.io.registry import Registry
from ml.io.warehouse import Warehouse
from ml.settings import settings
from ml.steps import aliases, domains


def run(domain: str) -> list[str]:
    """A line for each alias that was moved, or one that says that none had to be. Running it at any time does no harm.

    Not only what promotions leave behind when they are killed: an alias that somebody moved by hand moves back.
    """
    config = settings()
    warehouse, registry = Warehouse(config.require_warehouse_dsn()), Registry(config.require_mlflow_uri())
    targets = domains.parts(domain, config).domain.targets
    moved = [line for target in targets for line in aliases.repair(warehouse, registry, target)]
    return moved or [f"aliases of {', '.join(target.model_name for target in targets)}: as the warehouse has them"]
