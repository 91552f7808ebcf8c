"""Numbers of entrants beside the gate's own, and beside what can be computed by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ml.domain import Target
from ml.evaluation.measures import MEASURES, Sheet, table
from ml.lifecycle import metrics
from ml.lifecycle.comparison import score_difference, skill_test

DATES, ENTITIES = 120, 20
BASELINES = ("climatology", "momentum")
NAMES = {measure.name for measure in MEASURES}


def frame(knows: float, seed: int = 1) -> pd.DataFrame:
    """An OUT_OF_FOLD frame whose forecasts know a share of a signal, and noise; 0 says the same of all."""
    rng = np.random.default_rng(seed)
    signal = rng.standard_normal(DATES * ENTITIES)
    value = 0.02 * (signal + 2 * rng.standard_normal(signal.size))
    said = knows * signal + 0.2 * rng.standard_normal(signal.size) if knows else 0 * signal
    ts = pd.bdate_range("2023-01-02 21:00", periods=DATES, tz="UTC").as_unit("us").repeat(ENTITIES)
    return pd.DataFrame(
        {
            "entity": pd.array([f"S{i:02d}" for i in range(ENTITIES)] * DATES, dtype="str"),
            "ts": ts,
            "value": value,
            "p_up": 1 / (1 + np.exp(-said)),
            "expected": 0.01 * said,
            "scale": 1.0,
            "baseline_p_up": 0.5,
        }
    )


def sheets(**knows: float) -> dict[str, Sheet]:
    return {name: Sheet(frame(share), 1, 5.0) for name, share in knows.items()}


@pytest.mark.parametrize("score", ["log_loss", "brier", "rank_ic"])
@pytest.mark.parametrize("horizon", [1, 5, 20])
def test_against_climatology_it_is_the_gates_test_of_skill(score: str, horizon: int) -> None:
    both = {name: Sheet(frame(share), horizon, 5.0) for name, share in {"climatology": 0.0, "good": 0.5}.items()}
    versus = table(both, BASELINES)["good"][score].versus["climatology"]
    gate = skill_test(both["good"].oof, Target("test", "h", horizon, score=score))  # type: ignore[arg-type]
    assert (versus.gain, versus.p_value) == pytest.approx((gate.mean, gate.p_value))
    assert versus.error == pytest.approx(gate.std_error)


def test_more_is_better_or_less_and_a_gain_says_which() -> None:
    found = table(sheets(climatology=0.0, momentum=0.1, good=0.5, bad=-0.5), BASELINES)
    assert set(found["good"]) == NAMES
    for name in ("log_loss", "brier", "auc", "accuracy", "ic", "rank_ic", "gross", "net"):
        for baseline in BASELINES:
            better, worse = found["good"][name].versus[baseline], found["bad"][name].versus[baseline]
            assert (better.verdict, worse.verdict) == ("better", "worse"), name
            assert better.gain > 0 > worse.gain
    assert found["good"]["log_loss"].value < found["climatology"]["log_loss"].value < found["bad"]["log_loss"].value
    difference = score_difference(frame(0.5), frame(0.1))
    assert found["good"]["log_loss"].versus["momentum"].gain == pytest.approx(difference.mean())


def test_what_is_equal_is_neither_better_nor_worse() -> None:
    found = table(sheets(climatology=0.2, same=0.2), BASELINES)["same"]
    assert {versus.verdict for cell in found.values() for versus in cell.versus.values()} == {""}
    assert found["log_loss"].versus["climatology"].gain == 0
    assert found["log_loss"].versus["climatology"].p_value == 1


def test_a_baseline_stands_beside_the_other_only_and_nothing_beside_what_is_not_defined() -> None:
    found = table(sheets(climatology=0.0, momentum=0.1), BASELINES)
    assert set(found["climatology"]["log_loss"].versus) == {"momentum"}
    assert set(found["momentum"]["log_loss"].versus) == {"climatology"}
    # Whoever says the same of all holds nothing: no Sharpe ratio, so nobody stands beside it.
    assert np.isnan(found["climatology"]["sharpe"].value)
    assert found["momentum"]["sharpe"].versus == {}
    assert found["climatology"]["gross"].value == 0
    assert found["climatology"]["rank_ic"].value == 0


def test_too_few_dates_have_numbers_without_errors() -> None:
    few = frame(0.5).iloc[: 40 * ENTITIES].reset_index(drop=True)
    found = table({"climatology": Sheet(few.assign(p_up=0.5), 1, 5.0), "good": Sheet(few, 1, 5.0)}, BASELINES)["good"]
    assert found["log_loss"].error is None
    assert found["log_loss"].versus["climatology"].error is None
    assert found["log_loss"].versus["climatology"].p_value == 1


def test_the_portfolio_by_hand() -> None:
    """Two dates, three symbols: long the first, short the last; then the other way round."""
    days = pd.DatetimeIndex(["2024-01-02", "2024-01-03"], tz="UTC")
    oof = (
        frame(0.5)
        .iloc[:6]
        .assign(
            entity=["A", "B", "C"] * 2,
            ts=days.repeat(3),
            value=[0.03, 0.0, 0.01, 0.02, 0.0, 0.01],
            expected=[3.0, 2.0, 1.0, 1.0, 2.0, 3.0],
        )
    )
    sheet = Sheet(oof, 1, 10.0)
    assert sheet.gross.tolist() == pytest.approx([0.02, -0.01])
    assert sheet.turnover.tolist() == [2.0, 4.0]
    assert sheet.net.tolist() == pytest.approx([0.02 - 0.002, -0.01 - 0.004])
    cells = table({"it": sheet}, BASELINES)["it"]
    assert cells["gross"].value == pytest.approx(0.005)
    assert cells["net"].value == pytest.approx(0.002)
    assert cells["drawdown"].value == pytest.approx(0.01)
    assert cells["net_drawdown"].value == pytest.approx(0.014)
    # Mean 0.005, deviation 0.03 / sqrt(2); dates a day apart make 365.25 of them a year.
    assert cells["sharpe"].value == pytest.approx(0.005 / (0.03 / np.sqrt(2)) * np.sqrt(365.25))


@pytest.mark.parametrize("horizon", [1, 5])
def test_numbers_without_an_error_of_their_own_come_from_the_metrics(horizon: int) -> None:
    sheet = Sheet(frame(0.3), horizon, 5.0)
    cells = table({"it": sheet}, BASELINES)["it"]
    per_year = (DATES - 1) / (sheet.dates[-1] - sheet.dates[0]).days * 365.25
    assert per_year == pytest.approx(261, abs=3)
    assert cells["sharpe"].value == pytest.approx(metrics.sharpe_ratio(sheet.gross, horizon, per_year))
    assert cells["net_sharpe"].value == pytest.approx(metrics.sharpe_ratio(sheet.net, horizon, per_year))
    assert cells["icir"].value == pytest.approx(metrics.icir(sheet.ic))
    assert cells["drawdown"].value == metrics.maximum_drawdown(sheet.gross, horizon)
    assert cells["drawdown"].error is None
