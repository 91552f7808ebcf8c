"""The card of a fitted model, as files: what it says of origin, members and of what was left out."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml.domain import Domain
from ml.lifecycle.card import by_fold, judged
from ml.lifecycle.choice import Choice
from ml.lifecycle.dataset import Dataset
from ml.lifecycle.recipe import Member
from ml.steps import card
from ml.steps.domains import Parts
from tests.lifecycle.test_card import NAMES, TARGET, Made
from tests.lifecycle.test_card_page import Page

WICKED = "Gap <b>& more</b> (a)"
RIDGE = Member("linear", {"l2": 0.25})
CHOICE = Choice(("xgboost", "climatology"), "stack", "platt", "log-loss 0.69 over 60 dates", [])


def never(*_: Any) -> Any:
    raise AssertionError("a card asks for no such thing")


PARTS = Parts(
    domain=Domain("toy", (TARGET,)),
    feature_names=NAMES,
    feature_set_digest="set-1",
    scale_feature="vol",
    regime_features=(),
    momentum_feature="a",
    matures_at=never,
    due=never,
    finish=never,
    descriptions={"a": WICKED, "b": "b", "vol": "Volatility (vol)"},
    words=never,
    nights_between=never,
)


@pytest.fixture(scope="module")
def made() -> Made:
    return Made()


def facts(made: Made, folder: Path, parts: Parts = PARTS, dataset: Dataset | None = None) -> dict[str, Any]:
    record = {
        **{"training_key": "key", "estimator": made.recipe.name, "recipe": json.loads(made.recipe.to_json())},
        **{"recipe_digest": made.recipe.digest, "feature_set_digest": "set-1", "snapshot_digest": "data-1"},
        **{"as_of": datetime(2024, 10, 28, 21, tzinfo=UTC).isoformat(), "known_at": "2024-10-28T22:00:00+00:00"},
        **{"train_start": "2024-01-01T21:00:00+00:00", "train_end": "2024-10-26T21:00:00+00:00"},
        **{"code_commit": "abc", "left_out": ["lstm"]},
        "importance": made.model.importance(made.dataset.panel, made.dataset.known[-500:]),
    }
    files = folder / "model"
    made.model.save(files)
    beside = {"momentum": made.momentum}
    searched = [*((member, 3) for member in made.members), (RIDGE, 2)]
    outer, folds = judged(made.oof, beside, TARGET), by_fold(made.oof, beside, made.folds.outer, TARGET)
    rows = dataset or made.dataset
    return card.facts(
        parts, TARGET, record, made.model, searched, CHOICE, rows, outer, folds, files, ("numpy", "xgboost")
    )


def written(folder: Path, said: dict[str, Any]) -> tuple[dict[str, Any], Page]:
    card.write(folder, said)
    return json.loads((folder / "card.json").read_text("utf-8")), Page((folder / "card.html").read_text("utf-8"))


def test_both_files_say_the_same(made: Made, tmp_path: Path) -> None:
    told, page = written(tmp_path, facts(made, tmp_path))
    losses = -np.log(np.where(made.oof["value"] > 0, made.oof["p_up"], 1 - made.oof["p_up"]))
    mean = pd.Series(losses).groupby(made.oof["ts"]).mean().mean()
    assert told["outer"]["scores"]["log_loss"] == pytest.approx(mean)
    assert f"{mean:.6f}" in page.words
    assert told["target"] == asdict(TARGET)
    assert told["training"] == {"known_rows": 3000, "fitted_rows": 3000, "dates": 300, "entities": 10}
    assert told["packages"] == {
        "python": platform.python_version(),
        "numpy": installed_version("numpy"),
        "xgboost": installed_version("xgboost"),
    }
    assert [each["name"] for each in told["signature"]["inputs"]] == ["entity", "ts", *NAMES]
    assert {each["type"] for each in told["signature"]["inputs"][2:]} == {"float"}
    assert "p_up" in [each["name"] for each in told["signature"]["outputs"]]
    assert [(each["estimator"], each["serves"], each["trials"]) for each in told["members"]] == [
        ("xgboost", True, 3),
        ("climatology", True, 3),
        ("linear", False, 2),
    ]
    assert json.dumps({"l2": 0.25}) in page.words
    assert sum(bin["rows"] for bin in told["calibration"]) == len(made.oof)
    assert page.names.count("img") == 2


def test_features_are_named_in_words_whatever_these_hold(made: Made, tmp_path: Path) -> None:
    told, page = written(tmp_path, facts(made, tmp_path))
    assert told["momentum"] == WICKED
    assert {each["words"] for each in told["importance"]} <= set(PARTS.descriptions.values())
    assert WICKED in page.words
    assert "b" not in page.names


def test_what_was_left_out_is_told_with_its_reason(made: Made, tmp_path: Path) -> None:
    told, page = written(tmp_path, facts(made, tmp_path))
    reasons = {each["what"]: each["why"] for each in told["left_out"]}
    assert list(reasons) == ["lstm", "linear", "19 of 3019 rows"]
    assert reasons["lstm"] == "it did not learn; the log of its task `learn` says why"
    assert reasons["linear"] == "the combiner stack does without it: log-loss 0.69 over 60 dates"
    assert set(reasons) | set(reasons.values()) <= set(page.words)


def test_a_set_without_the_momentum_feature_and_a_feature_that_nobody_has_are_told(made: Made, tmp_path: Path) -> None:
    X = made.dataset.X.copy()
    X[:, 1] = np.nan
    told = facts(made, tmp_path, replace(PARTS, momentum_feature=None), replace(made.dataset, X=X))
    assert told["momentum"] is None
    reasons = {each["what"]: each["why"] for each in told["left_out"]}
    assert reasons["the momentum baseline"] == "the feature set lacks the feature whose sign it goes by"
    assert reasons["b"] == "no row has a value of this feature"
