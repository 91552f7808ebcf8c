"""Targets whose champion only a person may change."""

from __future__ import annotations

from ml.domain import Target
from ml.io.warehouse.connection import Row, Transaction


def freeze(transaction: Transaction, target: Target, *, is_frozen: bool, decided_by: str, why: str) -> None:
    """Write down that a target is frozen, or let go, from now on.

    Call inside a transaction that holds `models.lock_champion`.
    """
    told = {"domain": target.domain, "target": target.name, "decided_by": decided_by, "why": why}
    transaction.execute("freeze_insert", {**told, "is_frozen": is_frozen})


def standing(transaction: Transaction, target: Target) -> Row | None:
    """Who froze a target, when and why (decided_by, decided_at, why); None when it is not frozen."""
    rows = transaction.rows("freeze_last", {"domain": target.domain, "target": target.name})
    return rows[0] if rows and rows[0]["is_frozen"] else None
