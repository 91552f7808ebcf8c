"""A retraining begins: what is to be trained, why, and whose wish it was."""

from __future__ import annotations

from ml.domain import REASONS
from ml.errors import SettingsError
from ml.io.warehouse import Warehouse, people
from ml.settings import settings
from ml.steps import domains


def begin(
    domain: str, asked: list[str] | None, reason: str, requested_by: str | None = None, request: str | None = None
) -> list[str]:
    """The horizons to train: those asked for, or those of the settings.

    What a person asked for is written down under `request`; the same request again changes nothing.
    """
    horizons = domains.horizons(domain, asked)
    check(reason)
    if requested_by and request:
        warehouse = Warehouse(settings().require_warehouse_dsn())
        people.record_retraining(warehouse, request, domain, horizons, reason, requested_by)
    return horizons


def tags(reason: str, requested_by: str | None) -> dict[str, str]:
    """Why something was trained, as MLflow's runs tell it."""
    return {"reason": check(reason), **({"requested_by": requested_by} if requested_by else {})}


def check(reason: str) -> str:
    """The reason itself; SettingsError for one that nobody knows."""
    if reason not in REASONS:
        raise SettingsError(f"the reason {reason!r}", f"one of {', '.join(REASONS)}", "Choose one of them")
    return reason
