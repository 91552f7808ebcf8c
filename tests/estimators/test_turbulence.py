import numpy as np
import pytest

from ml.estimators.linear import Linear
from ml.estimators.panel import Panel, Sample, Vector
from ml.estimators.turbulence import TYPICAL_ROWS, evened


def sample_in(period: list[int], value: Vector, weight: Vector) -> Sample:
    codes = np.array(period)
    panel = Panel(np.zeros((codes.size, 1), np.float32), np.arange(codes.size), codes)
    return Sample(panel, np.arange(codes.size), value, weight)


def test_weights_are_divided_by_the_variance_within_the_period_and_of_mean_one() -> None:
    # Weighted means 2.5 and 0. Squares: 2.25 + 3 x 0.25 = 3 in the calm period, 25 + 25 in the turbulent one. Degrees
    # of freedom: 4 x 1/2 = 2 of the calm one, 3 x 2/3 = 2 of the other.
    value, weight = np.array([1.0, 3.0, -5.0, 5.0, 0.0]), np.array([1.0, 3.0, 1.0, 1.0, 1.0])
    found = evened(sample_in([0, 0, 7, 7, 7], value, weight))
    of_all = TYPICAL_ROWS * 53 / 4
    variance = np.array([(3 + of_all) / (2 + TYPICAL_ROWS), (50 + of_all) / (2 + TYPICAL_ROWS)])[[0, 0, 1, 1, 1]]
    np.testing.assert_allclose(found.weight, weight / variance / np.mean(weight / variance))
    np.testing.assert_allclose(np.diff(found.value), np.diff(value))
    assert np.average(found.value, weights=found.weight) == pytest.approx(np.average(value, weights=weight))


@pytest.mark.parametrize(("period", "value"), [([0, 1, 2, 3], [1.0, -1, 2, -2]), ([0, 0, 1, 1], [1.0, 1, -2, -2])])
def test_where_no_variance_within_periods_can_be_told_nothing_changes(period: list[int], value: list[float]) -> None:
    sample = sample_in(period, np.array(value), np.ones(4))
    assert evened(sample) is sample


def test_a_slope_is_found_better_where_few_periods_are_ten_times_as_turbulent() -> None:
    def error(seed: int, *, heard: bool) -> float:
        rng = np.random.default_rng(seed)
        period = np.repeat(np.arange(200), 30)
        x = rng.standard_normal((period.size, 1)).astype(np.float32)
        spread = np.where(np.arange(200) < 20, 10.0, 1.0)[period]
        value = 0.3 * x[:, 0] + spread * rng.standard_normal(period.size)
        # Each row a period of its own is what a fit that knows of no turbulence sees.
        panel = Panel(x, np.tile(np.arange(30), 200), period if heard else np.arange(period.size))
        sample = Sample(panel, np.arange(period.size), value, np.ones(period.size))
        model = Linear().fit(sample, {"penalty": 1e-9}, seed=1, threads=1)
        asked = Panel(np.array([[0.0], [1.0]], np.float32), np.array([0, 1]), np.array([0, 0]))
        low, high = model.predict(asked, np.array([0, 1]))[1]
        return float(high - low - 0.3)

    evenly, heard = (np.mean([error(seed, heard=heard) ** 2 for seed in range(10)]) for heard in (False, True))
    assert heard < evenly / 2
