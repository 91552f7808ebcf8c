from functools import cache

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.signal import lfilter

from ml.lifecycle.metrics import information_coefficient
from ml.lifecycle.significance import ewc_test
from ml.lifecycle.splits import SplitPlan, nested
from tests.study.datasets import CARRIERS, PATTERN, Planted, simulate
from tests.study.returns import Kind, Plant

KINDS: tuple[Kind, ...] = ("row", "sequence", "regime_sign", "regime_carrier")
SYMBOLS, DATES = 300, 1000
ROW, SEQUENCE = slice(CARRIERS), slice(CARRIERS, 2 * CARRIERS)


@cache
def planted(kind: Kind, horizon: int, ic: float) -> Planted:
    return simulate(Plant(ic, horizon, kind), 11, SYMBOLS, DATES, noisy=4)


def ic_of(seen: NDArray[np.floating], planted: Planted) -> NDArray[np.float64]:
    """By date; `seen` holds one value for each row."""
    return np.asarray(information_coefficient(planted.dataset.value, seen.astype(np.float64), planted.dataset.ts))


def gained(seen: NDArray[np.floating], kind: Kind, horizon: int) -> NDArray[np.float64]:
    """The IC by date that a dial of 0.1 adds to that of the same market without drift, which has the same luck."""
    return ic_of(seen, planted(kind, horizon, 0.1)) - ic_of(seen, planted(kind, horizon, 0.0))


def carried(planted: Planted, carriers: slice) -> NDArray[np.float64]:
    """(d, n) the sum of some carriers."""
    return np.asarray(planted.dataset.X[:, carriers].sum(axis=1, dtype=np.float64)).reshape(DATES, SYMBOLS)


@pytest.mark.parametrize("horizon", [1, 5, 20])
@pytest.mark.parametrize("kind", KINDS)
def test_the_mean_ic_is_the_dial(kind: Kind, horizon: int) -> None:
    luck = ic_of(planted(kind, horizon, 0.0).signal, planted(kind, horizon, 0.0))
    assert abs(ewc_test(luck, horizon).statistic) < 3
    for ic in (0.03, 0.1):
        with_signal = planted(kind, horizon, ic)
        found = ic_of(with_signal.signal, with_signal)
        test = ewc_test(found, horizon)
        assert abs(test.mean - ic) < 3 * test.std_error
        assert np.mean(found - luck) == pytest.approx(ic, rel=0.04)
    assert test.statistic > 4


@pytest.mark.parametrize("horizon", [1, 5, 20])
def test_a_sequence_shows_in_no_feature_of_a_row(horizon: int) -> None:
    found = planted("sequence", horizon, 0.1)
    now = carried(found, SEQUENCE).ravel()
    bent = np.column_stack([now, np.abs(now), now**2, now > 1])
    for column in np.column_stack([found.dataset.X, bent]).T:
        if np.ptp(column[:SYMBOLS]):  # what all symbols share orders none of them
            assert abs(ewc_test(ic_of(column, found), horizon).statistic) < 3.5
            assert abs(gained(column, "sequence", horizon).mean()) < 0.005


@pytest.mark.parametrize("horizon", [1, 5, 20])
def test_a_sequence_is_read_from_the_order_of_the_rows_before(horizon: int) -> None:
    found = planted("sequence", horizon, 0.1)
    ahead = np.convolve(PATTERN, np.ones(horizon))
    newer_first = np.r_[0.0, ahead]
    read = lfilter(newer_first, [1.0], carried(found, SEQUENCE), axis=0)[ahead.size :]
    signal = found.signal.reshape(DATES, SYMBOLS)[ahead.size :]
    assert np.corrcoef(read.ravel(), signal.ravel())[0, 1] == pytest.approx(1, abs=1e-6)
    # The mean of the same rows forgets their order.
    mean = lfilter((newer_first != 0).astype(float), [1.0], carried(found, SEQUENCE), axis=0).ravel()
    assert abs(gained(mean, "sequence", horizon)[ahead.size :].mean()) < 0.005


@pytest.mark.parametrize("horizon", [1, 5])
def test_a_turned_sign_gives_an_ic_in_each_regime_and_none_over_both(horizon: int) -> None:
    found = planted("regime_sign", horizon, 0.1)
    of_row, calm = gained(carried(found, ROW).ravel(), "regime_sign", horizon), found.calm[::SYMBOLS]
    assert of_row[calm].mean() == pytest.approx(0.1, rel=0.1)
    assert of_row[~calm].mean() == pytest.approx(-0.1, rel=0.1)
    # The two have about as many dates, not exactly.
    assert abs(of_row.mean()) < 0.015


def test_a_turned_carrier_is_in_the_row_or_in_the_sequence() -> None:
    found, calm = planted("regime_carrier", 1, 0.1), planted("regime_carrier", 1, 0.1).calm[::SYMBOLS]
    of_row = gained(carried(found, ROW).ravel(), "regime_carrier", 1)
    of_sequence = gained(planted("sequence", 1, 0.1).signal, "regime_carrier", 1)
    assert of_row[calm].mean() == pytest.approx(0.1, rel=0.1)
    assert of_sequence[~calm].mean() == pytest.approx(0.1, rel=0.1)
    assert abs(of_row[~calm].mean()) < 0.005
    assert abs(of_sequence[calm].mean()) < 0.005


def test_the_regime_shows_in_the_markets_volatility() -> None:
    found = planted("regime_sign", 1, 0.1)
    seen = pd.Series(found.dataset.X[::SYMBOLS, 2 * CARRIERS], name="vol")
    calm = found.calm[::SYMBOLS]
    assert (seen[calm] < seen.median()).mean() > 0.75
    assert (seen[~calm] > seen.median()).mean() > 0.75


def test_noise_features_persist_and_share_their_dates() -> None:
    X = planted("row", 1, 0.1).dataset.X[:, 2 * CARRIERS + 1 :].reshape(DATES, SYMBOLS, -1)
    common = X.mean(axis=1)
    assert 0.2 < np.mean(common.var(axis=0) / X.var(axis=(0, 1))) < 0.8
    own = X - common[:, None]
    memory = np.mean(own[1:] * own[:-1], axis=(0, 1)) / own.var(axis=(0, 1))
    assert memory.min() < memory.max() - 0.2
    assert (memory > 0).all()


@pytest.mark.parametrize("horizon", [1, 20])
def test_labels_overlap_and_the_house_can_split_them(horizon: int) -> None:
    dataset = simulate(Plant(0.0, horizon), 1).dataset
    assert (len(dataset), dataset.dates.size) == (24_000, 600)
    assert (dataset.date_maturities[:-horizon] == dataset.dates[horizon:]).all()
    assert np.isfinite(dataset.X).all()
    assert np.isfinite(dataset.value).all()
    value = dataset.value.reshape(600, 40)
    ahead = np.corrcoef(value[:-1].ravel(), value[1:].ravel())[0, 1]
    assert ahead == pytest.approx(1 - 1 / horizon, abs=0.06)
    nested(dataset.dates, dataset.date_maturities, SplitPlan(embargo=horizon))


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_decides_every_byte(kind: Kind) -> None:
    one, same, other = (simulate(Plant(0.1, 5, kind), seed, 10, 50) for seed in (1, 1, 2))
    for name in ("X", "value", "ts", "matures_at"):
        assert getattr(one.dataset, name).tobytes() == getattr(same.dataset, name).tobytes()
    for name in ("X", "value"):
        assert getattr(one.dataset, name).tobytes() != getattr(other.dataset, name).tobytes()
    assert one.signal.tobytes() == same.signal.tobytes() != other.signal.tobytes()
