"""What the warehouse promises about versions and publications, beyond what whole nights show."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from ml.domain import Night, Target
from ml.errors import NotRecorded, RegistryError
from ml.frames import PREDICTIONS
from ml.io.warehouse import Warehouse, deliveries, models, publications
from ml.io.warehouse.models import ModelVersion

TARGET = Target("equity", "1d", 1)
AS_OF = datetime(2013, 3, 1, 21, tzinfo=UTC)
HOUR = timedelta(hours=1)
NIGHT = Night("equity", AS_OF, AS_OF + HOUR)
VERSION = ModelVersion(
    domain="equity",
    target="1d",
    version=1,
    training_key="first",
    run_id="run",
    estimator="xgboost",
    recipe={},
    recipe_digest="r",
    feature_set_digest="f",
    snapshot_digest="s",
    as_of=AS_OF,
    known_at=AS_OF,
    train_start=AS_OF,
    train_end=AS_OF,
    train_rows=1,
    trials=1,
    scores={},
    left_out=[],
    importance=[],
    code_commit="c",
)


@pytest.fixture
def house(warehouse_dsn: str) -> Warehouse:
    """A warehouse that knows one version of one model."""
    warehouse = Warehouse(warehouse_dsn)
    models.record_version(warehouse, VERSION)
    return warehouse


def predictions(p_up: float) -> pd.DataFrame:
    row = {
        "entity": "AAPL",
        "target": "1d",
        "matures_at": AS_OF + timedelta(days=3),
        "model_version": 1,
        "has_skill": False,
        "p_up": p_up,
        "direction": "neutral",
        "confidence": 0.0,
        "expected_return": 0.0,
        "return_lower": -0.01,
        "return_upper": 0.01,
        "price": 10.0,
        "price_target": 10.0,
        "price_lower": 9.9,
        "price_upper": 10.1,
        "return_lower_95": -0.05,
        "return_upper_95": 0.05,
        "return_stop": -0.04,
        "price_stop": 9.6,
        "target_probability": 0.25,
        "risk_score": 40.0,
        "similar_share_up": 0.5,
        "similar_dates": 100,
        "dissimilarity": 0.0,
        "is_outlier": False,
        "members": "{}",
        "reasons": "[]",
    }
    return PREDICTIONS.cast(pd.DataFrame([row]))


def publish(house: Warehouse, night: Night, content: str, expires_at: datetime | None) -> publications.Published:
    return publications.publish(house, night, "s", content, predictions(0.5), [], expires_at)


def test_the_same_content_is_published_once(house: Warehouse) -> None:
    assert publish(house, NIGHT, "a", None).new
    assert not publish(house, NIGHT, "a", None).new
    assert publish(house, NIGHT, "b", None).new
    assert publish(house, NIGHT, "a", None).new  # back to an earlier champion is a new word


def test_earlier_knowledge_does_not_come_back_over_later(house: Warehouse) -> None:
    corrected = replace(NIGHT, known_at=NIGHT.known_at + HOUR)
    assert publish(house, corrected, "corrected", None).new
    assert not publish(house, NIGHT, "first", None).new


def test_a_night_published_again_is_overdue_when_it_first_was(house: Warehouse) -> None:
    due = datetime.now(UTC) + HOUR
    publish(house, NIGHT, "in time", due)
    publish(house, NIGHT, "again, too late for a due hour of its own", None)
    rows = house.rows("publication_last", {"domain": "equity", "as_of": AS_OF})
    assert rows[0]["content_key"].startswith("again")
    assert rows[0]["expires_at"] == due


def test_recording_a_version_twice_changes_nothing(house: Warehouse) -> None:
    models.record_version(house, replace(VERSION, run_id="other run"))
    assert models.version(house, TARGET, 1)["run_id"] == "run"


def test_a_registry_that_counts_anew_is_refused(house: Warehouse) -> None:
    with pytest.raises(RegistryError, match="version 1 of equity-1d for the second time, in a new registry"):
        models.record_version(house, replace(VERSION, training_key="second"))


def test_what_was_never_recorded_is_named(house: Warehouse) -> None:
    with pytest.raises(NotRecorded, match="Found no version 2 of equity-1d"):
        models.version(house, TARGET, 2)
    with pytest.raises(NotRecorded, match="Found no decision 7"):
        models.decision(house, 7)
    with pytest.raises(NotRecorded, match="Found no delivery 7"):
        deliveries.find(house, 7)


def test_twins_that_begin_and_end_the_same_delivery_at_once_both_get_one(house: Warehouse) -> None:
    day = AS_OF.date()
    delivery = deliveries.Delivery("equity", "release", "files", "twins", AS_OF, day, day, (), "the same attempt")

    def begin_and_end(_: int) -> str:
        row = deliveries.begin(house, delivery)
        deliveries.close(house, row["ingest_id"], "d")
        return str(row["status"])

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(begin_and_end, range(200))) == {"landing"}
