"""How the tasks of a mapped group are named in the UI: by their horizons."""

from __future__ import annotations

from airflow.sdk import get_current_context

HORIZON_LABEL = "{{ horizon_shown }}"


def show_horizon(horizon: str) -> None:
    """Name a mapped task by its horizon; the arguments of a mapped group are no template variables."""
    get_current_context()["horizon_shown"] = horizon  # type: ignore[typeddict-unknown-key]
