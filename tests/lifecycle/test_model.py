import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ml.errors import FrameError, RegistryError, StoreError
from ml.estimators.xgboost_trees import XGBoost
from ml.frames import FORECAST
from ml.lifecycle.dataset import Dataset
from ml.lifecycle.model import Model
from ml.lifecycle.recipe import Member, Recipe
from ml.lifecycle.splits import walk_forward
from tests.lifecycle.fits import fitted, nested_of

NAMES = ("a", "b", "vol")
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def model() -> Model:
    rng = np.random.default_rng(0)
    ts = np.repeat(np.datetime64("2024-01-01T21:00", "us") + np.arange(180) * np.timedelta64(1, "D"), 10)
    X = np.abs(rng.standard_normal((1800, 3))).astype("float32")
    value = (X[:, 0] - 0.8 + rng.standard_normal(1800)) * X[:, 2]
    entity = np.tile(np.array(list("ABCDEFGHIJ"), dtype=object), 180)
    dataset = Dataset(entity, ts, ts + np.timedelta64(1, "D"), X, value, NAMES)
    members = (Member("xgboost", {**XGBoost.defaults, "rounds": 20}), Member("climatology", {}))
    recipe = Recipe(members, NAMES, "set-1", 3, "stack", "platt", scale_feature="vol", regime_features=("b",))
    folds = walk_forward(dataset.dates, dataset.date_maturities, 3, 40, 1)
    return fitted(recipe, dataset, nested_of(folds, 1))


def tonight(rows: int = 5) -> pd.DataFrame:
    columns = np.abs(np.random.default_rng(8).standard_normal((rows, 3))).astype("float32")
    keys = pd.DataFrame({"entity": [f"E{i}" for i in range(rows)], "ts": pd.Timestamp("2024-03-01 21:00", tz="UTC")})
    keys = keys.astype({"entity": "str", "ts": "datetime64[us, UTC]"})
    return pd.concat([keys, pd.DataFrame(columns, columns=list(NAMES))], axis=1)


def test_intervals_are_quantiles_times_the_rows_own_scale(model: Model) -> None:
    forecast = FORECAST.check(model.forecast(tonight()))
    scale = tonight()["vol"].astype("float64")
    for ending, at in (("", 0), ("_95", 1)):
        np.testing.assert_allclose(forecast[f"upper{ending}"] - forecast["expected"], model.intervals.upper[at] * scale)
        np.testing.assert_allclose(forecast[f"lower{ending}"] - forecast["expected"], model.intervals.lower[at] * scale)
    assert forecast["p_up"].between(0, 1).all()
    assert forecast["p_up"].std() > 0


def test_a_row_without_a_usable_scale_gets_the_typical_one(model: Model) -> None:
    frame = tonight()
    frame.loc[2, "vol"] = np.nan
    forecast = model.forecast(frame)
    assert forecast["upper"][2] - forecast["expected"][2] == pytest.approx(
        model.intervals.upper[0] * model.typical_scale
    )


def test_a_reader_gets_what_helps_to_weigh_the_answer(model: Model) -> None:
    frame = tonight()
    frame.loc[4, list(NAMES)] = np.float32(1000)
    forecast = model.forecast(frame)
    assert forecast["is_outlier"].tolist() == [False] * 4 + [True]
    assert forecast["dissimilarity"].between(0, 1).all()
    assert forecast["risk_score"].between(0, 100).all()
    assert forecast["target_probability"].between(0, 1).all()
    assert (np.sign(forecast["stop"]) == np.where(forecast["p_up"] >= 0.5, -1, 1)).all()
    assert (forecast["similar_dates"] > 0).all()
    shares = [json.loads(text) for text in forecast["members"]]
    assert all(set(each) == {"xgboost", "climatology"} for each in shares)
    assert [sum(each.values()) for each in shares] == pytest.approx([1.0] * 5, abs=2e-4)


def test_only_the_last_instant_is_answered_and_the_past_is_no_duplicate(model: Model) -> None:
    earlier = tonight().assign(ts=pd.Timestamp("2024-02-29 21:00", tz="UTC")).astype({"ts": "datetime64[us, UTC]"})
    both = pd.concat([earlier, tonight()], ignore_index=True)
    pd.testing.assert_frame_equal(model.forecast(both), model.forecast(tonight()), check_exact=True)


def test_features_are_found_by_name_and_others_ignored(model: Model) -> None:
    frame = tonight()
    shuffled = frame[["entity", "ts", "vol", "b", "a"]].assign(newer=np.float32(1))
    pd.testing.assert_frame_equal(model.forecast(shuffled), model.forecast(frame), check_exact=True)


def test_a_row_with_nothing_known_gets_no_forecast(model: Model) -> None:
    frame = tonight()
    frame.loc[1, list(NAMES)] = [np.nan, np.inf, -np.inf]
    assert model.forecast(frame)["entity"].tolist() == ["E0", "E2", "E3", "E4"]


def test_a_missing_feature_and_an_entity_at_two_instants_are_refused(model: Model) -> None:
    with pytest.raises(FrameError, match="'b'"):
        model.forecast(tonight().drop(columns="b"))
    two = pd.concat([tonight(), tonight()], ignore_index=True)
    with pytest.raises(FrameError, match="more than once"):
        model.forecast(two)


def test_another_process_forecasts_the_same_bits_without_pickle(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    tonight().to_parquet(tmp_path / "features.parquet")
    code = (
        "import sys, pathlib, pandas as pd; from ml.lifecycle.model import Model; here = pathlib.Path(sys.argv[1]);"
        "forecast = Model.load(here / 'model').forecast(pd.read_parquet(here / 'features.parquet'));"
        "forecast.to_parquet(here / 'forecast.parquet')"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, cwd=REPOSITORY)
    theirs = pd.read_parquet(tmp_path / "forecast.parquet")
    pd.testing.assert_frame_equal(theirs, model.forecast(tonight()), check_exact=True)
    written = [path for path in (tmp_path / "model").rglob("*") if path.is_file()]
    assert {path.suffix for path in written} == {".json", ".ubj"}
    assert {path.parent.name for path in written} == {"model", "xgboost", "climatology"}


def test_everything_known_about_a_model_survives_saving(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path)
    again = Model.load(tmp_path)
    for name in ("recipe", "second", "intervals", "reliability", "familiar", "risks", "typical_scale", "n_rows"):
        assert getattr(again, name) == getattr(model, name)
    assert (again.trained_from, again.trained_until) == (model.trained_from, model.trained_until)


def edit(path: Path, **changes: object) -> None:
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, **changes}))


def test_a_newer_format_is_refused(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path)
    edit(tmp_path / "model.json", format=3)
    with pytest.raises(RegistryError, match="format 3"):
        Model.load(tmp_path)


def test_a_recipe_edited_after_saving_is_refused(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path)
    recipe = json.loads((tmp_path / "model.json").read_text())["recipe"]
    edit(tmp_path / "model.json", recipe={**recipe, "seed": 4})
    with pytest.raises(RegistryError, match="digest"):
        Model.load(tmp_path)


@pytest.mark.parametrize("name", ["model.json", "members/xgboost/estimator.json", "members/xgboost/event.ubj"])
def test_a_missing_file_is_named(model: Model, tmp_path: Path, name: str) -> None:
    model.save(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(StoreError, match=Path(name).name):
        Model.load(tmp_path)


def test_a_place_that_cannot_be_written_is_a_store_error(model: Model, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="cannot be made"):
        model.save(tmp_path / "file")
