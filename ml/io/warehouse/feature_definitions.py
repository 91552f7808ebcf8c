"""What the columns of a feature set mean, beside the nights that were computed with it."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg2.extras import Json

from ml.io.warehouse.connection import Parameters, Warehouse


def record(warehouse: Warehouse, rows: Sequence[Parameters]) -> None:
    """Write a set's rows of market.feature_definitions down.

    Writing them again changes nothing but words that were bettered meanwhile, which the digest leaves out.
    """
    with warehouse.transaction() as transaction:
        # The rows are unique in two ways, and ON CONFLICT settles one: of twins, one would fail by the other.
        transaction.lock("market.feature_definitions")
        transaction.execute("feature_definitions_upsert", {"definitions": Json(list(rows))})
