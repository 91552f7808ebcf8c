"""Asking a person before a champion is replaced, with Airflow's required actions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param

from decision_page import PLOT, DecisionLink, address
from house_rules import final_errors
from mapped_horizons import HORIZON_LABEL, show_horizon
from ml.settings import settings

if TYPE_CHECKING:
    from airflow.sdk import Context

PROMOTE, KEEP = "Promote", "Keep"
WHY = Param(
    "",
    type=["null", "string"],
    title="Why",
    description="What you know besides, for whoever asks later. May be empty.",
)


class Approval(HITLOperator):
    """Passes the keys of a decision on when a person has answered, at once when nobody need be asked.

    The answer is kept in the warehouse, where `promote` reads it. Without one in time it is KEEP.
    """

    template_fields: Sequence[str] = ("decided",)
    operator_extra_links = (DecisionLink(),)

    def __init__(self, *, decided: Any, **kwargs: Any) -> None:
        super().__init__(subject="", options=[PROMOTE, KEEP], defaults=KEEP, **kwargs)
        self.decided = decided

    def execute(self, context: Context) -> dict[str, str]:
        """Ask, if somebody need be asked."""
        show_horizon(self.decided["horizon"])
        number = self.decided["decision_id"]
        with final_errors():
            from ml.steps import approve

            question = approve.question(number, address(number), PLOT.format(number))
        if question is not None:
            self.subject, self.body = question.subject, question.body
            super().execute(context)  # ends by raising that the task waits
        return dict(self.decided)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, str]:
        """Keep the answer."""
        show_horizon(self.decided["horizon"])
        said = super().execute_complete(context, event)
        who = said["responded_by_user"]
        with final_errors():
            from ml.steps import approve

            approve.run(
                self.decided["decision_id"],
                said["chosen_options"] == [PROMOTE],
                note=said["params_input"].get("why") or "",
                decided_by=who["name"] if who else None,
                decided_at=said["responded_at"],
            )
        return dict(self.decided)


def approved(decided: Any) -> Any:
    """The keys of a decision behind a task that asks a person, where AFTERBELL_APPROVAL is on; else as they are."""
    config = settings()
    return asked(decided, timedelta(hours=config.approval_hours)) if config.approval else decided


def asked(decided: Any, timeout: timedelta) -> Any:
    """The keys of a decision once a person has answered, or the time is up."""
    approval = Approval(
        task_id="approve",
        decided=decided,
        response_timeout=timeout,
        params={"why": WHY},
        map_index_template=HORIZON_LABEL,
        doc_md=f"Asks a person before another recipe replaces a champion. Without an answer in {timeout} it stays.",
    )
    return approval.output
