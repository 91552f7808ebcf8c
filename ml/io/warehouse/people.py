"""What people say and ask for: their word on a decision to promote, and retraining."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ml.io.warehouse.connection import Row, Warehouse


def approval(warehouse: Warehouse, decision_id: int) -> Row | None:
    """The word on a decision (approved, decided_by, decided_at, note), or None while there is none."""
    return warehouse.row("approval", {"decision_id": decision_id})


def record_approval(
    warehouse: Warehouse,
    decision_id: int,
    *,
    approved: bool,
    decided_by: str | None,
    decided_at: datetime | None,
    note: str,
) -> None:
    """Write a word on a decision down; the first one stands. decided_by: None when nobody answered in time."""
    told = {"decision_id": decision_id, "approved": approved, "decided_by": decided_by, "note": note}
    with warehouse.transaction() as transaction:
        transaction.execute("approval_insert", {**told, "decided_at": decided_at})


def record_retraining(
    warehouse: Warehouse, request: str, domain: str, horizons: Sequence[str], reason: str, requested_by: str
) -> None:
    """Write down that a person asked for a retraining; the same request again changes nothing."""
    told = {"request": request, "domain": domain, "horizons": list(horizons)}
    with warehouse.transaction() as transaction:
        transaction.execute("retrain_request_insert", {**told, "reason": reason, "requested_by": requested_by})
