"""What versions that do not serve have predicted beside the champion."""

from __future__ import annotations

from datetime import datetime

import pandas as pd

from ml.domain import Target
from ml.io.warehouse.connection import Warehouse


def series(warehouse: Warehouse, target: Target, version: int, recipe_digest: str, until: datetime) -> pd.Series[float]:
    """The differences in score by date; none, as nobody predicts in shadow yet."""
    del warehouse, target, version, recipe_digest, until
    nothing: list[float] = []
    return pd.Series(nothing, index=pd.DatetimeIndex([], tz="UTC"), dtype="float64")
