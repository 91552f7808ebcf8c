"""
### Models by hand

The gate promotes on evidence. Where a person knows more, they say so here. Who triggered the run, when and why is kept:
moves of champions in `serving.promotions` (door `by_hand`), freezes in `serving.freezes`.

- **promote**: this version serves from now on. Its rows say `has_skill` as the gate last judged it.
- **roll_back**: the version that served before the present one serves again.
- **freeze**: the gate goes on comparing and writing its decisions down, but no champion changes until **unfreeze**.

After a move the last night's predictions are made again with the new champion; what was published before stays in
`serving.prediction_history`. The gate may replace a champion that was set by hand in the next night: freeze the target
besides if it must not.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param, dag, task
from airflow.sdk.exceptions import AirflowSkipException

from house_rules import CHAMPION, DEFAULT_ARGS, final_errors
from ml.settings import HORIZONS

FORM = {
    "action": Param(
        "promote",
        type="string",
        enum=["promote", "roll_back", "freeze", "unfreeze"],
        title="Action",
        description="What to do with the champion of the horizon.",
    ),
    "horizon": Param(
        "1d", type="string", enum=list(HORIZONS), title="Horizon", description="Whose champion it is about."
    ),
    "version": Param(
        None,
        type=["null", "integer"],
        minimum=1,
        title="Version",
        description="Only to promote: the model_version in serving.models that is to serve.",
    ),
    "why": Param(
        type="string",
        minLength=3,
        title="Why",
        description="What you know, for whoever asks later. Required.",
    ),
}


@dag(
    schedule=None,
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    doc_md=__doc__,
    tags=["afterbell", "equity", "models"],
    params=FORM,
)
def equity_models() -> None:
    @task(doc_md="Does what the form says, in the name of whoever triggered the run.")
    def decide(params: Any = None, dag_run: Any = None) -> dict[str, str]:
        with final_errors():
            from ml.steps import by_hand

            asked = {field: params[field] for field in FORM}
            by = dag_run.triggering_user_name or "unknown"
            return by_hand.run(**asked, decided_by=by, request=dag_run.run_id)

    @task(outlets=[CHAMPION], doc_md="Have the last night's predictions made again; skipped when no champion moved.")
    def announce(done: dict[str, str], *, outlet_events: Any) -> str:
        if done["promoted"] != "yes":
            raise AirflowSkipException(f"The champion of {done['horizon']} is the same: the predictions stand.")
        outlet_events[CHAMPION].extra = {}
        return f"{done['horizon']} is served by version {done['version']}"

    announce(decide())


equity_models()
