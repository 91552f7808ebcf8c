"""Landing to bars: good rows are taken in, bad rows are quarantined, a failed suite stops the night."""

from __future__ import annotations

import logging
from datetime import UTC

import pandas as pd

from ml.domain import Night
from ml.equity import bar_rules, sessions
from ml.errors import SuiteFailed
from ml.io.store import Store
from ml.io.warehouse import Warehouse, bars
from ml.settings import settings
from ml.steps.night import Keys, keys

log = logging.getLogger(__name__)


def run(ingest_id: str) -> Keys:
    """Check one delivery and take it in; returns the night's keys, now with `known_at`.

    SuiteFailed, with every failed check in its message, leaves the bars as they were.
    """
    config = settings()
    warehouse = Warehouse(config.require_warehouse_dsn())
    ingest = bars.landing(warehouse, int(ingest_id))
    if ingest["status"] == "accepted":
        log.info("ingest %s was accepted before", ingest_id)
        return keys(Night(ingest["domain"], ingest["as_of"].astimezone(UTC), ingest["known_at"].astimezone(UTC)))
    store = Store(config.store_root)
    as_of = pd.Timestamp(ingest["as_of"]).tz_convert("UTC")
    rows = bar_rules.check_rows(store.get(f"{ingest['landing_key']}/bars"), config.calendar, as_of)
    night = bar_rules.check_night(
        rows.accepted,
        len(rows.quarantined),
        int(ingest["received_rows"]),
        _rows_before(warehouse, config.calendar, as_of),
        as_of,
        config.quarantine_budget,
        config.min_rows_ratio,
    )
    actions = store.get(f"{ingest['landing_key']}/actions")
    checks = [*rows.results, bar_rules.check_actions(rows.accepted, actions, config.calendar), *night]
    evidence = [vars(check) for check in checks]
    failed = [check for check in night if not check.passed and check.severity == "fail"]
    if failed:
        bars.refuse(warehouse, ingest, rows.quarantined, evidence)
        raise _suite_failed(failed)
    done = bars.accept(warehouse, ingest, rows.accepted, actions, rows.quarantined, evidence)
    log.info(
        "ingest %s: %d inserted, %d restated, %d unchanged, %d quarantined",
        ingest_id, done.inserted, done.restated, done.unchanged, done.quarantined,
    )  # fmt: skip
    return keys(Night(ingest["domain"], ingest["as_of"].astimezone(UTC), done.known_at.astimezone(UTC)))


def _rows_before(warehouse: Warehouse, calendar: str, as_of: pd.Timestamp) -> int | None:
    """How many symbols had a bar in the session before; None when the warehouse knows none."""
    before = sessions.later_close(calendar, pd.Series([as_of]), -1).iloc[0]
    return bars.rows_in_session(warehouse, before.to_pydatetime()) or None


def _suite_failed(failed: list[bar_rules.CheckResult]) -> SuiteFailed:
    return SuiteFailed(
        "; ".join(f"{check.check}: {check.observed}" for check in failed),
        "; ".join(f"{check.check}: {check.expected}" for check in failed),
        "Look at serving.data_quality and serving.quarantine, mend the source and run the night again; "
        "readers still see the last published night",
    )
