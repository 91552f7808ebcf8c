"""How the tasks of a mapped group are named in the UI, by their horizons, and how their results are read."""

from __future__ import annotations

from typing import Any

from airflow.sdk import get_current_context

HORIZON_LABEL = "{{ horizon_shown }}"


def show_horizon(horizon: str) -> None:
    """Name a mapped task by its horizon; the arguments of a mapped group are no template variables."""
    get_current_context()["horizon_shown"] = horizon  # type: ignore[typeddict-unknown-key]


def each_of(results: Any) -> list[dict[str, str]]:
    """The results of a mapped group, of which Airflow gives a single one by itself, and none at all as None."""
    return [results] if isinstance(results, dict) else list(results or [])
