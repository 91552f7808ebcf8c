"""What happens when a task or a DAG run fails for good, or something is overdue: one clear record in the log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LOGGER = "afterbell.alerts"


def on_failure(context: Mapping[str, Any]) -> None:
    """`on_failure_callback` of every DAG and task: one ERROR record with what failed, where and why.

    Works with a task's context (`ti`, `exception`) and with a DAG run's (`dag`, `run_id`, `reason`).
    A field that the context does not carry is None.
    """
    import structlog

    structlog.get_logger(LOGGER).error("afterbell failure", **failure(context))


def overdue(what: str) -> None:
    """One ERROR record that says what has waited for too long and what to do; nothing for an empty text."""
    if not what:
        return
    import structlog

    structlog.get_logger(LOGGER).error("afterbell overdue", what=what)


def failure(context: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the record."""
    instance = context.get("ti")
    error = context.get("exception")
    index = getattr(instance, "map_index", None)
    return {
        "dag_id": getattr(instance or context.get("dag"), "dag_id", None),
        "run_id": getattr(instance, "run_id", None) or context.get("run_id"),
        "task_id": getattr(instance, "task_id", None),
        "map_index": None if index == -1 else index,
        "try_number": getattr(instance, "try_number", None),
        "error_type": None if error is None or isinstance(error, str) else type(error).__name__,
        "error": str(error) if error is not None else context.get("reason"),
    }
