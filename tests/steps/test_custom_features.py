"""Whole nights with a feature set of the user's own, against a real Postgres and a real MLflow."""

from __future__ import annotations

from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from ml.__main__ import main
from ml.equity.features.catalogue import DEFAULT_SET
from ml.equity.features.sets import configured
from ml.io.store import Store
from ml.settings import settings
from ml.steps import features, ingest, keep, months, validate
from ml.steps.night import asked_for
from tests.steps.market import SYMBOLS, bars, seen, write

pytestmark = [pytest.mark.xdist_group("mlflow"), pytest.mark.usefixtures("registry")]
NIGHT = ["night", "--trials", "1"]
SET = """\
name: mine
version: 1
groups: [price, volatility]
features:
  - name: momentum_30
    formula: log(close / ref(close, 30))
  - name: calm_rank
    formula: cs_rank(-std(ret, 10))
    valid_range: [0, 1]
"""
SETS = "select distinct feature_set, feature_set_version, feature_set_digest from serving.feature_definitions"
CHAMPION = "select model_version, feature_set_digest from serving.models where role = 'champion'"


def chosen(market: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> str:
    """Declare the night's set; its digest."""
    path = market.parent / "features.yaml"
    path.write_text(text)
    monkeypatch.setenv("AFTERBELL_FEATURES_PATH", str(path))
    settings.cache_clear()
    return configured(settings()).digest


def test_a_night_runs_on_a_set_of_ones_own(market: Path, reader_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = chosen(market, monkeypatch, SET)
    assert main(NIGHT) == 0
    own = configured(settings())
    assert seen(reader_dsn, CHAMPION) == [(1, digest)]
    assert seen(reader_dsn, SETS) == [("mine", 1, digest)]
    assert seen(reader_dsn, "select symbol from serving.latest_predictions order by 1") == [(s,) for s in SYMBOLS]
    signature = mlflow.models.get_model_info("models:/equity-1d@champion").signature
    assert signature.inputs.input_names() == ["entity", "ts", *own.names]
    wanted = [one.name for one in DEFAULT_SET.features if one.category in {"price", "volatility"}]
    assert list(own.names) == [*wanted, "momentum_30", "calm_rank"]

    snapshot = features.run(**asked_for("equity", None, None))["snapshot"]
    frame = months.read(Store(settings().store_root), keep.features("equity", digest), snapshot)
    closes = bars().pivot_table(index="date", columns="symbol", values="close")
    calm = -(closes / closes.shift(1)).apply(np.log).rolling(10).std()
    momentum = (closes / closes.shift(30)).apply(np.log)
    for name, expected in (("momentum_30", momentum), ("calm_rank", calm.rank(axis=1, pct=True))):
        got = frame.pivot_table(index="ts", columns="entity", values=name, dropna=False).astype(float)
        np.testing.assert_allclose(got.to_numpy(), expected.to_numpy(), rtol=1e-4, atol=1e-6)


def test_a_changed_set_waits_for_a_champion_that_uses_it(
    market: Path, reader_dsn: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = chosen(market, monkeypatch, SET)
    assert main(NIGHT) == 0
    before = seen(reader_dsn)
    reworded = chosen(market, monkeypatch, SET.replace("valid_range: [0, 1]", "description: Rank of the calm"))
    assert reworded == first
    assert main(["predict"]) == 0

    second = chosen(market, monkeypatch, SET.replace("ref(close, 30)", "ref(close, 31)"))
    assert main(["predict"]) == 2
    assert "uses the night's feature set" in capsys.readouterr().err
    assert seen(reader_dsn) == before
    assert main(NIGHT) == 0
    assert seen(reader_dsn, CHAMPION) == [(2, second)]
    told = "select door, verdict, reason from serving.promotions where candidate_version = 2"
    [(door, verdict, reason)] = seen(reader_dsn, told)
    assert (door, verdict) == ("first", "promote")
    assert "its feature set is no longer computed" in reason
    assert seen(reader_dsn, "select distinct model_version from serving.latest_predictions") == [(2,)]
    assert {digest for _, _, digest in seen(reader_dsn, SETS)} == {first, second}
    words = "select feature_set_digest, description from serving.feature_definitions where name = 'calm_rank'"
    assert set(seen(reader_dsn, words)) == {(first, "Rank of the calm"), (second, "")}


def test_a_mistake_in_the_file_stops_the_night_before_it_computes(
    market: Path, reader_dsn: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen(market, monkeypatch, SET)
    (market.parent / "features.yaml").write_text(SET.replace("ref(close, 30)", "ref(close, -30)"))
    assert main(NIGHT) == 2
    err = capsys.readouterr().err.splitlines()[-1]
    assert err.startswith("night: Found -30 as the bars of ref in the formula `log(close / ref(close, -30))` of the")
    assert f"feature 'momentum_30' in {market.parent / 'features.yaml'}; expected" in err
    assert not (Path(settings().store_root) / "equity" / "features").exists()
    assert seen(reader_dsn, SETS) == []


def test_the_default_set_is_recorded_by_the_features_step(market: Path, reader_dsn: str) -> None:
    write(market, bars()[bars()["date"] >= pd.Timestamp("2014-06-02")])
    known = validate.run(ingest.run()["ingest_id"])
    for _ in range(2):
        features.run(**known)
        assert seen(reader_dsn, SETS) == [("daily", 3, DEFAULT_SET.digest)]
