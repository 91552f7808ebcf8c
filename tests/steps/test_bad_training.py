"""Whole nights on data that can hardly be learned from, and on machines that fail: others go on, nothing is made up."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ml.__main__ import EXIT_ERROR, main
from ml.errors import AfterbellError, RegistryError, TrainingError
from ml.lifecycle.search import search
from ml.lifecycle.training import ask
from ml.settings import settings
from ml.stack.postgres import PostgresServer
from ml.steps import features, ingest, labels, learn, train, validate
from tests.servers import mlflow_database, mlflow_server_on
from tests.steps.market import bars, seen, write

pytestmark = [pytest.mark.xdist_group("mlflow"), pytest.mark.usefixtures("registry")]
NIGHT = ["night", "--trials", "1"]
PUBLISHED = "select symbol, horizon, p_up, has_skill from serving.latest_predictions order by symbol, horizon"


def setting(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    for name, value in values.items():
        monkeypatch.setenv(f"AFTERBELL_{name.upper()}", value)
    settings.cache_clear()


def night() -> dict[str, str]:
    return labels.run(**features.run(**validate.run(ingest.run(None)["ingest_id"])))


def test_a_horizon_longer_than_the_history_is_told_and_the_others_go_on(
    market: Path, reader_dsn: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    setting(monkeypatch, horizons="60d,1d")
    assert main(NIGHT) == EXIT_ERROR
    assert "none of xgboost has learned equity-60d" in capsys.readouterr().err
    assert {horizon for _, horizon, *_ in seen(reader_dsn, PUBLISHED)} == {"1d"}
    assert seen(reader_dsn, "select distinct horizon from serving.promotions") == [("1d",)]


def test_when_no_horizon_can_be_learned_the_task_fails(market: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    setting(monkeypatch, horizons="60d")
    with pytest.raises(TrainingError, match="dates with known labels"):
        learn.run(**night(), estimator="xgboost", horizons=["60d"], trials=1, worker=0)


def test_what_fails_at_one_horizon_is_raised_when_the_others_have_learned(
    market: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    setting(monkeypatch, horizons="1d,5d", seed="201")
    known = night()

    def no_room_for_the_first(dataset: Any, folds: Any, *rest: Any, **named: Any) -> Any:
        if "equity-1d" in named["study_name"]:
            raise MemoryError("no room")
        return search(dataset, folds, *rest, **named)

    with monkeypatch.context() as patch:
        patch.setattr(learn, "search", no_room_for_the_first)
        with pytest.raises(MemoryError):
            learn.run(**known, estimator="xgboost", horizons=["1d", "5d"], trials=1, worker=0)
    caplog.set_level("INFO")
    caplog.clear()
    learn.run(**known, estimator="xgboost", horizons=["1d", "5d"], trials=1, worker=0)
    assert "1d xgboost: trial 1/1" in caplog.text
    assert "5d xgboost" not in caplog.text


def test_one_symbol_alone_has_its_night(market: Path, reader_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    setting(monkeypatch, estimators="xgboost,lightgbm,linear", symbols="AAA")
    assert main(NIGHT) == 0
    [(symbol, horizon, p_up, has_skill)] = seen(reader_dsn, PUBLISHED)
    assert (symbol, horizon, has_skill) == ("AAA", "1d", False)
    assert 0 < p_up < 1


def test_prices_that_never_move_teach_nothing_and_nothing_is_published(
    market: Path, reader_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(market, bars().assign(**dict.fromkeys(("open", "high", "low", "close"), 50.0)))
    assert main(NIGHT) == EXIT_ERROR
    assert "expected both rises and falls" in capsys.readouterr().err
    assert seen(reader_dsn, PUBLISHED) == []


def test_a_feature_without_any_value_and_one_with_infinite_ones_are_borne(
    market: Path, reader_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared = market.parent / "features.yaml"
    declared.write_text(
        "name: mine\nversion: 1\ngroups: [price, volatility, market]\nfeatures:\n"
        "  - {name: never, formula: log(0 - close)}\n  - {name: infinite, formula: close / (close - close)}\n"
    )
    setting(monkeypatch, estimators="xgboost,lightgbm,linear", features_path=str(declared))
    assert main(NIGHT) == 0
    p_up = np.array([row[2] for row in seen(reader_dsn, PUBLISHED)])
    assert p_up.size == 6
    assert ((p_up > 0) & (p_up < 1)).all()


def test_an_mlflow_that_goes_away_after_the_search_costs_no_trial(
    market: Path,
    postgres: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    setting(monkeypatch, seed="202")
    known, database = night(), mlflow_database(postgres)
    with ExitStack() as server, monkeypatch.context() as patch:
        setting(patch, mlflow_uri=server.enter_context(mlflow_server_on(database, tmp_path)))

        def ask_while_the_server_ends(*asked: Any) -> Any:
            server.close()
            return ask(*asked)

        patch.setattr(learn, "ask", ask_while_the_server_ends)
        with pytest.raises(RegistryError, match="MLflow"):
            learn.run(**known, estimator="xgboost", horizons=["1d"], trials=2, worker=0)
    caplog.set_level("INFO")
    caplog.clear()
    with mlflow_server_on(database, tmp_path) as uri:
        setting(monkeypatch, mlflow_uri=uri)
        learn.run(**known, estimator="xgboost", horizons=["1d"], trials=2, worker=0)
    assert "trial" not in caplog.text
    assert "fold 1/7" in caplog.text


def test_a_full_disk_is_told_and_the_next_try_succeeds(
    market: Path, reader_dsn: str, monkeypatch: pytest.MonkeyPatch, tiny_disk: Path
) -> None:
    setting(monkeypatch, seed="203")
    known = night()

    def with_a_full_disk(step: Callable[[], Any], told: str) -> None:
        with monkeypatch.context() as patch:
            (tiny_disk / "full").unlink(missing_ok=True)
            (tiny_disk / "full").write_bytes(bytes(tiny_disk_room(tiny_disk)))
            patch.setattr(tempfile, "tempdir", str(tiny_disk))
            with pytest.raises(AfterbellError, match=told):
                step()

    def learning() -> None:
        learn.run(**known, estimator="xgboost", horizons=["1d"], trials=1, worker=0)

    def training() -> None:
        train.run(**known, horizon="1d", estimators=None, trials=1)

    with_a_full_disk(learning, "no room left")
    learning()
    # What MLflow cannot fetch it calls by another name.
    with_a_full_disk(training, "Failed to download artifacts|no room left")
    assert seen(reader_dsn, "select model_version from serving.models") == []
    training()
    assert seen(reader_dsn, "select model_version from serving.models") == [(1,)]


def tiny_disk_room(disk: Path) -> int:
    """Free bytes, but for one block that names of files take."""
    room = os.statvfs(disk)
    return (room.f_bavail - 1) * room.f_frsize
