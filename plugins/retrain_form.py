"""What the form of a retraining asks for besides the night, and who asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.sdk import Param

from ml.domain import MANUAL, REASONS, SCHEDULED
from ml.settings import ESTIMATORS, HORIZONS, OTHER_NAMES

RETRAIN_FORM = {
    "horizons": Param(
        None,
        type=["null", "array"],
        items={"type": "string", "enum": [*HORIZONS, *OTHER_NAMES]},
        examples=list(HORIZONS),
        title="Horizons",
        description="Which targets to retrain. Empty: AFTERBELL_HORIZONS.",
    ),
    "estimators": Param(
        None,
        type=["null", "array"],
        items={"type": "string", "enum": list(ESTIMATORS)},
        examples=list(ESTIMATORS),
        title="Estimators",
        description="Which estimators to let learn. Empty: AFTERBELL_ESTIMATORS.",
    ),
    "trials": Param(
        None,
        type=["null", "integer"],
        minimum=1,
        maximum=1000,
        title="Trials",
        description="How many sets of hyper-parameters each boosted model tries per horizon; estimators whose "
        "trials cost more try fewer. Empty: AFTERBELL_TRIALS.",
    ),
    "reason": Param(
        MANUAL,
        type="string",
        enum=list(REASONS),
        title="Reason",
        description="Why it is done; kept with the models. Any but `scheduled` has the candidate compared at once.",
    ),
}


def asked_by(context: Mapping[str, Any]) -> dict[str, str | None]:
    """`reason` and `requested_by` of a run: the form's and its sender's; of a run that data brought about, nobody's."""
    run = context["dag_run"]
    if run.run_type != "manual":
        return {"reason": SCHEDULED, "requested_by": None}
    return {"reason": context["params"]["reason"], "requested_by": run.triggering_user_name or "unknown"}


def in_words(context: Mapping[str, Any]) -> str:
    """The same as the first line of a summary."""
    asked = asked_by(context)
    return f"Reason: {asked['reason']}" + (f", asked for by {asked['requested_by']}" if asked["requested_by"] else "")
