import numpy as np
import pytest
from scipy.stats import kurtosis

from tests.study.returns import Noise, Plant, forward, garch, noise, persistent, plant


@pytest.fixture(scope="module")
def market() -> Noise:
    return noise(np.random.default_rng(1), 1500, 200)


def lagged(values: np.ndarray, lag: int) -> float:
    """The mean over columns of the correlation of a column with itself `lag` rows before."""
    centred = values - values.mean(axis=0)
    return float(np.mean(np.sum(centred[lag:] * centred[:-lag], axis=0) / np.sum(centred**2, axis=0)))


def test_garch_is_the_textbooks_recursion() -> None:
    shocks = np.random.default_rng(0).standard_normal((4, 1))
    variance = [1.0]
    for shock in shocks[:-1, 0]:
        variance.append(0.02 + 0.06 * variance[-1] * shock**2 + 0.92 * variance[-1])
    assert garch(shocks)[:, 0] == pytest.approx(np.sqrt(variance))


def test_volatility_clusters_and_returns_do_not(market: Noise) -> None:
    # Over 200 columns of 1,500 rows a mean correlation of independent rows has an error of 0.002.
    own = market.returns - market.returns.mean(axis=1, keepdims=True)
    assert all(lagged(own**2, lag) > 0.06 for lag in (1, 5, 10))
    assert abs(lagged(own, 1)) < 0.01
    mixed = np.random.default_rng(0).permuted(own, axis=0)
    assert abs(lagged(mixed**2, 1)) < 0.01


def test_tails_are_fat(market: Noise) -> None:
    # A normal sample has 0, with an error of 0.009 over 300,000 values; Student's t of 6 alone has 3.
    own = market.returns / market.returns.std(axis=0)
    assert kurtosis(own.ravel()) > 2
    beyond = np.mean(np.abs(own) > 5)
    assert beyond > 100 * 5.7e-7


def test_symbols_move_together_and_more_so_within_a_sector(market: Noise) -> None:
    correlation = np.asarray(np.corrcoef(market.returns.T))
    one, other = np.triu_indices(len(correlation), 1)
    within = market.sector[one] == market.sector[other]
    pairs = correlation[one, other]
    assert 0.2 < pairs[~within].mean() < 0.4
    assert pairs[within].mean() > pairs[~within].mean() + 0.05


def test_turbulence_is_half_of_the_time_and_shows_in_the_markets_volatility(market: Noise) -> None:
    mean = market.returns.mean(axis=1)
    assert 0.4 < market.calm.mean() < 0.6
    assert mean[~market.calm].std() > 1.5 * mean[market.calm].std()
    stays = np.diff(np.flatnonzero(np.diff(market.calm.astype(int))))
    assert 40 <= stays.min() <= stays.max() <= 80


def test_a_persistent_series_is_stationary_from_its_first_row_on() -> None:
    series = persistent(np.random.default_rng(2), (30, 20_000), 0.9)
    assert series.std(axis=1) == pytest.approx(np.ones(30), abs=0.03)
    assert np.mean(series[1:] * series[:-1]) == pytest.approx(0.9, abs=0.02)


def test_forward_returns_compound_the_sessions_after() -> None:
    returns = np.array([[0.5], [0.1], [0.2], [-0.5]])
    assert forward(returns, 2).ravel() == pytest.approx([1.1 * 1.2 - 1, 1.2 * 0.5 - 1])


def test_a_dial_at_zero_leaves_every_bit_of_the_noise(market: Noise) -> None:
    signal = np.random.default_rng(3).standard_normal(market.returns.shape)
    assert plant(Plant(0.0, 5), signal, signal, market, 0) is market.returns


def test_drift_comes_the_session_after_its_driver_in_one_size_for_all_symbols(market: Noise) -> None:
    signal = np.random.default_rng(3).standard_normal(market.returns.shape)
    drift = plant(Plant(0.1, 5), signal, signal, market, 0) - market.returns
    size = drift[1:] / signal[:-1]
    assert not drift[0].any()
    typical = np.sqrt(np.mean(market.own[1:] ** 2, axis=1))
    # A drift is what is left of two returns, so it has lost some digits.
    np.testing.assert_allclose(size / typical[:, None], size[0, 0] / typical[0], rtol=1e-6)


def test_an_ic_that_no_drift_can_give_is_refused(market: Noise) -> None:
    signal = np.random.default_rng(3).standard_normal(market.returns.shape)
    with pytest.raises(ValueError, match="different signs"):
        plant(Plant(0.9, 5), signal, signal, market, 0)  # of five drifts the signal foretells one: 0.45 at most
