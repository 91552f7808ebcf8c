"""How old a champion is, and a word to whoever is on call when nothing has refreshed it for too long."""

from __future__ import annotations

import logging

from ml.io.warehouse import Warehouse, models
from ml.settings import settings
from ml.steps import domains
from ml.steps.night import last_accepted

log = logging.getLogger(__name__)

PATIENCE = 2
"""Of the sessions after which a champion is to be refreshed; the view serving.models has the same."""


def run(domain: str, horizon: str) -> str:
    """What to do about a champion that is older than twice AFTERBELL_REFRESH_SESSIONS, logged as a warning; else "".

    Its age is counted up to the last accepted night, whichever night is being retrained.
    """
    config = settings()
    target = domains.target(domain, horizon, config)
    warehouse = Warehouse(config.require_warehouse_dsn())
    champion = models.champion(warehouse, target)
    if champion is None or not config.refresh_sessions:
        return ""
    age = domains.parts(domain, config).nights_between(champion["as_of"], last_accepted(warehouse, domain).as_of)
    if age <= PATIENCE * config.refresh_sessions:
        return ""
    told = (
        f"version {champion['to_version']} of {target.model_name} was trained {age} sessions ago and is to be "
        f"refreshed after {config.refresh_sessions}: the log of the task `refresh`, and `reason` in serving.promotions "
        f"where door is refresh, say why it was not; a person may promote a newer version (equity_models)"
    )
    log.warning("%s", told)
    return told
