"""
### Bars of the night

Asks the provider for the night's bars, checks them, and takes the good ones in.

- **ingest** keeps what came, untouched, in the landing zone of the store.
- **validate** runs the Great Expectations suites. Bad rows go to quarantine with their reason; a failed suite
  stops the night before anything is computed from it, and readers keep seeing the last published night.

Runs after every real session close (holidays and early closes included). By hand: leave the form empty to take the
last session that the provider has.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param, dag, task

from house_rules import BARS, DEFAULT_ARGS, PATIENT_ARGS, final_errors
from ml.settings import settings
from session_timetable import SessionTimetable


@dag(
    schedule=SessionTimetable(settings().calendar, settings().close_delay_minutes),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    doc_md=__doc__,
    tags=["afterbell", "equity", "night"],
    params={
        "as_of": Param(
            None,
            type=["null", "string"],
            format="date",
            title="As of",
            description="The session to run as if it were that evening. Empty: the last one the provider has.",
        ),
    },
)
def equity_ingest() -> None:
    @task(
        **PATIENT_ARGS,
        doc_md="Ask the provider for the bars and keep them untouched. Returns the id of the delivery. A vendor that "
        "does not have them yet, or is away, is waited for by retries, for hours.",
    )
    def ingest(params: dict[str, Any] | None = None, dag_run: Any = None) -> dict[str, str]:
        with final_errors():
            from ml.steps import ingest

            due = dag_run.data_interval_end if dag_run.run_type == "scheduled" else None
            # `airflow backfill create` makes one run for each night; each is that night's.
            past = dag_run.data_interval_end.isoformat() if dag_run.run_type == "backfill" else None
            return ingest.run((params or {}).get("as_of") or past, due, f"{dag_run.dag_id}/{dag_run.run_id}")

    @task(outlets=[BARS], doc_md="Check the delivery; take good rows in, quarantine bad ones, stop on a failed suite.")
    def validate(landed: dict[str, str], *, outlet_events: Any) -> dict[str, str]:
        with final_errors():
            from ml.steps import validate

            night = validate.run(landed["ingest_id"])
        outlet_events[BARS].extra = night
        return night

    validate(ingest())


equity_ingest()
