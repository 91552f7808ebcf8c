"""The export's task as Airflow calls it: the form as it comes, a small result, mistakes that no retry mends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.exceptions import AirflowFailException

from ml.settings import REPOSITORY, Settings
from ml.steps import ingest, validate

EMPTY = dict.fromkeys(("symbols", "start", "end", "groups", "custom_features", "as_of", "known_at"))
MOST_BYTES_OF_XCOM = 20_000


@pytest.fixture
def task(stack_settings: Settings) -> Any:
    """The function of the DAG's task, over the shipped sample."""
    validate.run(ingest.run(None)["ingest_id"])
    folder = REPOSITORY / "dags"
    bag = DagBag(folder / "equity_export.py", bundle_path=folder, bundle_name="dags")
    found: Any = bag.dags["equity_export"].get_task("export")
    return found.python_callable


def test_the_form_left_empty_exports_everything_and_gives_a_small_result(task: Any) -> None:
    done = task(params={**EMPTY, "file_format": "parquet"})
    assert Path(done["path"]).stat().st_size == done["bytes"]
    assert done["rows"] > 10_000
    assert len(json.dumps(done)) < MOST_BYTES_OF_XCOM


def test_a_mistake_in_the_form_fails_the_run_for_good(task: Any) -> None:
    with pytest.raises(AirflowFailException, match=r"invalid syntax at .* in the formula"):
        task(params={**EMPTY, "custom_features": "x = close +", "file_format": "csv"})
