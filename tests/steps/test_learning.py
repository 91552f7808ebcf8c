"""Estimators learn apart: what fails is left out and said so; what has learned is found again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ml.__main__ import main
from ml.errors import TrainingError
from ml.estimators.linear import Linear
from ml.settings import settings
from ml.steps import features, ingest, labels, learn, predict, promote, train, validate
from ml.steps.compare import run as compare
from tests.steps.market import seen

pytestmark = [pytest.mark.xdist_group("mlflow"), pytest.mark.usefixtures("registry")]


def estimators(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    monkeypatch.setenv("AFTERBELL_ESTIMATORS", ",".join(names))
    settings.cache_clear()


def never_asked_before(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """What was learned is found by its question, and the MLflow server of the tests remembers those of other tests."""
    monkeypatch.setenv("AFTERBELL_SEED", str(seed))
    settings.cache_clear()


def night() -> dict[str, str]:
    return labels.run(**features.run(**validate.run(ingest.run(None)["ingest_id"])))


def test_an_estimator_that_fails_is_left_out_and_the_decision_says_so(
    market: Path, reader_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    estimators(monkeypatch, "xgboost", "linear")
    never_asked_before(monkeypatch, 103)
    known = night()

    def no_room(*_: Any) -> Any:
        raise MemoryError("no room")

    monkeypatch.setattr(Linear, "prepare", staticmethod(no_room))
    learn.run(**known, estimator="xgboost", horizons=["1d"], trials=1, worker=0)
    with pytest.raises(MemoryError):
        learn.run(**known, estimator="linear", horizons=["1d"], trials=1, worker=0)
    candidate = train.run(**known, horizon="1d", estimators=None, trials=1)
    promote.run(compare(**candidate)["decision_id"])
    predict.run(**known)
    assert seen(reader_dsn, "select estimator, left_out from serving.models") == [("xgboost", ["linear"])]
    [(reason,)] = seen(reader_dsn, "select reason from serving.promotions")
    assert reason.endswith("the candidate was made without linear, which did not learn")
    assert seen(reader_dsn, "select distinct members from serving.latest_predictions") == [({"xgboost": 1.0},)]


def test_when_none_has_learned_there_is_no_candidate(market: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    never_asked_before(monkeypatch, 101)
    known = night()
    with pytest.raises(TrainingError, match="none of xgboost has learned"):
        train.run(**known, horizon="1d", estimators=None, trials=1)


def test_what_has_learned_is_found_again(
    market: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    never_asked_before(monkeypatch, 102)
    known = night()
    caplog.set_level("INFO")
    learn.run(**known, estimator="xgboost", horizons=["1d"], trials=1, worker=0)
    assert "trial 1/1" in caplog.text
    caplog.clear()
    learn.run(**known, estimator="xgboost", horizons=["1d"], trials=1, worker=0)
    assert "trial" not in caplog.text


def test_all_that_learned_take_part_and_readers_see_why(
    market: Path, reader_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    estimators(monkeypatch, "xgboost", "lightgbm", "linear")
    assert main(["night", "--trials", "1"]) == 0
    assert seen(reader_dsn, "select left_out from serving.models") == [([],)]
    rows = seen(reader_dsn, "select symbol, feature, words, factor, effect, p_up from serving.explanations")
    symbols = {row[0] for row in seen(reader_dsn, "select symbol from serving.latest_predictions")}
    assert {row[0] for row in rows} == symbols
    for _, feature, words, factor, effect, p_up in rows:
        assert f"({feature})" in words
        assert words.endswith("pushes up" if effect > 0 else "pushes down")
        assert factor == ("key" if (effect > 0) == (p_up >= 0.5) else "risk")
    assert seen(reader_dsn, "select count(*) > 5 from serving.feature_importance") == [(True,)]
