"""A domain that knows nothing of equities goes through the whole lifecycle."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ml.estimators.xgboost_trees import XGBoost
from ml.frames import OUT_OF_FOLD, PREDICTIONS
from ml.lifecycle.audit import audit, raise_if_failed
from ml.lifecycle.comparison import Contender, decide
from ml.lifecycle.dataset import Dataset, build
from ml.lifecycle.looks import Look
from ml.lifecycle.metrics import scores
from ml.lifecycle.model import Model
from ml.lifecycle.prediction import finish
from ml.lifecycle.recipe import Member, Recipe
from ml.lifecycle.search import search
from ml.lifecycle.splits import Nested, SplitPlan, nested
from ml.lifecycle.training import refitted
from ml.steps.forecasts import RETURNS
from tests import toy_domain as toy
from tests.lifecycle.fits import fitted, silent

Prepared = tuple[Dataset, Nested]


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return toy.features(toy.demand())


@pytest.fixture(scope="module")
def prepared(frame: pd.DataFrame) -> Prepared:
    dataset = build(frame, toy.labels(toy.demand()), toy.WEEK, toy.FEATURES)
    return dataset, nested(dataset.dates, dataset.date_maturities, SplitPlan(embargo=toy.WEEK.horizon))


def recipe(**changes: object) -> Recipe:
    plain: dict[str, object] = {
        "members": (Member("xgboost", XGBoost.defaults),),
        "feature_names": toy.FEATURES,
        "feature_set": "toy-1",
        "seed": 3,
        "scale_feature": "spread",
    }
    return Recipe(**{**plain, **changes})  # type: ignore[arg-type]


def contender(recipe: Recipe, prepared: Prepared) -> Contender:
    dataset, folds = prepared
    return Contender(recipe.digest, refitted(recipe, dataset, folds, 1, silent), dataset.dates[-1])


def test_the_whole_lifecycle_from_frames_to_audited_predictions(
    frame: pd.DataFrame, prepared: Prepared, tmp_path: Path
) -> None:
    dataset, folds = prepared
    found = search(
        dataset, folds.inner, "xgboost", trials=2, timeout_s=60, seed=3, threads=1, progress=lambda line: None
    )
    candidate = recipe(members=(Member("xgboost", found.params), Member("climatology", {})), combiner="weighted")
    challenger = contender(candidate, prepared)
    model = fitted(candidate, dataset, folds)

    first = decide(toy.WEEK, challenger, None, Look(1, 0.05))
    assert (first.door, first.verdict, first.has_skill) == ("first", "promote", True)

    champion = contender(recipe(members=(Member("climatology", {}),), scale_feature=None), prepared)
    replace = decide(toy.WEEK, challenger, champion, Look(1, 0.05))
    assert (replace.door, replace.verdict) == ("replace", "promote"), replace.reason
    reverse = decide(toy.WEEK, champion, challenger, Look(1, 0.05))
    assert (reverse.verdict, reverse.has_skill) == ("keep", False), reverse.reason
    json.dumps(replace.evidence, allow_nan=False)

    model.save(tmp_path)
    tonight = frame[frame["ts"] == frame["ts"].iloc[-1]].reset_index(drop=True)
    forecast = Model.load(tmp_path).forecast(tonight)
    pd.testing.assert_frame_equal(forecast, model.forecast(tonight), check_exact=True)

    night = PREDICTIONS.cast(finished(forecast, tonight["ts"].iloc[0]))
    findings = audit(night, [(shop, "1w") for shop in tonight["entity"]], previous=None)
    raise_if_failed(findings)
    assert all(finding.passed for finding in findings), findings


def finished(forecast: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """What the toy domain's own predict step would add: maturity, and demand in place of a price."""
    frame = finish(forecast).rename(columns=RETURNS)
    prices = {"price": 100.0, "price_target": 100.0, "price_lower": 90.0, "price_upper": 110.0, "price_stop": 90.0}
    frame = frame.assign(target="1w", model_version=1, has_skill=True, **prices)
    return frame.assign(matures_at=as_of + pd.Timedelta(days=7))


def test_the_planted_signal_is_found_and_the_interval_covers(prepared: Prepared) -> None:
    oof = contender(recipe(), prepared).oof
    found = scores(OUT_OF_FOLD.check(oof))
    assert found["auc"] > 0.75
    assert found["log_loss"] < found["baseline_log_loss"] - 0.05
    intervals = fitted(recipe(), *prepared).intervals
    assert 0.75 < intervals.measured[0] < 0.85
    assert 0.92 < intervals.measured[1] < 0.98


def test_a_noise_feature_alone_is_reported_as_without_skill(frame: pd.DataFrame) -> None:
    dataset = build(frame[["entity", "ts", "noise"]], toy.labels(toy.demand()), toy.WEEK, ("noise",))
    folds = nested(dataset.dates, dataset.date_maturities, SplitPlan(embargo=7))
    blind = recipe(feature_names=("noise",), scale_feature=None)
    decision = decide(toy.WEEK, contender(blind, (dataset, folds)), None, Look(1, 0.05))
    assert (decision.verdict, decision.has_skill) == ("promote", False)


def test_no_outer_date_can_change_what_the_search_finds(prepared: Prepared) -> None:
    dataset, folds = prepared
    scrambled = dataset.value.copy()
    touched = dataset.matures_at >= folds.outer[0].test[0]
    scrambled[touched] = np.random.default_rng(0).permutation(-scrambled[touched])
    other = Dataset(dataset.entity, dataset.ts, dataset.matures_at, dataset.X, scrambled, dataset.feature_names)

    def run(rows: Dataset) -> pd.DataFrame:
        return search(
            rows, folds.inner, "xgboost", trials=2, timeout_s=60, seed=1, threads=1, progress=lambda line: None
        ).trials.drop(columns="seconds")

    pd.testing.assert_frame_equal(run(dataset), run(other))
