"""
### Features to a file

Writes the features of a night to one file: of all symbols or some, of all sessions or a span, the night's own set or
some groups (of the catalogue, Alpha158, categories of the file of AFTERBELL_FEATURES_PATH), and features of your own,
one a line: `momentum = close / ref(close, 5)` (docs/features.md has the language).

The file is downloaded from the page **Exports**; the task's log and result show its path, its size and the first rows.
The newest AFTERBELL_KEEP_EXPORTS files stay. The same export again finds its file and computes nothing.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param, dag, task

from house_rules import DEFAULT_ARGS, final_errors
from ml.settings import settings
from ml.steps.groups import offered
from night_form import NIGHT_FORM

GROUPS = offered(settings())


@dag(
    schedule=None,
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    doc_md=__doc__,
    tags=["afterbell", "equity", "export"],
    params={
        "symbols": Param(
            None,
            type=["null", "array"],
            items={"type": "string", "minLength": 1},
            title="Symbols",
            description="Which symbols, one a line. Empty: all that have bars.",
        ),
        "start": Param(
            None,
            type=["null", "string"],
            format="date",
            title="Start",
            description="Only rows of this session and later ones. Empty: from the first on.",
        ),
        "end": Param(
            None,
            type=["null", "string"],
            format="date",
            title="End",
            description="Only rows of this session and earlier ones. Empty: up to the night's own.",
        ),
        "groups": Param(
            None,
            type=["null", "array"],
            items={"type": "string", "enum": GROUPS},
            examples=GROUPS,
            title="Feature groups",
            description="Which groups of features. Empty: the night's set. Only `custom`: your own features alone.",
        ),
        "custom_features": Param(
            None,
            type=["null", "string"],
            format="multiline",
            title="Custom features",
            description="Features of your own beside those, one a line: momentum = close / ref(close, 5)",
        ),
        "file_format": Param(
            "csv",
            type="string",
            enum=["csv", "json", "parquet"],
            title="Format",
            description="csv, json (one object a line) or parquet (smallest, and float32 as it was computed).",
        ),
        **NIGHT_FORM,
    },
)
def equity_export() -> None:
    @task(doc_md="From the bars as known that night to one file. Returns its path, its size and the first rows.")
    def export(params: dict[str, Any] | None = None) -> dict[str, Any]:
        form = params or {}
        with final_errors():
            from ml.steps import export

            return export.run(
                form["symbols"] or (),
                form["start"],
                form["end"],
                form["groups"] or (),
                form["custom_features"] or "",
                form["file_format"],
                form["as_of"],
                form["known_at"],
            )

    export()


equity_export()
