"""The words by which features are chosen together. Nothing heavy is imported here: DAGs read them for their forms."""

from __future__ import annotations

from collections.abc import Iterable

CATEGORIES = (
    *("price", "indicator", "volume", "time", "volatility", "statistical", "pattern", "market", "sector"),
    "cross_sectional",
)
"""Of the default set, in its order."""

DAILY = "daily"
"""The default set."""
ALPHA158 = "alpha158"
CUSTOM = "custom"
"""The category of features of a user's own that name none."""

GROUPS = (DAILY, *CATEGORIES, ALPHA158)
"""What a set may take in."""


def categories_of(groups: Iterable[str]) -> set[str]:
    """The categories that groups stand for."""
    return {category for group in groups for category in (CATEGORIES if group == DAILY else (group,))}
