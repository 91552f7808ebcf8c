"""Refused rows, and what reviewers said of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal, Protocol

import pandas as pd

from ml.frames import ACTIONS, QUARANTINE
from ml.io.warehouse.connection import Parameters, Row, Warehouse

Verdict = Literal["release", "reject"]
STATES: dict[Verdict, str] = {"release": "released", "reject": "rejected"}


class Asked(Protocol):
    """A warehouse, or a transaction in it."""

    def rows(self, name: str, parameters: Parameters | None = None) -> list[Row]: ...


@dataclass(frozen=True)
class Choice:
    """Which rows a reviewer means: all that fit everything given. `again`: those judged before, too."""

    symbols: tuple[str, ...] = ()
    first: date | None = None
    last: date | None = None
    reason: str | None = None
    again: bool = False


def released(source: Asked) -> pd.DataFrame:
    """The rows whose values reviewers released: QUARANTINE."""
    return _frame(source.rows("quarantine_released"))


def review(
    warehouse: Warehouse,
    choice: Choice,
    verdict: Verdict,
    reviewed_by: str,
    why: str,
    judge: Callable[[pd.DataFrame, pd.DataFrame], None],
) -> int:
    """Write a verdict down on every row that is chosen and does not stand so already; returns how many.

    judge: sees the chosen rows and those released before (QUARANTINE both); what it raises leaves all as it was.
    Reviewers take turns: each sees what those before decided.
    """
    with warehouse.transaction() as transaction:
        transaction.lock("market.quarantine")
        named = {
            "state": STATES[verdict],
            **vars(choice),
            "symbols": list(choice.symbols) or None,
            "reason": choice.reason or None,
        }
        rows = transaction.rows("quarantine_chosen", named)
        judge(_frame(rows), released(transaction))
        ids = [row["quarantine_id"] for row in rows]
        return transaction.execute(
            "quarantine_review", {"quarantine_ids": ids, "verdict": verdict, "reviewed_by": reviewed_by, "why": why}
        )


def pending(warehouse: Warehouse, last: date) -> tuple[list[int], pd.DataFrame]:
    """The rows (QUARANTINE) of sessions up to `last` that are released and in no delivery yet, and their reviews."""
    rows = warehouse.rows("quarantine_pending", {"last": last})
    return [row["review_id"] for row in rows], _frame(rows)


def taken_in(warehouse: Warehouse, review_ids: Sequence[int], ingest_id: int) -> None:
    """Write down that a delivery carried these releases out."""
    with warehouse.transaction() as transaction:
        transaction.execute("quarantine_taken_in", {"review_ids": list(review_ids), "ingest_id": ingest_id})


def last_night(warehouse: Warehouse, domain: str) -> Row | None:
    """`domain`, `provider` and `as_of` of the last night that was taken in, None before the first."""
    return warehouse.row("quarantine_night", {"domain": domain})


def actions_believed(source: Asked, symbols: Sequence[str], first: date, last: date) -> pd.DataFrame:
    """ACTIONS of `symbols` from `first` to `last` as they are believed now."""
    rows = source.rows("actions_believed", {"symbols": list(symbols), "first": first, "last": last})
    return ACTIONS.cast(pd.DataFrame(rows, columns=list(ACTIONS.columns)))


def _frame(rows: list[Row]) -> pd.DataFrame:
    return QUARANTINE.cast(pd.DataFrame(rows, columns=list(QUARANTINE.columns)))
