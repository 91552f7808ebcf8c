"""The features of the newest night of each domain, where SQL finds them."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ml.domain import Night
from ml.io.warehouse.connection import Warehouse


def write(warehouse: Warehouse, night: Night, snapshot: str, feature_set: str, tonight: pd.DataFrame) -> bool:
    """Put a night's features in the place of those of an older one, all at once; whether readers see them now.

    tonight: `entity`, then one float32 column per feature; NaN becomes null. An older night never replaces a newer
    one, nor older knowledge of the same night newer knowledge; the same again writes no row anew.
    """
    key = {"domain": night.domain}
    content = {"as_of": night.as_of, "snapshot_digest": snapshot, "feature_set_digest": feature_set}
    names = [name for name in tonight.columns if name != "entity"]
    with warehouse.transaction() as transaction:
        transaction.lock(f"latest_features:{night.domain}")
        kept = next(iter(transaction.rows("latest_feature_night", key)), None)
        if kept is not None and (kept["as_of"], kept["known_at"]) > (night.as_of, night.known_at):
            return False
        row = {**key, **content, "known_at": night.known_at, "names": names}
        transaction.execute("latest_feature_night_upsert", row)
        if kept is None or any(kept[name] != value for name, value in content.items()):
            transaction.execute("latest_features_delete", key)
            columns = {"domain": night.domain, "entity": tonight["entity"], "feature_values": _arrays(tonight[names])}
            transaction.copy("latest_features_copy", pd.DataFrame(columns))
        return True


def _arrays(values: pd.DataFrame) -> pd.Series[str]:
    """Each row as Postgres writes an array; every number in the fewest digits that give the same float32 back."""
    columns = [pc.cast(pa.array(values[name], from_pandas=True), pa.string()) for name in values]
    joined = pc.binary_join_element_wise(*columns, ",", null_handling="replace", null_replacement="null")
    written: pd.Series[str] = joined.to_pandas()
    return "{" + written + "}"
