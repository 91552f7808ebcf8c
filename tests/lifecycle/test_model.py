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
from ml.lifecycle.recipe import Recipe
from ml.lifecycle.splits import walk_forward
from ml.lifecycle.training import fit, out_of_fold

NAMES = ("a", "b", "vol")
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def model() -> Model:
    rng = np.random.default_rng(0)
    ts = np.repeat(np.datetime64("2024-01-01T21:00", "us") + np.arange(60) * np.timedelta64(1, "D"), 10)
    X = np.abs(rng.standard_normal((600, 3))).astype("float32")
    value = (X[:, 0] - 0.8 + rng.standard_normal(600)) * X[:, 2]
    entity = np.tile(np.array(list("ABCDEFGHIJ"), dtype=object), 60)
    dataset = Dataset(entity, ts, ts + np.timedelta64(1, "D"), X, value, NAMES)
    recipe = Recipe("xgboost", XGBoost.defaults, NAMES, "set-1", 3, scale_feature="vol")
    folds = walk_forward(dataset.dates, dataset.date_maturities, 2, 15, 1)
    return fit(recipe, dataset, out_of_fold(recipe, dataset, folds, threads=1), threads=1)


def tonight(rows: int = 5) -> pd.DataFrame:
    columns = np.abs(np.random.default_rng(8).standard_normal((rows, 3))).astype("float32")
    keys = pd.DataFrame({"entity": [f"E{i}" for i in range(rows)], "ts": pd.Timestamp("2024-03-01 21:00", tz="UTC")})
    keys = keys.astype({"entity": "str", "ts": "datetime64[us, UTC]"})
    return pd.concat([keys, pd.DataFrame(columns, columns=list(NAMES))], axis=1)


def test_the_interval_is_the_quantile_times_the_rows_own_scale(model: Model) -> None:
    forecast = FORECAST.check(model.forecast(tonight()))
    half = model.interval.quantile * tonight()["vol"].astype("float64")
    np.testing.assert_allclose(forecast["upper"] - forecast["expected"], half)
    np.testing.assert_allclose(forecast["expected"] - forecast["lower"], half)
    assert forecast["p_up"].between(0, 1).all()
    assert forecast["p_up"].std() > 0


def test_a_row_without_a_usable_scale_gets_the_typical_one(model: Model) -> None:
    frame = tonight()
    frame.loc[2, "vol"] = np.nan
    forecast = model.forecast(frame)
    assert forecast["upper"][2] - forecast["expected"][2] == pytest.approx(
        model.interval.quantile * model.typical_scale
    )


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


def test_the_keys_instant_is_not_needed(model: Model) -> None:
    without = model.forecast(tonight().drop(columns="ts"))
    pd.testing.assert_frame_equal(without, model.forecast(tonight()), check_exact=True)


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


def test_everything_known_about_a_model_survives_saving(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path)
    again = Model.load(tmp_path)
    for name in ("recipe", "interval", "typical_scale", "trained_from", "trained_until", "n_rows", "feature_names"):
        assert getattr(again, name) == getattr(model, name)


def edit(path: Path, **changes: object) -> None:
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, **changes}))


def test_a_newer_format_is_refused(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path)
    edit(tmp_path / "model.json", format=2)
    with pytest.raises(RegistryError, match="format 2"):
        Model.load(tmp_path)


def test_a_recipe_edited_after_saving_is_refused(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path)
    recipe = json.loads((tmp_path / "model.json").read_text())["recipe"]
    edit(tmp_path / "model.json", recipe={**recipe, "seed": 4})
    with pytest.raises(RegistryError, match="digest"):
        Model.load(tmp_path)


@pytest.mark.parametrize("name", ["model.json", "estimator/estimator.json", "estimator/event.ubj"])
def test_a_missing_file_is_named(model: Model, tmp_path: Path, name: str) -> None:
    model.save(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(StoreError, match=Path(name).name):
        Model.load(tmp_path)


def test_a_place_that_cannot_be_written_is_a_store_error(model: Model, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="cannot be made"):
        model.save(tmp_path / "file")
