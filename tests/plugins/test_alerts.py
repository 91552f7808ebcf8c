"""A failure leaves one record that says what failed, where and why."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from structlog.testing import capture_logs

from alerts import on_failure, overdue


def instance(map_index: int) -> Any:
    return SimpleNamespace(
        dag_id="equity_retrain", run_id="manual__1", task_id="search", map_index=map_index, try_number=3
    )


def test_a_failed_mapped_task_is_one_error_record_with_all_its_keys() -> None:
    with capture_logs() as records:
        on_failure({"ti": instance(2), "exception": ValueError("no rows")})
    assert records == [
        {
            "event": "afterbell failure",
            "log_level": "error",
            "dag_id": "equity_retrain",
            "run_id": "manual__1",
            "task_id": "search",
            "map_index": 2,
            "try_number": 3,
            "error_type": "ValueError",
            "error": "no rows",
        }
    ]


def test_a_task_that_is_not_mapped_has_no_map_index() -> None:
    with capture_logs() as records:
        on_failure({"ti": instance(-1), "exception": "killed from outside"})
    assert records[0]["map_index"] is None
    assert (records[0]["error_type"], records[0]["error"]) == (None, "killed from outside")


def test_a_failed_dag_run_says_its_reason() -> None:
    with capture_logs() as records:
        on_failure({"dag": SimpleNamespace(dag_id="equity_ingest"), "run_id": "r", "reason": "timed_out"})
    assert records[0]["dag_id"] == "equity_ingest"
    assert records[0]["run_id"] == "r"
    assert records[0]["task_id"] is None
    assert records[0]["error"] == "timed_out"


def test_what_is_overdue_is_one_error_record_and_what_is_not_is_none() -> None:
    with capture_logs() as records:
        overdue("version 1 was trained 50 sessions ago")
        overdue("")
    assert records == [
        {"event": "afterbell overdue", "log_level": "error", "what": "version 1 was trained 50 sessions ago"}
    ]
