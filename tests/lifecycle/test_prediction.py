import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.errors import FrameError, TrainingError
from ml.estimators.interface import Vector
from ml.frames import FORECAST
from ml.lifecycle.calibration import reliability
from ml.lifecycle.intervals import GRID, Intervals
from ml.lifecycle.prediction import (
    confidence_evidence,
    finish,
    percentiles,
    predicted_dispersion,
    risk_score,
    stop,
    target_probability,
)


def forecast(p_up: list[float]) -> pd.DataFrame:
    entities = [f"E{i}" for i in range(len(p_up))]
    frame = pd.DataFrame({"entity": entities, "p_up": p_up})
    return FORECAST.cast(frame.assign(**{name: 0 for name in FORECAST.columns if name not in frame}))


def test_direction_and_confidence_by_hand() -> None:
    finished = finish(forecast([0.0, 0.45, 0.4500001, 0.5, 0.5499999, 0.55, 1.0]))
    assert finished["direction"].tolist() == ["down", "down", "neutral", "neutral", "neutral", "up", "up"]
    assert finished["confidence"].tolist() == pytest.approx([1.0, 0.1, 0.0999998, 0.0, 0.0999998, 0.1, 1.0])
    assert str(finished["direction"].dtype) == "str"


@pytest.mark.parametrize("p_up", [np.nan, -0.01, 1.01])
def test_what_is_not_a_probability_is_refused(p_up: float) -> None:
    with pytest.raises(FrameError, match="p_up"):
        finish(forecast([0.5, p_up]))


def test_no_entities_give_no_rows() -> None:
    assert len(finish(FORECAST.empty())) == 0


def intervals(residuals: Vector) -> Intervals:
    return Intervals("split", (0.8, 0.95), (-1, -2), (1, 2), (0.8, 0.95), tuple(residuals.tolist()))


EVEN = intervals(np.linspace(-1, 1, GRID))


def test_the_targets_probability_by_hand() -> None:
    # Half of the residuals are above 0, three quarters above -0.5: given a rise, 2/3 reach half a scale.
    p_up, scale = np.array([0.6, 0.6, 0.6, 0.3, 0.6]), np.array([1.0, 1, 2, 1, 1])
    expected = np.array([0.0, 0.5, 1.0, -0.5, 5.0])
    found = target_probability(p_up, expected, scale, EVEN)
    assert found == pytest.approx([0.6, 0.4, 0.4, 0.7 * 2 / 3, 0.3])


@given(
    p_up=st.floats(0, 1),
    expected=st.floats(-10, 10),
    scale=st.floats(0.1, 10),
    seed=st.integers(0, 1000),
)
def test_a_target_is_never_more_probable_than_its_side(p_up: float, expected: float, scale: float, seed: int) -> None:
    residuals = np.sort(np.random.default_rng(seed).uniform(-3, 1 + seed % 3, GRID))
    nearer_and_farther = np.array([expected / 2, expected])
    found = target_probability(np.full(2, p_up), nearer_and_farther, np.full(2, scale), intervals(residuals))
    side = p_up if expected >= 0 else 1 - p_up
    assert 0 <= found[1] <= found[0] + 1e-12
    assert found[0] <= side


def test_the_targets_probability_is_the_share_that_reached_it() -> None:
    """Values that are expected plus scaled noise, as conformal prediction assumes."""
    rng = np.random.default_rng(0)
    residuals = rng.standard_normal(100_000)
    grid = intervals(np.quantile(residuals, np.linspace(0, 1, GRID)))
    for expected in (0.3, -0.8):
        p_up = np.array([np.mean(expected + residuals > 0)])
        reached = np.mean(residuals >= 0) if expected > 0 else np.mean(residuals <= 0)
        assert target_probability(p_up, np.array([expected]), np.ones(1), grid) == pytest.approx([reached], abs=0.01)


def test_the_stop_lies_two_dispersions_against_the_likelier_side() -> None:
    normal = predicted_dispersion(np.array([-1.28155]), np.array([1.28155]))
    assert normal == pytest.approx([1.0], abs=1e-4)
    assert stop(np.array([0.7, 0.5, 0.3]), np.array([1.0, 2.0, 1.0])).tolist() == [-2.0, -4.0, 2.0]


def test_the_risk_score_is_the_percentage_of_calmer_training_rows() -> None:
    history = percentiles(np.r_[np.random.default_rng(0).permutation(np.arange(1.0, 10_001)), np.nan, np.inf])
    asked = np.array([0.0, 2500, 5000, 9900, 20_000])
    assert risk_score(asked, history) == pytest.approx([0, 25, 50, 99, 100], abs=1)
    assert (np.diff(risk_score(np.linspace(0, 11_000, 500), history)) >= 0).all()


def test_where_all_rows_are_alike_the_risk_is_in_the_middle() -> None:
    assert risk_score(np.array([0.5, 1.0, 1.5]), percentiles(np.ones(10))).tolist() == [0.0, 50.0, 100.0]
    with pytest.raises(TrainingError, match="dispersion"):
        percentiles(np.array([np.nan]))


def test_confidence_comes_with_what_came_of_it_before() -> None:
    p = np.tile([0.3, 0.7], 50)
    up = np.tile([False, True, False, False], 25)
    seen = reliability(p, up, np.repeat(np.arange(50), 2).astype("datetime64[D]").astype("datetime64[us]"), bins=2)
    evidence = confidence_evidence(np.array([0.1, 0.3, 0.65]), seen)
    assert evidence["share_up"].tolist() == [0.0, 0.0, 0.5]
    assert evidence["rows"].tolist() == [50, 50, 50]
    assert evidence["dates"].tolist() == [50, 50, 50]
