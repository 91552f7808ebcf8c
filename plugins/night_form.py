"""The form of every DAG that works on one night."""

from airflow.sdk import Param

NIGHT_FORM = {
    "as_of": Param(
        None,
        type=["null", "string"],
        format="date",
        title="As of",
        description="The session whose night to work on. Empty: the last accepted one.",
    ),
    "known_at": Param(
        None,
        type=["null", "string"],
        format="date-time",
        title="Known at",
        description="Use only what the warehouse knew at this instant, to replay a past night. Empty: all it knows.",
    ),
}
