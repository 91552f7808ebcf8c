"""The page shows the facts, escapes what people wrote, and needs nothing beside itself."""

from __future__ import annotations

import copy
from base64 import b64decode
from html.parser import HTMLParser
from typing import Any

import pytest

from ml.lifecycle.card_page import html
from tests.lifecycle.test_plots import PNG

WICKED = '<script src="http://evil">&"\'</script> in $ (momentum_126)'


def ahead(mean: float | None, error: float | None) -> dict[str, Any]:
    return {"mean": mean, "standard_error": error, "degrees_of_freedom": 4, "dates": 60}


def judged(log_loss: float, rows: float) -> dict[str, Any]:
    return {
        "scores": {
            **{"n_rows": rows, "n_dates": rows / 10, "log_loss": log_loss, "brier": 0.24, "rank_ic": 0.031},
            **{"baseline_log_loss": 0.693147, "baseline_brier": 0.25},
        },
        "beside": {"xgboost": {"log_loss": 0.688}, "momentum": {"log_loss": 0.6925, "rank_ic": -0.002}},
        "ahead_of": {
            "baseline": ahead(0.012345, 0.004321),
            "xgboost": ahead(0.0, 0.0),
            "momentum": ahead(None, None),
        },
    }


FACTS: dict[str, Any] = {
    "training_key": "key-of-training",
    "estimator": "stack of xgboost",
    "recipe": {"seed": 7, "feature_names": ["a", "b"]},
    "recipe_digest": "digest-of-recipe",
    "feature_set_digest": "digest-of-set",
    "snapshot_digest": "digest-of-data",
    "as_of": "2024-05-01T20:00:00+00:00",
    "known_at": "2024-05-01T22:00:00+00:00",
    "train_start": "2014-01-02T21:00:00+00:00",
    "train_end": "2024-04-24T20:00:00+00:00",
    "code_commit": "abc123+changes",
    "target": {"domain": "toy", "name": "5d", "horizon": 5, "label": "barrier", "score": "log_loss"},
    "signature": {
        "inputs": [{"name": "entity", "type": "string"}, {"name": "a", "type": "float"}],
        "outputs": [{"name": "p_up", "type": "double"}],
    },
    "training": {"known_rows": 5010, "fitted_rows": 4010, "dates": 501, "entities": 11},
    "members": [
        {"estimator": "xgboost", "params": {"max_depth": 3}, "trials": 30, "serves": True},
        {"estimator": "linear", "params": {"l2": 0.5}, "trials": 12, "serves": False},
    ],
    "choice": {
        "combiner": "stack",
        "calibrator": "platt",
        "reason": "log-loss 0.69 over 90 dates",
        "evidence": [
            {"combiner": "stack", "calibrator": "none", "log_loss": 0.690001, "worse_by": 0.000002, "error": 0.000003}
        ],
    },
    "outer": judged(0.680802, 1200),
    "momentum": "Return from 252 to 20 bars ago (momentum_252_20)",
    "folds": [
        {
            **{"fold": fold, "trained_from": "2014-01-02T21:00:00+00:00", "trained_until": f"202{fold}-01-05T21:00"},
            **{"tested_from": f"202{fold}-01-10T21:00", "tested_until": f"202{fold}-06-10T20:00"},
            **judged(0.67 + fold / 100, 600),
        }
        for fold in (1, 2)
    ],
    "calibration": [
        {"said": 0.45, "came": 0.44, "rows": 611, "dates": 60},
        {"said": 0.55, "came": 0.58, "rows": 589, "dates": 59},
    ],
    "intervals": [{"stated": 0.8, "measured": 0.7912}, {"stated": 0.95, "measured": 0.9434}],
    "importance": [
        {"feature": "momentum_126", "importance": 0.023, "words": WICKED},
        {"feature": "b", "importance": 0.011, "words": "Something else (b)"},
    ],
    "costs": {
        "size_bytes": 1_234_567,
        "load_seconds": 0.0871,
        "one_row": {"rows": 1, "forecasts": 20, "p50_seconds": 0.0123, "p95_seconds": 0.0345},
        "night": {"rows": 500, "forecasts": 3, "p50_seconds": 0.2, "p95_seconds": 0.25},
    },
    "packages": {"python": "3.11.9", "numpy": "2.4.1"},
    "left_out": [{"what": "lstm", "why": "it did not learn"}],
}


class Page(HTMLParser):
    """What stands in a page: texts, images, and every address that an attribute holds."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: list[str] = []
        self.words: list[str] = []
        self.addresses: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == [], f"left open: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href", "srcset", "data", "action"}]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return "\n".join(self.words)


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(html(FACTS))


def test_it_is_well_formed_and_shows_the_facts(page: Page) -> None:
    shown = (
        *(
            "toy-5d: stack of xgboost",
            "key-of-training",
            "digest-of-recipe",
            "digest-of-set (2 features)",
            "digest-of-data",
        ),
        *("abc123+changes", "python 3.11.9, numpy 2.4.1", "7", '{"max_depth": 3}', '{"l2": 0.5}'),
        *("2014-01-02T21:00:00+00:00 to 2024-04-24T20:00:00+00:00", "0.680802", "0.693147", "0.692500", "-0.002000"),
        *(
            "+0.012345 ± 0.004321",
            "0.690000",
            "2021-01-10 to 2021-06-10",
            "611",
            "0.580000",
            "80 %",
            "79.1 %",
            "94.3 %",
        ),
        *("0.023000", "20", "12.3", "34.5", "250.0", "lstm", "it did not learn", "entity", "p_up", "0.000003"),
    )
    cells = {words.strip() for words in page.words}
    missing = [each for each in shown if each not in cells]
    assert missing == []
    assert "Combiner: stack. Calibrator: platt. Chosen by: log-loss 0.69 over 90 dates." in page.text
    assert "5010 with a known outcome on 501 dates, 11 entities; each member was fitted on 4010 of them" in page.text
    assert "1.23 MB of model files, loaded in 87 ms." in page.text
    assert "where this was above 0, and where not: Return from 252 to 20 bars ago (momentum_252_20)." in page.text
    assert "at the latest at the horizon (label: barrier)" in page.text


def test_two_plots_are_in_it_and_nothing_comes_from_elsewhere(page: Page) -> None:
    assert page.names.count("img") == len(page.addresses) == 2
    for address in page.addresses:
        kind, _, content = address.partition(",")
        assert kind == "data:image/png;base64"
        assert b64decode(content).startswith(PNG)
    assert not {"script", "link", "iframe", "object", "base"} & set(page.names)
    assert "url(" not in html(FACTS)
    assert "@import" not in html(FACTS)


def test_what_people_wrote_is_text(page: Page) -> None:
    assert WICKED in page.words
    assert "script" not in page.names


def test_what_is_not_defined_is_a_dash_and_no_row_is_lost() -> None:
    bare = copy.deepcopy(FACTS)
    bare["importance"], bare["left_out"], bare["choice"]["evidence"], bare["momentum"] = [], [], [], None
    for found in (bare["outer"], *bare["folds"]):
        del found["beside"]["momentum"], found["ahead_of"]["momentum"]
        found["scores"] = {"n_rows": 10.0, "n_dates": 1.0}
    page = Page(html(bare))
    assert "No feature moves this model's answers." in page.words
    assert "Nothing that was asked for." in page.words
    assert "omentum sign" not in page.text
    assert page.words.count("this model") == 1
    assert page.words.count("-") > 20
