"""
### History on demand

Takes in a span of past sessions: more years, more symbols, or what a vendor has corrected since.

The span is cut into chunks, each ingested and validated like a night: bad rows go to quarantine, a failed suite stops
its chunk alone, rows that differ from what was believed are kept as revisions. Two chunks run at once; the grid shows
each by its span. `summary` counts rows per chunk and in all, and fails while a chunk is missing: clear what failed, and
only what is missing is asked for. Safe beside a night. No features or predictions follow: the next night sees all.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param, dag, task

from house_rules import DEFAULT_ARGS, PATIENT_ARGS, final_errors


@dag(
    schedule=None,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    doc_md=__doc__,
    tags=["afterbell", "equity", "history"],
    params={
        "provider": Param(
            None,
            type=["null", "string"],
            enum=[None, "sample", "files", "polygon"],
            title="Provider",
            description="Where the bars come from: AFTERBELL_PROVIDER, also when empty. Any other is refused.",
        ),
        "symbols": Param(
            None,
            type=["null", "array"],
            items={"type": "string", "minLength": 1},
            title="Symbols",
            description="Which symbols, one a line. Empty: AFTERBELL_SYMBOLS, and without those all of the source.",
        ),
        "universe": Param(
            False,
            type="boolean",
            title="Members of the universe",
            description="Instead of symbols: all that AFTERBELL_UNIVERSE_PATH lists for any day of the span.",
        ),
        "start": Param(
            "2013-01-02",
            type="string",
            format="date",
            title="Start",
            description="The first day of the span; the first session on or after it counts.",
        ),
        "end": Param(
            None,
            type=["null", "string"],
            format="date",
            title="End",
            description="The last day of the span. Empty: the last session that the source has.",
        ),
        "timeframe": Param(
            "1d",
            type="string",
            enum=["1d"],
            title="Timeframe",
            description="The length of a bar; daily ones only as yet.",
        ),
        "chunk": Param(
            None,
            type=["null", "string"],
            enum=[None, "month", "quarter", "year"],
            title="Chunk",
            description="How much one task takes in. Empty: a year of up to 100 named symbols, else a month.",
        ),
    },
)
def equity_backfill() -> None:
    @task(doc_md="Cut the span of the form into chunks that begin and end with a session.")
    def plan(params: dict[str, Any] | None = None) -> list[dict[str, str]]:
        form = params or {}
        with final_errors():
            from ml.steps import backfill

            return backfill.plan(
                form["start"],
                form["end"],
                form["symbols"] or (),
                form["chunk"],
                form["provider"],
                form["timeframe"],
                form["universe"],
            )

    @task(
        **PATIENT_ARGS,
        map_index_template="{{ chunk['start'] }} to {{ chunk['end'] }}",
        max_active_tis_per_dag=2,
        doc_md="Ingest and validate one chunk. Does nothing again once it was accepted in this run.",
    )
    def take_in(chunk: dict[str, str], dag_run: Any = None) -> dict[str, str]:
        with final_errors():
            from ml.steps import backfill

            return backfill.run(**chunk, attempt=f"{dag_run.dag_id}/{dag_run.run_id}")

    @task(trigger_rule="all_done", doc_md="Rows taken in, per chunk and in all. Fails while a chunk is missing.")
    def summary(chunks: list[dict[str, str]], done: Any) -> list[str]:
        with final_errors():
            from ml.steps import backfill

            return backfill.summary(chunks or [], list(done or []))

    chunks = plan()
    summary(chunks, take_in.expand(chunk=chunks))


equity_backfill()
