"""
### Retraining of the night

Follows the features, beside the predictions and never in their way. Every estimator learns by itself (search, answers
on all folds, final fit); what fails there is left out. Then, for every horizon: one candidate is made of what was
learned, compared with the champion on outer test dates that no search has seen, and promoted only on that evidence.

Keeping the champion is a normal result: the decision with its reason and evidence is in `serving.promotions`.
A promotion makes the predictions of the same night run again.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import dag, get_current_context, task, task_group
from airflow.sdk.exceptions import AirflowSkipException

from approval import approved
from decision_page import linked
from house_rules import CHAMPION, DEFAULT_ARGS, DOMAIN, FEATURES, TRAINING_POOL, final_errors, nights_of
from mapped_horizons import HORIZON_LABEL, each_of, show_horizon
from night_form import NIGHT_FORM
from retrain_form import RETRAIN_FORM, asked_by, in_words


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
        get_current_context()["estimator_shown"] = estimator  # type: ignore[typeddict-unknown-key]
        with final_errors():
            from ml.steps import learn

            asked = {"trials": params["trials"], **asked_by(get_current_context())}
            return learn.run(**night, estimator=estimator, horizons=horizons, **asked)

    @task(trigger_rule="all_done", doc_md="Waits for all estimators; `train` says what each horizon is without.")
    def learned(kinds: list[str]) -> list[str]:
        return kinds

    @task_group
    def per_horizon(horizon: str, night: dict[str, str], estimators: list[str]) -> Any:
        @task(
            pool=TRAINING_POOL,
            map_index_template=HORIZON_LABEL,
            doc_md="One model of what the estimators learned, without those that failed; a version in MLflow.",
        )
        def train(horizon: str, night: dict[str, str], estimators: list[str], params: Any = None) -> dict[str, str]:
            show_horizon(horizon)
            with final_errors():
                from ml.steps import train

                asked = {"trials": params["trials"], **asked_by(get_current_context())}
                return train.run(**night, horizon=horizon, estimators=estimators, **asked)

        @task(
            pool=TRAINING_POOL,
            map_index_template=HORIZON_LABEL,
            doc_md="Candidate and champion recipes on the same outer dates; the decision is stored whole.",
        )
        def compare(candidate: dict[str, str]) -> dict[str, str]:
            show_horizon(candidate["horizon"])
            with final_errors():
                from ml.steps import compare

                return compare.run(**candidate, reason=asked_by(get_current_context())["reason"])

        @task(map_index_template=HORIZON_LABEL, doc_md="Move the alias `champion` if the decision says so.")
        def promote(decided: dict[str, str]) -> dict[str, str]:
            show_horizon(decided["horizon"])
            with final_errors():
                from ml.steps import promote

                return promote.run(decided["decision_id"])

        decided = linked(compare(train(horizon, night, estimators)))
        return linked(promote(approved(decided)))

    @task(
        outlets=[CHAMPION],
        trigger_rule="all_done",
        doc_md="Have the predictions made again if any decision promotes; skipped when all keep their champion.",
    )
    def announce(results: Any, night: dict[str, str], *, outlet_events: Any) -> list[str]:
        # Nothing at all comes from horizons that failed.
        changed = [result["horizon"] for result in each_of(results) if result["promoted"] == "yes"]
        if not changed:
            raise AirflowSkipException("No champion changed: the published predictions stand.")
        outlet_events[CHAMPION].extra = {"as_of": night["as_of"]}
        return changed

    @task(doc_md="One line per horizon. Fails with its horizons, so that a failed training shows on the run.")
    def summary(results: Any) -> list[str]:
        lines = [f"{r['horizon']}: {r['verdict']} version {r['version']}: {r['reason']}" for r in each_of(results)]
        return [in_words(get_current_context()), *lines]

    tonight, targets, kinds = night(), horizons(), estimators()
    made = learn.partial(night=tonight, horizons=targets).expand(estimator=kinds)
    waited = learned(kinds)
    made >> waited
    results = per_horizon.partial(night=tonight, estimators=waited).expand(horizon=targets)
    announce(results, tonight)
    summary(results)


equity_retrain()
