"""
### Retraining of the night

Follows the features, beside the predictions and never in their way. Every estimator learns by itself (search, answers
on all folds, final fit); what fails there is left out. Then, for every horizon: a champion that is old is fitted anew
from its own recipe and takes its own place when that is proven to do no harm (*refresh*, mostly skipped: nothing is
due). One candidate is made of what was learned, compared with the champion on outer test dates that no search has seen,
and promoted only on that evidence.

Keeping the champion is a normal result: the decision with its reason and evidence is in `serving.promotions`.
A promotion makes the predictions of the same night run again.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import dag, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from house_rules import CHAMPION, DEFAULT_ARGS, DOMAIN, FEATURES, TRAINING_POOL, final_errors, nights_of, show
from mapped_horizons import results
from night_form import NIGHT_FORM
from retrain_form import RETRAIN_FORM, asked_by, in_words
from retrain_horizon import per_horizon


@dag(
    schedule=[FEATURES],
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    doc_md=__doc__,
    tags=["afterbell", "equity", "night", "training"],
    params={**NIGHT_FORM, **RETRAIN_FORM},
)
def equity_retrain() -> None:
    @task(doc_md="The night to train on (the latest, when several piled up), with its features and labels.")
    def night() -> dict[str, str]:
        with final_errors():
            from ml.steps import features, labels

            return labels.run(**features.run(**nights_of(get_current_context())[-1]))

    @task(doc_md="The horizons of this run: those of the form or of the settings. Who asked for it is written down.")
    def horizons(params: Any = None, dag_run: Any = None) -> list[str]:
        with final_errors():
            from ml.steps import retrain

            asked = asked_by(get_current_context())
            return retrain.begin(DOMAIN, params["horizons"], **asked, request=f"{dag_run.dag_id}/{dag_run.run_id}")

    @task(doc_md="The estimators of this run: those of the form or of the settings.")
    def estimators(params: Any = None) -> list[str]:
        with final_errors():
            from ml.steps import domains

            return domains.estimators(params["estimators"])

    @task(
        pool=TRAINING_POOL,
        map_index_template="{{ estimator_shown }}",
        doc_md="One estimator, all horizons: Optuna on inner folds, answers on every fold, the fit that may serve.",
    )
    def learn(estimator: str, night: dict[str, str], horizons: list[str], params: Any = None) -> dict[str, str]:
        show(estimator_shown=estimator)
        with final_errors():
            from ml.steps import learn

            asked = {"trials": params["trials"], **asked_by(get_current_context())}
            return learn.run(**night, estimator=estimator, horizons=horizons, **asked)

    @task(doc_md="How versions in shadow did beside the champion on the nights whose outcomes are known by now.")
    def shadow_scores(night: dict[str, str]) -> dict[str, str]:
        with final_errors():
            from ml.steps import shadow_scores

            return shadow_scores.run(**night)

    # Of scores that failed `compare` sees the dates of before; the estimators that failed are named by `train`.
    @task(trigger_rule="all_done", doc_md="Waits for all estimators and the scores, whatever became of them.")
    def learned(kinds: list[str]) -> list[str]:
        return kinds

    @task(
        outlets=[CHAMPION],
        trigger_rule="all_done",
        doc_md="Have the predictions made again if any decision promotes; skipped when all keep their champion.",
    )
    def announce(refreshed: Any, decided: Any, night: dict[str, str], *, outlet_events: Any) -> list[str]:
        changed = sorted({r["horizon"] for r in results(refreshed, decided) if r["promoted"] == "yes"})
        if not changed:
            raise AirflowSkipException("No champion changed: the published predictions stand.")
        outlet_events[CHAMPION].extra = {"as_of": night["as_of"]}
        return changed

    @task(
        trigger_rule="none_failed", doc_md="A line per decision. Fails with its horizons, so that it shows on the run."
    )
    def summary(refreshed: Any, decided: Any) -> list[str]:
        told = results(refreshed, decided)
        lines = [f"{r['horizon']}: {r['verdict']} version {r['version']}: {r['reason']}" for r in told]
        return [in_words(get_current_context()), *lines]

    tonight, targets, kinds = night(), horizons(), estimators()
    made = learn.partial(night=tonight, horizons=targets).expand(estimator=kinds)
    waited = learned(kinds)
    [made, shadow_scores(tonight)] >> waited
    refreshed, decided = per_horizon(tonight, waited, targets)
    announce(refreshed, decided, tonight)
    summary(refreshed, decided)


equity_retrain()
