"""
### Keeping house

Every Saturday, after the week's last night:

- **partitions** for the bars of the coming year are made, so that no night waits for a table's lock.
- **retain** moves years that lie wholly before the kept sessions to the schema `archive`. Nothing is dropped.
- **back_up** dumps the product's database from one snapshot into `backups/` in AFTERBELL_HOME; also when partitions
  could not be made or moved, because somebody read the bars for long.
- **verify** restores the dump into a scratch database and compares every table with the time of the dump. It fails
  where the database's role may not create one: a backup that nobody has restored is a hope.
- **prune** deletes old backups, never the newest verified ones.
- **reconcile** puts the registry's aliases right where they say something else than the warehouse, and tells which.

What each did is in `serving.maintenance`; what reconcile found is its result, and a warning in its log.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import CronTriggerTimetable, Param, dag, task

from house_rules import DEFAULT_ARGS, DOMAIN, final_errors


@dag(
    schedule=CronTriggerTimetable("0 12 * * 6", timezone="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    doc_md=__doc__,
    tags=["afterbell", "equity", "upkeep"],
    params={
        "keep_sessions": Param(
            None,
            type=["null", "integer"],
            minimum=0,
            title="Sessions to keep",
            description="Older years of bars go to the archive. 0 keeps all. Empty: AFTERBELL_KEEP_SESSIONS.",
        ),
        "keep_backups": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            title="Backups to keep",
            description="How many of the newest verified backups stay. Empty: AFTERBELL_KEEP_BACKUPS.",
        ),
    },
)
def warehouse_maintenance() -> None:
    @task(doc_md="Partitions for the bars of the coming year.")
    def partitions() -> str:
        with final_errors():
            from ml.steps import maintenance

            return maintenance.make_partitions()

    @task(doc_md="Years before the kept sessions go to the schema `archive`, whole.")
    def retain(params: dict[str, Any] | None = None) -> str:
        with final_errors():
            from ml.steps import maintenance

            return maintenance.retain((params or {}).get("keep_sessions"))

    @task(
        trigger_rule="all_done",
        doc_md="Dump the product's database from one snapshot, whatever came of the years. Returns its name.",
    )
    def back_up() -> str:
        with final_errors():
            from ml.steps import maintenance

            return maintenance.back_up()

    @task(doc_md="Restore the dump into a scratch database and compare every table with the time of the dump.")
    def verify(name: str) -> str:
        with final_errors():
            from ml.steps import maintenance

            return maintenance.verify(name)

    @task(doc_md="Delete all but the newest verified backups.")
    def prune(params: dict[str, Any] | None = None) -> str:
        with final_errors():
            from ml.steps import maintenance

            return maintenance.prune((params or {}).get("keep_backups"))

    @task(doc_md="The aliases champion, previous and challenger of every target, as the warehouse has them.")
    def reconcile() -> str:
        with final_errors():
            from ml.steps import reconcile

            return "; ".join(reconcile.run(DOMAIN))

    @task(doc_md="One line per step. Fails with any of them, so that years that could not be moved show on the run.")
    def summary(told: Any) -> list[str]:
        return list(told)

    made, moved, dumped, pruned = partitions(), retain(), back_up(), prune()
    verified = verify(dumped)
    made >> moved >> dumped
    verified >> pruned
    summary([made, moved, verified, pruned, reconcile()])


warehouse_maintenance()
