"""Whole nights in one process, against a real Postgres and a real MLflow."""

from __future__ import annotations

from pathlib import Path

import mlflow
import pandas as pd
import pytest

from ml.__main__ import main
from ml.equity.features.catalogue import DEFAULT_SET
from ml.frames import FORECAST
from ml.io.registry import Registry
from ml.io.store import Store
from ml.settings import Settings, settings
from ml.steps import features, keep, months, predict
from ml.steps.aliases import CHAMPION
from ml.steps.night import asked_for
from tests.steps.market import LAST, SYMBOLS, bars, seen, write

pytestmark = [pytest.mark.xdist_group("mlflow"), pytest.mark.usefixtures("registry")]
NIGHT = ["night", "--trials", "2"]
SPLIT_DAY = pd.Timestamp("2014-03-03")


def test_the_sample_gives_predictions_for_five_symbols_and_three_horizons(
    stack_settings: Settings, reader_dsn: str
) -> None:
    assert main(NIGHT) == 0
    rows = seen(
        reader_dsn,
        "select symbol, horizon, as_of::date::text, price, p_up between 0 and 1,"
        " return_lower < expected_return and expected_return < return_upper, is_replay, is_stale"
        " from serving.latest_predictions order by symbol, horizon",
    )
    prices = {"AAPL": 430.47, "FB": 27.78, "GOOG": 806.19, "IBM": 202.91, "MSFT": 27.95}  # closes of 2013-03-01
    assert rows == [
        (symbol, horizon, "2013-03-01", price, True, True, True, False)
        for symbol, price in prices.items()
        for horizon in ("1d", "20d", "5d")
    ]


def test_a_target_is_trained_on_its_label_and_judged_by_its_score(
    market: Path, reader_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFTERBELL_HORIZONS", "1w")
    monkeypatch.setenv("AFTERBELL_LABELS", "1w=barrier")
    monkeypatch.setenv("AFTERBELL_SCORES", "5d=rank_ic")
    settings.cache_clear()
    assert main(NIGHT) == 0
    (told,) = seen(
        reader_dsn, "select horizon, label, score, reason, evidence #>> '{skill,mean}' from serving.promotions"
    )
    assert told[:3] == ("5d", "barrier", "rank_ic")
    assert "rank correlation" in told[3]
    assert seen(reader_dsn, "select horizon, rank_ic from serving.models") == [("5d", pytest.approx(float(told[4])))]
    assert seen(reader_dsn, "select distinct horizon, count(*) from serving.latest_predictions group by 1") == [
        ("5d", len(SYMBOLS))
    ]


def test_the_same_night_again_changes_nothing_that_readers_see(market: Path, reader_dsn: str) -> None:
    assert main(NIGHT) == 0
    before = seen(reader_dsn), seen(reader_dsn, "select * from serving.models"), _decisions(reader_dsn)
    assert main(NIGHT) == 0
    assert (seen(reader_dsn), seen(reader_dsn, "select * from serving.models"), _decisions(reader_dsn)) == before
    assert seen(reader_dsn, "select count(*) from serving.publications") == [(1,)]


def test_every_prediction_leads_back_to_data_model_code_and_decision(market: Path, reader_dsn: str) -> None:
    assert main(NIGHT) == 0
    (published,) = seen(reader_dsn, "select count(*) from serving.prediction_history")
    assert published[0] > 0
    assert seen(
        reader_dsn,
        "select count(*), bool_and(failed_checks = 0 and checks > 0), count(distinct ingest_id),"
        " bool_and(model_snapshot_digest = snapshot_digest and model_as_of = as_of),"
        " bool_and(promoted_at <= published_at), min(decided_by), min(door), min(provider)"
        " from serving.lineage where decision_id is not null",
    ) == [(*published, True, 1, True, True, "gate", "first", "files")]
    (digests,) = seen(
        reader_dsn,
        "select distinct feature_set_digest, recipe_digest, code_commit, mlflow_run_id, received_digest"
        " from serving.lineage",
    )
    assert digests[0] == DEFAULT_SET.digest
    assert all(digests)


def test_on_noise_the_champion_stays_and_the_look_spends_its_share_of_alpha(market: Path, reader_dsn: str) -> None:
    assert main([*NIGHT, "--as-of", "2014-08-28"]) == 0
    assert main(["night", "--trials", "4"]) == 0
    (door, verdict, reason, alpha), *rest = seen(
        reader_dsn, "select door, verdict, reason, alpha_spent from serving.promotions where champion_version = 1"
    )
    assert not rest
    assert (door, verdict, alpha) == ("replace", "keep", pytest.approx(0.007))
    assert reason.startswith("superiority not proven")
    assert seen(reader_dsn, "select distinct as_of::date, model_version from serving.latest_predictions") == [
        (LAST.date(), 1)
    ]


def test_a_correction_makes_new_predictions_and_leaves_the_old_night_as_it_was(
    market: Path, stack_settings: Settings, reader_dsn: str
) -> None:
    assert main(NIGHT) == 0
    first = asked_for("equity", None, None)
    snapshot = features.run(**first)["snapshot"]
    corrected = bars()
    corrected.loc[(corrected["symbol"] == "AAA") & (corrected["date"] == LAST), "volume"] *= 2
    write(market, corrected)
    assert main(NIGHT) == 0

    replayed = features.run("equity", first["as_of"], first["known_at"])
    assert replayed["snapshot"] == snapshot
    assert features.run(**asked_for("equity", None, None))["snapshot"] != snapshot
    counts = "select restated_rows, inserted_rows from serving.data_quality group by ingest_id, 1, 2 order by ingest_id"
    assert seen(reader_dsn, counts) == [(0, len(corrected)), (1, 0)]
    words = "select is_final, count(*) from serving.prediction_history group by is_final order by is_final"
    assert seen(reader_dsn, words) == [(False, len(SYMBOLS)), (True, len(SYMBOLS))]


def test_knowledge_that_was_corrected_never_comes_back(market: Path, stack_settings: Settings, reader_dsn: str) -> None:
    assert main(NIGHT) == 0
    before_correction = asked_for("equity", None, None)
    corrected = bars()
    corrected.loc[(corrected["symbol"] == "AAA") & (corrected["date"] == LAST), ["close", "high"]] *= 1.1
    write(market, corrected)
    assert main(NIGHT) == 0
    after = seen(reader_dsn)
    late = predict.run(**features.run(**before_correction))
    assert late["new"] == "no"
    assert seen(reader_dsn) == after


def test_a_past_night_is_not_answered_by_a_model_that_has_seen_its_outcome(
    market: Path, reader_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(NIGHT) == 0
    before = seen(reader_dsn)
    assert main([*NIGHT, "--as-of", "2014-06-02"]) == 2
    assert "run nights in the order of time" in capsys.readouterr().err
    assert seen(reader_dsn) == before
    assert seen(reader_dsn, "select count(*) from serving.publications") == [(1,)]
    past = "select verdict, alpha_spent, reason from serving.promotions where as_of::date = '2014-06-02'"
    [(verdict, alpha, reason)] = seen(reader_dsn, past)
    assert (verdict, alpha) == ("keep", 0.0)
    assert reason.startswith("a past night: champion version 1 has been trained on later ones")


def test_features_are_adjusted_for_splits_and_prices_are_not(market: Path, stack_settings: Settings) -> None:
    split = bars().assign(split=1.0)
    after = split["date"] >= SPLIT_DAY
    split.loc[after, ["open", "high", "low", "close"]] /= 2
    split.loc[split["date"] == SPLIT_DAY, "split"] = 2.0
    write(market, split)
    assert main(NIGHT) == 0
    snapshot = features.run(**asked_for("equity", None, None))["snapshot"]
    adjusted = months.adjusted(Store(stack_settings.store_root), "equity", snapshot)
    plain = bars().sort_values(["symbol", "date"], ignore_index=True)
    pd.testing.assert_series_equal(adjusted["close"], plain["close"], check_names=False, rtol=1e-12)
    price = Store(stack_settings.store_root).get(keep.reference("equity", snapshot)).set_index("entity")["price"]
    assert price["AAA"] == pytest.approx(plain.loc[plain["symbol"] == "AAA", "close"].iloc[-1] / 2)


def test_an_alias_moved_by_hand_is_moved_back_and_the_predictions_go_on(
    market: Path, stack_settings: Settings, reader_dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert main(["night", "--trials", "2", "--as-of", "2014-08-28"]) == 0
    assert main(["night", "--trials", "3"]) == 0
    before = seen(reader_dsn)
    registry = Registry(stack_settings.require_mlflow_uri())
    registry.point("equity-1d", CHAMPION, 2)
    assert main(["predict"]) == 0
    assert "alias champion moved from version 2 to version 1" in caplog.text
    assert registry.alias("equity-1d", CHAMPION) == 1
    assert seen(reader_dsn) == before


def test_a_registered_model_holds_no_pickle_and_carries_its_signature(market: Path, tmp_path: Path) -> None:
    assert main(NIGHT) == 0
    folder = Path(mlflow.artifacts.download_artifacts("models:/equity-1d@champion", dst_path=str(tmp_path / "model")))
    files = [path for path in folder.rglob("*") if path.is_file()]
    # What pickle writes begins with the protocol opcode and ends with STOP.
    assert not [path for path in files if path.read_bytes()[:1] == b"\x80" and path.read_bytes()[-1:] == b"."]
    assert {path.suffix for path in files} <= {".json", ".ubj", ".yaml", ".yml", ".txt", ".env", ""}
    signature = mlflow.models.get_model_info("models:/equity-1d@champion").signature
    assert signature.inputs.input_names() == ["entity", "ts", *DEFAULT_SET.names]
    assert signature.outputs.input_names() == list(FORECAST.columns)


def _decisions(reader_dsn: str) -> list[tuple[object, ...]]:
    return seen(reader_dsn, "select decision_id, verdict, reason, decided_at from serving.promotions")
