"""What versions say of a night that they do not serve, and how they did beside the champion once outcomes are known."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import pandas as pd

from ml.domain import Target
from ml.io.warehouse.connection import Row, Warehouse

Role = Literal["challenger", "previous", "canary"]
"""Why a version is not the champion; `canary`: the rows that a challenger serves."""
COLUMNS = ["entity", "p_up", "expected_return"]


def is_recorded(warehouse: Warehouse, target: Target, version: int, as_of: datetime) -> bool:
    """Whether the version's word on a night is kept already."""
    said = {**_target(target), "version": version, "as_of": as_of}
    return warehouse.row("shadow_recorded", said) is not None


def record(warehouse: Warehouse, target: Target, version: int, role: Role, as_of: datetime, rows: pd.DataFrame) -> bool:
    """Keep what a version says of a night (COLUMNS), all or nothing; whether it was new: the first word stays."""
    said = {**_target(target), "version": version, "role": role, "as_of": as_of}
    with warehouse.transaction() as transaction:
        transaction.lock(f"shadow:{target.model_name}")
        transaction.execute("incoming_shadows")
        transaction.copy("incoming_shadows_copy", rows[COLUMNS])
        return transaction.execute("shadows_insert", said) > 0


def due(warehouse: Warehouse, target: Target, since: datetime, as_of: datetime) -> list[Row]:
    """Words on nights from `since` on whose outcomes are known by the night of `as_of` and that have no score yet.

    Each with `model_version`, `role`, `as_of`, `publication_id`, `champion_version` and `matures_at`.
    """
    return warehouse.rows("shadow_scores_due", {**_target(target), "since": since, "as_of": as_of})


def pairs(warehouse: Warehouse, target: Target, word: Row) -> pd.DataFrame:
    """One of `due` row by row: what the champion published (COLUMNS), and the shadow's as `shadow_...`, or NaN.

    Of a canary the symbols of its arm alone.
    """
    name = "canary_pairs" if word["role"] == "canary" else "shadow_pairs"
    with warehouse.transaction() as transaction:
        return transaction.frame(name, {**_target(target), **word})


def record_score(warehouse: Warehouse, target: Target, score: Mapping[str, Any]) -> None:
    """Keep one version's score of one night; the first one stays."""
    with warehouse.transaction() as transaction:
        transaction.execute("shadow_score_insert", {**_target(target), **score})


def series(
    warehouse: Warehouse,
    target: Target,
    version: int,
    recipe_digest: str | None,
    until: datetime | None,
    *,
    in_canary: bool = False,
) -> pd.Series[float]:
    """What a version was better by than the champion in the target's score, by `as_of` (UTC), ascending.

    recipe_digest: only nights whose champion had this recipe, so that the evidence is about one pair of recipes; None:
    all. until: only what was known by that night, matured outcomes; None: all. in_canary: on the symbols of its arm.
    """
    asked = {"version": version, "recipe_digest": recipe_digest, "until": until, "in_canary": in_canary}
    rows = warehouse.rows("shadow_series", {**_target(target), **asked})
    dates = pd.DatetimeIndex([row["as_of"] for row in rows], dtype="datetime64[us, UTC]", name="ts")
    return pd.Series([row["difference"] for row in rows], index=dates, dtype="float64", name="difference")


def last_canary(warehouse: Warehouse, target: Target) -> Row | None:
    """Who was compared in a canary last: `model_version`, `champion_version` and its `recipe_digest`."""
    return warehouse.row("canary_last", _target(target))


def _target(target: Target) -> dict[str, str]:
    return {"domain": target.domain, "target": target.name}
