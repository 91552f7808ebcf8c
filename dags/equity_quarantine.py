"""
### Review of the quarantine

Rows that broke a rule wait in the quarantine (`serving.quarantine`, and the page **Data quality**). A person looks at
them, and says here which of them are right after all and which are not. Who triggered the run, when and why is kept.

- **release**: the vendor's values are right. They become bars at once, the last night is computed anew with them,
  and the same values are never refused again. Rows that can never be bars (a value is missing, a price is not
  positive, the high is below the low, there was no session) are refused and named, and then nothing is released.
- **reject**: the values are wrong. They stay out, and count as judged.

All fields that choose rows must fit together; at least one must be given. The same review twice changes nothing.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param, dag, task
from airflow.sdk.exceptions import AirflowSkipException

from house_rules import BARS, DEFAULT_ARGS, final_errors

FORM = {
    "verdict": Param(
        "release",
        type="string",
        enum=["release", "reject"],
        title="Verdict",
        description="Release: the values are right. Reject: they are wrong, and stay out.",
    ),
    "symbols": Param(
        None,
        type=["null", "array"],
        items={"type": "string"},
        title="Symbols",
        description="Only rows of these symbols, one a line. Empty: of all.",
    ),
    "first_session": Param(
        None,
        type=["null", "string"],
        format="date",
        title="First session",
        description="Only rows of this session and later ones. Empty: from the first on.",
    ),
    "last_session": Param(
        None,
        type=["null", "string"],
        format="date",
        title="Last session",
        description="Only rows of this session and earlier ones. Empty: up to the last.",
    ),
    "reason": Param(
        None,
        type=["null", "string"],
        title="Reason contains",
        description="Only rows refused for a reason with these words, e.g. high below close. Empty: for any.",
    ),
    "again": Param(
        False,
        type="boolean",
        title="Judge again",
        description="Also rows that were judged before: to take a verdict back.",
    ),
    "why": Param(
        type="string",
        minLength=3,
        title="Why",
        description="What you know about these rows, for whoever asks later. Required.",
    ),
}


@dag(
    schedule=None,
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    doc_md=__doc__,
    tags=["afterbell", "equity", "quarantine"],
    params=FORM,
)
def equity_quarantine() -> None:
    @task(doc_md="Writes the verdict down on every row that is chosen, in the name of whoever triggered the run.")
    def review(params: Any = None, dag_run: Any = None) -> dict[str, str]:
        with final_errors():
            from ml.steps import quarantine

            asked = {field: params[field] for field in FORM}
            return quarantine.review(**asked, reviewed_by=dag_run.triggering_user_name or "unknown")

    @task(
        outlets=[BARS],
        doc_md="Takes released rows in and has their night computed anew; skipped when there are none.",
    )
    def take_in(reviewed: dict[str, str], *, outlet_events: Any) -> dict[str, str]:
        with final_errors():
            from ml.steps import quarantine

            night = quarantine.take_in()
        if night is None:
            raise AirflowSkipException(f"{reviewed['rows']} rows judged, none to take in now.")
        outlet_events[BARS].extra = night
        return night

    take_in(review())


equity_quarantine()
