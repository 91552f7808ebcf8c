"""How the tasks of a mapped group are named in the UI, by their horizons, and how their results are read."""

from __future__ import annotations

from typing import Any

from house_rules import show

HORIZON_LABEL = "{{ horizon_shown }}"


def show_horizon(horizon: str) -> None:
    """Name a mapped task by its horizon."""
    show(horizon_shown=horizon)


def results(*found: Any) -> list[dict[str, str]]:
    """What the tasks of all horizons returned. Nothing comes from those that failed or were skipped, and where only one
    returned something, Airflow gives that instead of a list."""
    return [each for some in found for each in ([some] if isinstance(some, dict) else some or [])]
