"""What a card says is what can be computed apart from it, on a small fitted model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from ml.domain import Target
from ml.estimators.xgboost_trees import XGBoost
from ml.lifecycle import card
from ml.lifecycle.dataset import Dataset
from ml.lifecycle.model import Model, assemble
from ml.lifecycle.recipe import Member, Recipe
from ml.lifecycle.significance import standard_error
from ml.lifecycle.splits import Nested, walk_forward
from ml.lifecycle.training import alone, ask, blocks, evidence, fit_serving, out_of_fold
from tests.lifecycle.fits import nested_of, seen, silent

NAMES = ("a", "b", "vol")
TARGET = Target("toy", "2d", 2)
MOMENTUM = Member("momentum", {"feature": 0})


def market() -> Dataset:
    """Ten entities, one of which is not there on the last date; the outcome of the last two dates is not known."""
    rng = np.random.default_rng(0)
    date = np.repeat(np.arange(302), 10)[:-1]
    ts = np.datetime64("2024-01-01T21:00", "us") + date * np.timedelta64(1, "D")
    X = np.abs(rng.standard_normal((date.size, 3))).astype("float32")
    X[:, 0] -= np.float32(0.8)
    value = (X[:, 0] + rng.standard_normal(date.size)) * X[:, 2]
    value[date >= 300] = np.nan
    matures = np.where(date < 300, ts + np.timedelta64(2, "D"), np.datetime64("NaT", "us"))
    return Dataset(np.tile(np.array(list("ABCDEFGHIJ"), object), 302)[:-1], ts, matures, X, value, NAMES)


class Made:
    """A recipe of two, fitted, with what it and the momentum baseline say out of fold."""

    def __init__(self) -> None:
        self.dataset = market()
        folds = walk_forward(self.dataset.dates, self.dataset.date_maturities, 3, 60, 2)
        self.folds: Nested = nested_of(folds, 1)
        self.members = (Member("xgboost", {**XGBoost.defaults, "rounds": 20}), Member("climatology", {}))
        self.recipe = Recipe(self.members, NAMES, "set-1", 3, "stack", "platt", "vol")
        found = seen(self.recipe, self.dataset, self.folds)
        self.oof = out_of_fold(self.recipe, self.dataset, found)
        fitted = {m.estimator: fit_serving(self.recipe, m, self.dataset, threads=1) for m in self.members}
        self.model: Model = assemble(self.recipe, fitted, self.dataset, found, self.oof)
        own = alone(self.recipe, MOMENTUM)
        asked = blocks(own, self.dataset, self.folds)
        answers = ask(own, MOMENTUM, self.dataset, asked, 1, silent)
        said = evidence(own, self.dataset, asked, {"momentum": answers})
        self.momentum = out_of_fold(own, self.dataset, said)


@pytest.fixture(scope="module")
def made() -> Made:
    return Made()


def losses(frame: pd.DataFrame, column: str = "p_up") -> pd.Series[float]:
    """The log-loss by date, written out."""
    came = np.where(frame["value"] > 0, frame[column], 1 - frame[column])
    return pd.Series(-np.log(came)).groupby(frame["ts"].to_numpy()).mean()


def test_momentum_is_told_on_the_models_own_outer_rows(made: Made) -> None:
    keys = ["entity", "ts", "value", "baseline_p_up"]
    pd.testing.assert_frame_equal(made.momentum[keys], made.oof[keys])
    for fold in made.folds.outer:
        tested = np.isin(made.momentum["ts"].to_numpy(dtype="datetime64[us]"), fold.test)
        sign = made.dataset.X[made.dataset.rows(fold.test), 0] > 0
        before = made.dataset.rows(fold.train)
        for side in (True, False):
            [said] = made.momentum.loc[tested, "p_up"][sign == side].unique()
            # all rows of the fold's train dates count nearly alike: labels overlap by two dates everywhere
            rose = (made.dataset.value[before] > 0)[(made.dataset.X[before, 0] > 0) == side]
            assert said == pytest.approx(rose.mean(), abs=0.01)


def test_scores_and_what_the_model_is_ahead_by_are_those_of_the_rows(made: Made) -> None:
    found = card.judged(made.oof, {"momentum": made.momentum}, TARGET)
    assert found["scores"]["log_loss"] == pytest.approx(losses(made.oof).mean())
    assert found["scores"]["baseline_log_loss"] == pytest.approx(losses(made.oof, "baseline_p_up").mean())
    assert found["beside"]["momentum"]["log_loss"] == pytest.approx(losses(made.momentum).mean())
    by_date = [spearmanr(of.value, of.expected)[0] for _, of in made.momentum.groupby("ts")]
    assert found["beside"]["momentum"]["rank_ic"] == pytest.approx(np.nanmean(by_date))
    for name, theirs in (("baseline", losses(made.oof, "baseline_p_up")), ("momentum", losses(made.momentum))):
        d = np.asarray(theirs - losses(made.oof))
        ahead = found["ahead_of"][name]
        assert ahead["mean"] == pytest.approx(d.mean())
        assert ahead["standard_error"] == pytest.approx(standard_error(d, 2))
        assert (ahead["dates"], ahead["degrees_of_freedom"]) == (120, 9)


def test_folds_are_told_one_by_one_with_their_dates(made: Made) -> None:
    first, second = card.by_fold(made.oof, {"momentum": made.momentum}, made.folds.outer, TARGET)
    assert (first["fold"], second["fold"]) == (1, 2)
    # 300 dates with a known outcome, the last 120 tested; two dates purged and two of embargo before each block
    assert (first["tested_from"], first["tested_until"]) == ("2024-06-29T21:00:00+00:00", "2024-08-27T21:00:00+00:00")
    assert (first["trained_from"], first["trained_until"]) == (
        "2024-01-01T21:00:00+00:00",
        "2024-06-24T21:00:00+00:00",
    )
    assert (second["tested_from"], second["tested_until"]) == ("2024-08-28T21:00:00+00:00", "2024-10-26T21:00:00+00:00")
    for fold, tested in ((first, made.folds.outer[0].test), (second, made.folds.outer[1].test)):
        on = made.oof["ts"].dt.tz_localize(None).isin(tested)
        assert fold["scores"]["n_rows"] == 600
        d = np.asarray(losses(made.oof[on], "baseline_p_up") - losses(made.oof[on]))
        assert fold["ahead_of"]["baseline"]["mean"] == pytest.approx(d.mean())
        assert fold["ahead_of"]["baseline"]["standard_error"] == pytest.approx(standard_error(d, 2))
        assert fold["beside"]["momentum"]["log_loss"] == pytest.approx(losses(made.momentum[on]).mean())


def test_a_target_is_told_in_its_own_score(made: Made) -> None:
    ranked = Target("toy", "2d", 2, score="rank_ic")
    ahead = card.judged(made.oof, {}, ranked)["ahead_of"]["baseline"]
    by_date = [spearmanr(of.value, of.expected)[0] for _, of in made.oof.groupby("ts")]
    assert ahead["mean"] == pytest.approx(np.mean(by_date))


def test_nothing_that_can_be_ranked_is_no_number(made: Made) -> None:
    one = made.oof[made.oof["entity"] == "A"].reset_index(drop=True)
    ahead = card.judged(one, {}, Target("toy", "2d", 2, score="rank_ic"))["ahead_of"]["baseline"]
    assert (ahead["mean"], ahead["standard_error"], ahead["dates"]) == (None, None, 0)


def test_the_curve_and_the_coverage_are_the_models(made: Made) -> None:
    curve = card.calibration_curve(made.model)
    assert sum(each["rows"] for each in curve) == len(made.oof) == 1200
    below = made.oof[made.oof["p_up"] <= made.model.reliability.until[0]]
    assert curve[0]["rows"] == len(below) == pytest.approx(120, abs=2)
    assert curve[0]["said"] == pytest.approx(below["p_up"].mean())
    assert curve[0]["came"] == pytest.approx((below["value"] > 0).mean())
    assert [each["stated"] for each in card.coverage(made.model)] == [0.8, 0.95]
    assert [each["measured"] for each in card.coverage(made.model)] == list(made.model.intervals.measured)


def test_the_strongest_features_are_told_in_words() -> None:
    found = [{"feature": f"f{i}", "importance": 1 / (i + 1)} for i in range(30)]
    told = card.strongest(found, {f"f{i}": f"Feature {i} (f{i})" for i in range(30)})
    assert len(told) == 20
    assert told[1] == {"feature": "f1", "importance": 0.5, "words": "Feature 1 (f1)"}


def test_costs_are_those_of_the_saved_files_and_of_rows_of_the_last_date(made: Made, tmp_path: Path) -> None:
    made.model.save(tmp_path)
    found = card.costs(tmp_path, made.dataset)
    assert found["size_bytes"] == sum(len(file.read_bytes()) for file in tmp_path.rglob("*.*"))
    assert found["load_seconds"] > 0
    assert (found["one_row"]["rows"], found["night"]["rows"]) == (1, 9)  # J is not there on the last date
    assert 1 <= found["one_row"]["forecasts"] <= 9
    for timed in (found["one_row"], found["night"]):
        assert 0 < timed["p50_seconds"] <= timed["p95_seconds"] < 10
