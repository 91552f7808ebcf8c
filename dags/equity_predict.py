"""
### Predictions of the night

Follows the features at once, with the champion of the day, and runs again when a new champion is promoted.
Writes, audits and publishes in one transaction: readers see the whole night or none of it. When nothing changed
since the last publication of the same night, nothing is written.

A night is answered only by a champion that has seen nothing later. On the very first night there is none yet: the
task is *skipped*, and runs again once the retraining beside it has installed one.

After the publication, versions that do not serve say their word too: challengers, and the champion before this one.
It is kept in `serving.shadow_predictions` and is evidence later; nothing that readers see depends on it.
"""

from __future__ import annotations

from airflow.sdk import dag, get_current_context, task

from house_rules import CHAMPION, DEFAULT_ARGS, FEATURES, PREDICTIONS, final_errors, nights_of
from night_form import NIGHT_FORM


@dag(
    schedule=(FEATURES | CHAMPION),
    max_active_runs=2,  # what a night's shadows still do must not hold up the next night, whose event would be merged
    default_args=DEFAULT_ARGS,
    doc_md=__doc__,
    tags=["afterbell", "equity", "night"],
    params=NIGHT_FORM,
)
def equity_predict() -> None:
    @task(doc_md="Which nights this run is about: those of its asset events, or the one of the form.")
    def nights() -> list[dict[str, str]]:
        return nights_of(get_current_context())

    @task(
        outlets=[PREDICTIONS],
        map_index_template="{{ night['as_of'][:10] }}",
        priority_weight=10,
        doc_md="Champions of all targets over the night's features; audited and published in one transaction.",
    )
    def predict(night: dict[str, str]) -> dict[str, str]:
        with final_errors():
            from ml.steps import features, predict

            return predict.run(**features.run(**night))

    @task(
        # Also after a night without a champion; a night whose predictions failed fails the run.
        trigger_rule="none_failed",
        map_index_template="{{ night['as_of'][:10] }}",
        doc_md="What challengers and the champion before would have said. One that cannot answer is left out.",
    )
    def shadow(night: dict[str, str]) -> dict[str, str]:
        with final_errors():
            from ml.steps import features, shadow

            return shadow.run(**features.run(**night))

    asked = nights()
    predict.expand(night=asked) >> shadow.expand(night=asked)


equity_predict()
