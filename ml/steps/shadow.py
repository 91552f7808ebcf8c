"""What versions that do not serve would have said of a night: kept, so that they are judged by numbers later.

Challengers await another look of the gate, and the version that served before may be wanted back.
"""

from __future__ import annotations

import logging

from ml.domain import Night, Target
from ml.io.warehouse import Warehouse, models, shadows
from ml.io.warehouse.shadows import Role
from ml.settings import settings
from ml.steps import domains
from ml.steps.domains import Parts
from ml.steps.forecasts import Forecasts, in_shadow
from ml.steps.night import Keys, keys, parse

log = logging.getLogger(__name__)


def run(domain: str, as_of: str, known_at: str, snapshot: str) -> Keys:
    """Keep the words of all versions in shadow of all targets; returns the night's keys and how many were `new`.

    The first word of a version on a night stays: again changes nothing. A version that cannot answer is left out and
    said so in the log; it gets another chance when the step is run again.
    """
    config = settings()
    parts = domains.parts(domain, config)
    night = parse(domain, as_of, known_at)
    warehouse = Warehouse(config.require_warehouse_dsn())
    wanted = [each for target in parts.domain.targets for each in _wanted(warehouse, parts, target, night)]
    forecasts = Forecasts(config, parts, night, snapshot) if wanted else None
    new = sum(_kept(warehouse, forecasts, night, *each) for each in wanted) if forecasts else 0
    return keys(night, snapshot=snapshot, new=str(new))


def _wanted(warehouse: Warehouse, parts: Parts, target: Target, night: Night) -> list[tuple[Target, int, Role]]:
    champion = models.champion(warehouse, target, night.as_of)
    if champion is None:
        return []
    return [
        (target, version, role)
        for version, role in in_shadow(warehouse, parts, target, champion, night)
        if not shadows.is_recorded(warehouse, target, version, night.as_of)
    ]


def _kept(warehouse: Warehouse, forecasts: Forecasts, night: Night, target: Target, version: int, role: Role) -> bool:
    try:
        rows = forecasts.bare(target, version)
    except Exception as error:  # an artifact that is gone or damaged fails in as many ways as there are estimators
        log.warning("%s: %s version %d says nothing of this night: %s", target.model_name, role, version, error)
        return False
    new = shadows.record(warehouse, target, version, role, night.as_of, rows)
    log.info("%s: %s version %d in shadow, %d rows", target.model_name, role, version, len(rows))
    return new
