"""Everybody forecasts the same rows; who fails is left out and said so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from ml.domain import Target
from ml.errors import TrainingError
from ml.estimators.linear import Linear
from ml.evaluation.contest import Contest, Said, held, rounds
from ml.frames import OUT_OF_FOLD
from ml.lifecycle.comparison import BASELINE, score_difference
from ml.lifecycle.recipe import Member, Recipe
from ml.lifecycle.splits import SplitPlan, nested
from ml.lifecycle.training import refitted
from ml.settings import Settings, settings
from tests.lifecycle.fits import silent
from tests.study.datasets import MARKET_VOL, Planted, simulate
from tests.study.returns import Plant

TARGET = Target("study", "1d", 1)
PLANTED: Planted = simulate(Plant(0.3), seed=1)


def config(*estimators: str) -> Settings:
    asked = {"estimators": estimators, "trials": 1, "search_rows": 2_000, "fit_rows": 4_000, "threads": 1}
    return settings().model_copy(update=asked)


def draft(features: tuple[str, ...]) -> Recipe:
    regime = (MARKET_VOL,)
    return Recipe((Member("climatology", {}),), features, "study", 5, regime_features=regime, most_rows=4_000)


def contest(own: Settings, said: Said | None = None, momentum: str | None = None) -> Contest:
    dataset = PLANTED.dataset
    plan = SplitPlan(embargo=1, outer_folds=2, outer_dates=100, inner_folds=1, inner_dates=100)
    folds = nested(dataset.dates, dataset.date_maturities, plan)
    return held(own, TARGET, draft(dataset.feature_names), momentum, dataset, folds, said or Said(silent, silent))


def fail(*_: Any) -> Any:
    raise MemoryError("no room")


def test_everybody_forecasts_the_same_rows_and_climatology_is_the_gates() -> None:
    begun: list[str] = []
    found = contest(config("linear", "xgboost"), Said(begun.append, silent), momentum="noise_00")
    names = ["climatology", "momentum", "linear", "xgboost", "vote", "weighted", "stack", "meta", "chosen"]
    assert [entrant.name for entrant in found.entrants] == names
    assert begun == ["1d baselines", "1d linear", "1d xgboost", "1d ensembles"]
    assert len(begun) == rounds(config("linear", "xgboost"))
    assert found.left_out == {}
    keys = ["entity", "ts", "value", "baseline_p_up"]
    for entrant in found.entrants:
        assert OUT_OF_FOLD.check(entrant.oof)[keys].equals(found.entrants[0].oof[keys])
    assert found.entrants[0].oof["ts"].nunique() == 200
    climatology = found.entrants[0].oof
    pd.testing.assert_series_equal(climatology["p_up"], climatology["baseline_p_up"], check_names=False, rtol=1e-12)
    skilled = {entrant.name: score_difference(entrant.oof, BASELINE).mean() for entrant in found.entrants[2:]}
    assert min(skilled["linear"], skilled["stack"], skilled["chosen"]) > 0


def test_alone_a_member_says_what_its_own_recipe_says() -> None:
    found = contest(config("linear"))
    assert [entrant.name for entrant in found.entrants] == ["climatology", "linear", "chosen"]
    [searched] = found.searched
    recipe = replace(draft(PLANTED.dataset.feature_names), members=(Member("linear", searched.params),))
    own = refitted(recipe, PLANTED.dataset, found.folds, threads=1, progress=silent)
    pd.testing.assert_frame_equal(found.entrants[1].oof, own)


def test_who_fails_is_left_out_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Linear, "prepare", staticmethod(fail))
    found = contest(config("linear", "xgboost"))
    assert [entrant.name for entrant in found.entrants] == ["climatology", "xgboost", "chosen"]
    assert found.left_out == {
        "linear": "MemoryError: no room",
        "momentum": "the feature set lacks the feature whose sign it goes by",
    }


def test_without_anybody_who_learned_there_is_no_contest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Linear, "prepare", staticmethod(fail))
    with pytest.raises(TrainingError, match="none of linear learning 1d"):
        contest(config("linear"))
