"""Bars to labels: what came of every past row, as far as it is known."""

from __future__ import annotations

import logging

from ml.equity import labels as equity_labels
from ml.io.store import Store
from ml.settings import settings
from ml.steps import domains, keep, months
from ml.steps.night import Keys

log = logging.getLogger(__name__)


def run(domain: str, as_of: str, known_at: str, snapshot: str) -> Keys:
    """Label one night's data for every configured target; returns the keys it was given."""
    config = settings()
    store = Store(config.store_root)
    missing = [
        target
        for target in domains.parts(domain, config).domain.targets
        if not store.has(keep.labels(target, snapshot))
    ]
    if missing:
        adjusted = months.adjusted(store, domain, snapshot)
        labelled = equity_labels.labels(adjusted, tuple(missing), config.calendar)
        for target in missing:
            mine = labelled[labelled["target"] == target.name].reset_index(drop=True)
            manifest = {"as_of": as_of, "snapshot": snapshot, "label": target.label}
            store.put(keep.labels(target, snapshot), mine, manifest)
            log.info("labels %s (%s): %d rows", target.name, target.label, len(mine))
    return {"domain": domain, "as_of": as_of, "known_at": known_at, "snapshot": snapshot}
