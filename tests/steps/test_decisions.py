"""What a person is shown of a decision: its course, and the way to both models in MLflow."""

from __future__ import annotations

from contextlib import closing

import psycopg2
import pytest

from ml.domain import Target
from ml.settings import Settings, settings
from ml.steps import decisions
from tests.sql.decided import evidence
from tests.sql.seed import insert


@pytest.fixture
def decided(stack_settings: Settings, warehouse_dsn: str) -> int:
    with closing(psycopg2.connect(warehouse_dsn)) as connection, connection:
        for version in (1, 2):
            row = {"target": "5d", "version": version, "training_key": str(version)}
            insert(connection, "lifecycle.model_versions", row)
        told = {"target": "5d", "candidate_version": 2, "door": "refresh", "decision_id": 7, "champion_version": 1}
        proof = {**evidence(Target("equity", "5d", 5, score="rank_ic")), "margin": 0.003}
        insert(connection, "lifecycle.decisions", {**told, "evidence": proof})
    return 7


@pytest.mark.parametrize(
    ("variables", "place"),
    [
        ({}, None),
        ({"URI": "http://ann:secret@mlflow:5000/"}, "http://mlflow:5000"),
        ({"URI": "http://mlflow:5000", "PAGES": "https://models.example/ml/"}, "https://models.example/ml"),
        ({"URI": "sqlite:///here.db"}, None),
    ],
)
def test_versions_lead_to_mlflow_where_a_browser_finds_it(
    decided: int, variables: dict[str, str], place: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"AFTERBELL_MLFLOW_{name}", value)
    settings.cache_clear()
    shown = decisions.shown(decided)
    assert shown is not None
    for who, version in (("candidate", 2), ("champion", 1)):
        expected = place and f"{place}/#/models/equity-5d/versions/{version}"
        assert shown[who]["mlflow"] == expected


def test_the_course_tells_the_margin_of_a_refresh_and_begins_its_band_where_five_sessions_allow(decided: int) -> None:
    shown = decisions.shown(decided)
    assert shown is not None
    course = shown["course"]
    assert (course["margin"], shown["score"], course["coverage"]) == (0.003, "rank_ic", 0.95)
    assert (course["band"]["place"][0], course["band"]["place"][-1], len(course["d"])) == (59, 503, 504)
    assert (decisions.plot(decided) or b"")[:4] == b"\x89PNG"
    assert decisions.shown(99) is None
    assert decisions.plot(99) is None
