"""Estimators learn apart: what fails is left out and said so; what has learned is found again."""

from __future__ import annotations

import json
from html import escape
from importlib.metadata import version as installed_version
from io import StringIO
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest

from ml.__main__ import main
from ml.equity.features.catalogue import DEFAULT_SET
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


def text_of(run_id: str, artifact: str) -> str:
    return str(mlflow.artifacts.load_text(f"runs:/{run_id}/{artifact}"))


def files_of(run_id: str, folder: str) -> set[str]:
    found = mlflow.artifacts.list_artifacts(run_id=run_id, artifact_path=folder)
    return {Path(each.path).name for each in found}


def last_study(estimator: str) -> Any:
    """The MLflow run of what was learned last."""
    return mlflow.search_runs(
        experiment_names=["equity-1d studies"],
        filter_string=f"params.estimator = '{estimator}'",
        order_by=["start_time desc"],
        max_results=1,
        output_format="list",
    )[0]


def test_an_estimator_that_fails_is_left_out_and_the_decision_says_so(
    market: Path, reader_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    estimators(monkeypatch, "xgboost", "linear")
    never_asked_before(monkeypatch, 103)
    known = night()

    def no_room(*_: Any) -> Any:
        raise MemoryError("no room")

    monkeypatch.setattr(Linear, "prepare", staticmethod(no_room))
    why = {"reason": "drift_detected", "requested_by": "ann"}
    learn.run(**known, estimator="xgboost", horizons=["1d"], trials=1, worker=0, **why)
    with pytest.raises(MemoryError):
        learn.run(**known, estimator="linear", horizons=["1d"], trials=1, worker=0)
    candidate = train.run(**known, horizon="1d", estimators=None, trials=1, **why)
    assert train.run(**known, horizon="1d", estimators=None, trials=1) == candidate, "found again, and told as it was"
    promote.run(compare(**candidate)["decision_id"])
    predict.run(**known)
    columns = "estimator, left_out, reason, requested_by"
    told = ("xgboost", ["linear"], "drift_detected", "ann")
    assert seen(reader_dsn, f"select {columns} from serving.models") == [told]
    [(run_id,)] = seen(reader_dsn, "select mlflow_run_id from serving.models")
    for tags in (last_study("xgboost").data.tags, mlflow.get_run(run_id).data.tags):
        assert (tags["reason"], tags["requested_by"]) == ("drift_detected", "ann")
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


def test_mlflow_can_show_every_trial_of_a_study(market: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    estimators(monkeypatch, "linear")
    never_asked_before(monkeypatch, 104)
    known = night()
    learn.run(**known, estimator="linear", horizons=["1d"], trials=2, worker=0)
    few = last_study("linear")
    assert files_of(few.info.run_id, "study") >= {"trials.csv", "history.png"}
    assert "parameter_importance.png" not in files_of(few.info.run_id, "study")
    table = StringIO(text_of(few.info.run_id, "study/trials.csv"))
    trials = pd.read_csv(table, float_precision="round_trip")
    assert len(trials) == int(few.data.params["trials"])
    complete = trials[trials["state"] == "complete"]
    assert few.data.tags["parameter_importance"].startswith(f"not told by {len(complete)} complete trials")
    best = complete.sort_values("value").iloc[0]
    assert best["value"] == few.data.metrics["inner_log_loss"]
    for name in Linear.defaults:
        assert best[f"params.{name}"] == float(few.data.params[name])

    monkeypatch.setattr("ml.lifecycle.search.FEWEST_COMPLETE", 2)
    learn.run(**known, estimator="linear", horizons=["1d"], trials=4, worker=0)
    enough = last_study("linear")
    assert "parameter_importance.png" in files_of(enough.info.run_id, "study")
    assert enough.data.tags["parameter_importance"] == "parameter_importance.png"


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
    [(version, run_id, scores)] = seen(reader_dsn, "select model_version, mlflow_run_id, scores from serving.models")
    check_card(version, run_id, scores)


def check_card(version: int, run_id: str, scores: dict[str, float]) -> None:
    """The card lies beside the evidence, is linked from the version, and says what the evidence and the model say."""
    link = mlflow.MlflowClient().get_model_version("equity-1d", str(version)).description
    assert link.endswith(f"/runs/{run_id}/artifactPath/evidence/card.html)")
    card, page = json.loads(text_of(run_id, "evidence/card.json")), text_of(run_id, "evidence/card.html")
    oof = pd.read_parquet(
        mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="evidence/out_of_fold.parquet")
    )
    losses = -np.log(np.where(oof["value"] > 0, oof["p_up"], 1 - oof["p_up"]))
    assert card["outer"]["scores"]["log_loss"] == pytest.approx(pd.Series(losses).groupby(oof["ts"]).mean().mean())
    momentum = card["outer"]["beside"]["momentum"]
    assert scores == card["outer"]["scores"] | {f"momentum_{name}": score for name, score in momentum.items()}
    assert {"log_loss", "brier", "accuracy", "auc", "rank_ic"} <= set(momentum)
    assert card["momentum"] == "Return from 252 to 20 bars ago (momentum_252_20)"
    assert set(card["outer"]["beside"]) == {"xgboost", "lightgbm", "linear", "momentum"}
    assert [each["estimator"] for each in card["members"]] == ["xgboost", "lightgbm", "linear"]
    assert (
        sum(fold["scores"]["n_rows"] for fold in card["folds"])
        == len(oof)
        == sum(b["rows"] for b in card["calibration"])
    )
    assert [each["name"] for each in card["signature"]["inputs"]] == ["entity", "ts", *DEFAULT_SET.names]
    assert all(each["words"].endswith(f"({each['feature']})") for each in card["importance"])
    assert card["packages"]["numpy"] == installed_version("numpy")
    assert card["recipe"]["seed"] == settings().seed
    assert card["costs"]["size_bytes"] > 10_000
    for shown in (card["snapshot_digest"], f"{scores['momentum_log_loss']:.6f}", card["importance"][0]["words"]):
        assert escape(shown) in page
