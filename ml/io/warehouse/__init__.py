"""The Postgres warehouse: bars and their checks, models and decisions, publications."""

from ml.io.warehouse.connection import Warehouse

__all__ = ["Warehouse"]
