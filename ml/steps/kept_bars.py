"""Raw bars of years that ended: read from the warehouse once, and then from the store.

In the warehouse no version of a bar is ever changed or removed: a correction adds one, known from a later instant on
than all before. So what was known by one instant holds all that was known by an earlier one, and is the same when it is
as many versions. They are counted anew each night.
"""

from __future__ import annotations

from datetime import UTC

import pandas as pd

from ml.domain import Night
from ml.errors import StoreError
from ml.io.store import Store
from ml.io.warehouse import Warehouse, bars
from ml.steps import keep


def of_year(store: Store, warehouse: Warehouse, night: Night, year: int) -> pd.DataFrame:
    """What `bars.of_year` gives."""
    if year >= night.as_of.astimezone(UTC).year:
        return bars.of_year(warehouse, night, year)
    known = bars.versions_of_year(warehouse, night, year)
    key = keep.raw_bars(night.domain, year, known.versions, known.last_known_at)
    if store.has(key):
        try:
            return store.get(key)
        except StoreError:
            pass  # damaged: it is made again
    rows = bars.of_year(warehouse, night, year)
    if len(rows) == known.bars:  # else the year went to the archive, or came back from it, in between
        store.put(key, rows, {"year": year})
    return rows
