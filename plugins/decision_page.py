"""The way from a task to the page of the decision it is about."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseOperatorLink

PAGE, PLOT = "/afterbell/decisions/?id={}", "/afterbell/decisions/{}.png"
"""Below the address of Airflow."""


def address(decision_id: str) -> str:
    """The page of one decision, for a browser anywhere."""
    from airflow.sdk.configuration import conf

    base: str = conf.get("api", "base_url")
    return base.rstrip("/") + PAGE.format(decision_id)


class DecisionLink(BaseOperatorLink):
    """A button on a task that returns a `decision_id`; Airflow asks for its address when the task has ended."""

    name = "Decision"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:  # noqa: ARG002 -- as Airflow gives them
        """Empty while there is no decision."""
        done = ti_key.xcom_pull(task_ids=ti_key.task_id, map_indexes=ti_key.map_index) or {}
        return address(done["decision_id"]) if "decision_id" in done else ""


def linked(done: Any) -> Any:
    """The same task, with the button. done: what a call of a task function gives."""
    done.operator.operator_extra_links = (DecisionLink(),)
    return done
