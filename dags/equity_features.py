"""
### Features and labels of the night

Follows the bars. Adjusts them with the splits and dividends known that night, computes the feature set and the
labels, and keeps both in the store under the digest of the data they were made from: the same data is never
computed twice.

By hand: leave the form empty for the last accepted night.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import dag, get_current_context, task

from house_rules import BARS, DEFAULT_ARGS, FEATURES, final_errors, nights_of
from night_form import NIGHT_FORM


@dag(
    schedule=[BARS],
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    doc_md=__doc__,
    tags=["afterbell", "equity", "night"],
    params=NIGHT_FORM,
)
def equity_features() -> None:
    @task(doc_md="Which nights this run is about: those of its asset events, or the one of the form.")
    def nights() -> list[dict[str, str]]:
        return nights_of(get_current_context())

    @task(map_index_template="{{ night['as_of'][:10] }}", doc_md="Bars as known that night to the feature store.")
    def features(night: dict[str, str]) -> dict[str, str]:
        with final_errors():
            from ml.steps import features

            return features.run(**night)

    @task(
        outlets=[FEATURES],
        map_index_template="{{ night['as_of'][:10] }}",
        doc_md="What came of every past row. Announces the night's features once both are there.",
    )
    def labels(night: dict[str, str], *, outlet_events: Any) -> dict[str, str]:
        with final_errors():
            from ml.steps import labels

            done = labels.run(**night)
        outlet_events[FEATURES].extra = done
        return done

    labels.expand(night=features.expand(night=nights()))


equity_features()
