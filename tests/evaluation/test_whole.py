"""The command itself, on the shipped sample: what the page shows is what comes of the forecasts, told by others."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import (
    accuracy_score,
    brier_score_loss,
    f1_score,
    log_loss,
    precision_score,
    recall_score,
    roc_auc_score,
)

from ml.errors import TrainingError
from ml.evaluation import __main__ as command
from ml.evaluation.measures import MEASURES
from ml.evaluation.report import Evaluation
from ml.frames import LABELS
from ml.io.store import Store
from ml.settings import settings
from ml.steps import domains, keep
from ml.steps.material import Source
from tests.study.datasets import simulate
from tests.study.returns import Plant

COSTS = 10
ENTRANTS = ["climatology", "momentum", "linear", "xgboost", "vote", "weighted", "stack", "meta", "chosen"]


class Run(NamedTuple):
    """What the command left: the forecasts behind the page, the page's text and content, what it printed, its files."""

    evaluation: Evaluation
    text: str
    page: Page
    printed: str
    forecasts: Path


class Page(HTMLParser):
    """The first number of each cell, by target, entrant and measure; the images; and all that a browser would fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.cells: dict[tuple[str, str, str], str] = {}
        self.images: list[str] = []
        self.fetched: list[str] = []
        self._cell: tuple[str, str, str] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "td":
            target, _, rest = (found.get("data-cell") or "").partition(" ")
            name, _, measure = rest.partition(" ")
            self._cell = (target, name, measure) if measure else None
        self.images += [found["src"] or ""] if tag == "img" else []
        if tag in {"link", "script", "iframe"} or "href" in found or (tag != "img" and "src" in found):
            self.fetched.append(tag)

    def handle_data(self, data: str) -> None:
        if self._cell and self._cell not in self.cells:
            self.cells[self._cell] = data


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("evaluation") / "deep" / "page.html"
    given = ["--horizons", "1w,3m", "--estimators", "linear,xgboost", "--trials", "1", "--rows", "2000"]
    kept: list[Evaluation] = []
    original = command.evaluated

    def evaluated(*asked: object) -> Iterator[Evaluation]:
        for evaluation in original(*asked):  # type: ignore[arg-type]
            kept.append(evaluation)
            yield evaluation

    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as printed:
        patch.setenv("AFTERBELL_THREADS", "1")
        patch.setenv("AFTERBELL_HISTORY_START", "2010-01-04")
        patch.setattr(command, "evaluated", evaluated)
        settings.cache_clear()
        asked = [*given, "--costs-bps", str(COSTS), "--out", str(out), "--forecasts", str(out.parent / "forecasts")]
        assert command.main(asked) == 0
    text = out.read_text(encoding="utf-8")
    return Run(kept[-1], text, Page(text), printed.getvalue(), out.parent / "forecasts")


def frames(run: Run) -> Iterator[tuple[str, int, str, pd.DataFrame]]:
    for contest in run.evaluation.contests:
        for entrant in contest.entrants:
            yield contest.target.name, contest.target.horizon, entrant.name, entrant.oof


def shown(page: Page, target: str, entrant: str, measure: str) -> float:
    """The number as it stands there, in the unit of the measure."""
    text = page.cells[target, entrant, measure]
    scale = next(each.scale for each in MEASURES if each.name == measure)
    return float("nan") if text == "n/a" else float(text) / scale


def rounding(measure: str) -> float:
    return next(0.5001 * 10.0**-each.digits / each.scale for each in MEASURES if each.name == measure)


def over_dates(score: Callable[..., float], threshold: bool = False) -> Callable[[pd.DataFrame], float]:
    """A mean over rows in which dates count alike."""

    def mean(oof: pd.DataFrame) -> float:
        weight = 1 / oof.groupby("ts")["ts"].transform("size")
        said = oof["p_up"] > 0.5 if threshold else oof["p_up"]
        return float(score((oof["value"] > 0).to_numpy(), said.to_numpy(), sample_weight=weight.to_numpy()))

    return mean


REFERENCES: dict[str, Callable[[pd.DataFrame], float]] = {
    "log_loss": over_dates(log_loss),
    "brier": over_dates(brier_score_loss),
    "accuracy": over_dates(accuracy_score, threshold=True),
    "auc": lambda oof: float(roc_auc_score(oof["value"] > 0, oof["p_up"])),
    "precision": lambda oof: float(precision_score(oof["value"] > 0, oof["p_up"] > 0.5)),
    "recall": lambda oof: float(recall_score(oof["value"] > 0, oof["p_up"] > 0.5)),
    "f1": lambda oof: float(f1_score(oof["value"] > 0, oof["p_up"] > 0.5)),
}


def test_every_entrant_has_every_number(run: Run) -> None:
    assert set(run.page.cells) == {("5d", name, each.name) for name in ENTRANTS for each in MEASURES}
    assert [len(contest.searched) for contest in run.evaluation.contests] == [2]
    [(name, why)] = run.evaluation.left_out.items()
    assert name == "60d"
    assert "Give a longer history" in why
    assert escape(f"60d is left out: {why}") in run.text


@pytest.mark.parametrize("measure", list(REFERENCES))
def test_the_page_shows_what_others_compute_from_the_forecasts(run: Run, measure: str) -> None:
    for target, _, name, oof in frames(run):
        found = shown(run.page, target, name, measure)
        assert found == pytest.approx(REFERENCES[measure](oof), abs=rounding(measure)), (target, name)


def test_the_rank_ic_is_the_mean_of_spearmans_correlations(run: Run) -> None:
    for target, _, name, oof in frames(run):
        if name not in {"linear", "momentum"}:
            continue
        found = []
        for _, day in oof.groupby("ts"):
            value, expected = day["value"].to_numpy(), day["expected"].to_numpy()
            found.append(float(spearmanr(value, expected)[0]) if np.ptp(expected) else 0.0)
        assert shown(run.page, target, name, "rank_ic") == pytest.approx(np.mean(found), abs=rounding("rank_ic"))


def test_the_portfolio_of_five_symbols_by_hand(run: Run) -> None:
    """A tenth of five symbols is one: the best against the worst, wherever no two are expected alike."""
    for target, horizon, name, oof in frames(run):
        if name != "linear":
            continue
        value, expected = (
            oof.pivot_table(index="ts", columns="entity", values=column) for column in ("value", "expected")
        )
        assert oof.groupby("ts")["expected"].nunique().eq(oof.groupby("ts").size()).all()
        gross, net, wealth = [], [], [1.0]
        held: list[dict[int, float]] = []
        for came, said in zip(value.to_numpy(), expected.to_numpy(), strict=True):
            best, worst = int(np.nanargmax(said)), int(np.nanargmin(said))
            gross.append(came[best] - came[worst])
            held.append({best: 1.0, worst: -1.0})
            before = held[-1 - horizon] if len(held) > horizon else {}
            traded = sum(abs(held[-1].get(symbol, 0.0) - before.get(symbol, 0.0)) for symbol in range(5))
            net.append(gross[-1] - traded * COSTS / 10_000)
            wealth.append(wealth[-1] * (1 + net[-1] / horizon))
        years = (value.index[-1] - value.index[0]).days / 365.25
        sharpe = np.mean(net) / np.std(net, ddof=1) * np.sqrt((len(net) - 1) / years / horizon)
        drawdown = max(1 - now / max(wealth[: at + 1]) for at, now in enumerate(wealth))
        by_hand = {"gross": np.mean(gross), "net": np.mean(net), "net_sharpe": sharpe, "net_drawdown": drawdown}
        for measure, number in by_hand.items():
            assert shown(run.page, target, name, measure) == pytest.approx(number, abs=rounding(measure)), measure


def test_the_page_needs_nothing_but_itself(run: Run) -> None:
    assert run.page.fetched == []
    assert "http" not in re.sub(r'src="data:[^"]+"', "", run.text)
    assert len(run.page.images) == 4
    for image in run.page.images:
        kind, _, data = image.partition(",")
        assert kind == "data:image/svg+xml;base64"
        svg = base64.b64decode(data).decode()
        assert set(re.findall(r'https?://[^"]+', svg)) == {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
        assert all(name in svg for name in ENTRANTS)


def test_it_tells_how_far_it_is_and_ends_with_the_table_and_the_page(run: Run) -> None:
    lines = run.printed.splitlines()
    assert re.fullmatch(r"\[1/11, \d+ s\] ingest: begins", lines[0])
    assert any(re.match(r"\[7/11, \d+ s\] 5d ensembles: begins", line) for line in lines)
    assert lines[-1].endswith("/deep/page.html")
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("|")]
    assert [row[:2] for row in rows[2:]] == [["5d", name] for name in ENTRANTS]
    for row in rows[2:]:
        assert row[rows[0].index("rank IC")].split(" ± ")[0] == run.page.cells[row[0], row[1], "rank_ic"]


def test_every_forecast_can_be_kept(run: Run) -> None:
    (file,) = run.forecasts.iterdir()
    kept = pd.read_parquet(file)
    assert file.name == "5d.parquet"
    assert list(kept["entrant"].unique()) == ENTRANTS
    for entrant in run.evaluation.contests[0].entrants:
        own = kept[kept["entrant"] == entrant.name].drop(columns="entrant").reset_index(drop=True)
        pd.testing.assert_frame_equal(own, entrant.oof.reset_index(drop=True))


def test_a_history_that_carries_no_horizon_is_an_error_that_says_so_of_each(tmp_path: Path) -> None:
    rows, store = simulate(Plant(0.0), seed=1, dates=300).dataset, Store(tmp_path)
    config = settings().model_copy(update={"horizons": ("20d", "60d"), "estimators": ("linear",)})
    parts = domains.parts("equity", config)
    for target in parts.domain.targets:
        ts, matures_at = (pd.DatetimeIndex(at).tz_localize("UTC") for at in (rows.ts, rows.matures_at))
        known = {"entity": rows.entity, "ts": ts, "matures_at": matures_at, "value": rows.value}
        frame = LABELS.cast(pd.DataFrame({**known, "target": target.name}))
        store.put(keep.labels(target, "snapshot"), frame, {})
    told = command._Telling(1)
    with pytest.raises(TrainingError, match=r"20d left out: .*300 dates.*60d left out: .*300 dates"):
        list(command._contests(config, Source(store, parts, "snapshot", 1.0), rows, told))


def test_a_place_that_cannot_be_written_is_told_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["--out", str(tmp_path)]) == 2
    assert "Give another --out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--estimators", "xgbost"], "estimator 'xgbost'"),
        (["--horizons", "2d"], "the horizons ['2d']"),
    ],
)
def test_a_name_that_does_not_exist_is_told_with_those_that_do(
    given: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main([*given, "--out", str(tmp_path / "page.html")]) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("given", [["--costs-bps", "-1"], ["--costs-bps", "nan"], ["--trials", "0"]])
def test_numbers_that_mean_nothing_are_refused(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(given)
    assert f"argument {given[0]}: invalid" in capsys.readouterr().err
