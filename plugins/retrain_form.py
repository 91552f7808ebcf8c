"""What the form of a retraining asks for besides the night."""

from __future__ import annotations

from airflow.sdk import Param

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
}
