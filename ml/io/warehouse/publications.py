"""Predictions become visible here: written, and published by one row, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd
from psycopg2.extras import Json

from ml import frames
from ml.domain import Night
from ml.io.warehouse.connection import Row, Warehouse

COLUMNS = tuple(frames.PREDICTIONS.columns)


@dataclass(frozen=True)
class Published:
    """The night's last word, and whether it is the one that was offered: `new` is false when nothing was written."""

    publication_id: int
    new: bool


def previous_predictions(warehouse: Warehouse, night: Night) -> pd.DataFrame | None:
    """entity, target and p_up of the final predictions of the last night before this one; None when there is none."""
    rows = warehouse.rows("predictions_before", {"domain": night.domain, "as_of": night.as_of})
    if not rows:
        return None
    return pd.DataFrame(rows)


def publish(
    warehouse: Warehouse,
    night: Night,
    snapshot_digest: str,
    content_key: str,
    predictions: pd.DataFrame,
    audit: Sequence[Mapping[str, Any]],
    expires_at: datetime | None,
    arms: pd.DataFrame | None = None,
) -> Published:
    """Write audited predictions and the row that makes them visible; readers see all or nothing.

    predictions: the champions' rows; arms: those that challengers serve beside them in a canary, if any.

    `content_key` names the answer (data, models): when it is already the last word on this night,
    nothing is written and what readers see does not change. Nor is anything when the last word was
    said with later knowledge: an old night never comes back over its correction.
    """
    with warehouse.transaction() as transaction:
        transaction.lock(f"publication:{night.domain}")
        last = next(iter(transaction.rows("publication_last", {"domain": night.domain, "as_of": night.as_of})), None)
        if last is not None and (last["content_key"] == content_key or last["known_at"] > night.known_at):
            return Published(int(last["publication_id"]), new=False)
        row: Row = transaction.one(
            "publication_insert",
            {
                "domain": night.domain,
                "as_of": night.as_of,
                "known_at": night.known_at,
                "snapshot_digest": snapshot_digest,
                "content_key": content_key,
                "row_count": len(predictions),
                "audit": Json(list(audit)),
                "expires_at": expires_at,
            },
        )
        transaction.execute("incoming_predictions")
        transaction.copy("incoming_predictions_copy", predictions[list(COLUMNS)].assign(role="champion"))
        if arms is not None and len(arms):
            transaction.copy("incoming_predictions_copy", arms[list(COLUMNS)].assign(role="challenger"))
        transaction.execute(
            "predictions_insert",
            {"publication_id": row["publication_id"], "domain": night.domain, "as_of": night.as_of},
        )
        return Published(int(row["publication_id"]), new=True)
