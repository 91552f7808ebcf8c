from pathlib import Path

import numpy as np
import pytest

from ml.errors import TrainingError
from ml.estimators.baselines import Climatology, Momentum
from ml.estimators.panel import Panel, Sample, only_rows, sample_of

VALUE = np.array([0.1, -0.3, 0.2, 0.4])
MOMENTUM = np.array([[9, 0.5], [9, -0.5], [9, 0.1], [9, 0.0]], "float32")
ASKED = np.array([[0, 3], [0, -3], [0, 0], [0, np.nan]], "float32")


def climatology() -> Climatology:
    return Climatology().fit(sample_of(np.zeros((4, 2), "float32"), VALUE), {}, seed=0, threads=1)


def momentum(value: np.ndarray = VALUE, weight: np.ndarray | None = None) -> Momentum:
    panel, at = only_rows(MOMENTUM)
    sample = Sample(panel, at, value, np.ones(4) if weight is None else weight)
    return Momentum().fit(sample, {"feature": 1}, seed=0, threads=1)


def test_climatology_says_the_base_rate_and_the_mean_whatever_it_is_asked() -> None:
    p_up, expected = climatology().predict(*only_rows(np.full((3, 2), np.nan, "float32")))
    # Three rises of four, and one of each imagined: (3 + 1) / (4 + 2).
    assert p_up.tolist() == pytest.approx([4 / 6] * 3)
    assert expected.tolist() == pytest.approx([0.1] * 3)


def test_climatology_is_never_certain() -> None:
    rises = sample_of(np.zeros((4, 2), "float32"), np.abs(VALUE))
    p_up, _ = Climatology().fit(rises, {}, seed=0, threads=1).predict(rises.panel, rises.at)
    assert (p_up < 1).all()


@pytest.mark.parametrize(("kind", "params"), [(Climatology, {}), (Momentum, {"feature": 0})])
def test_no_rows_are_a_training_error(kind: type[Climatology] | type[Momentum], params: dict[str, int]) -> None:
    nothing = sample_of(np.zeros((0, 2), "float32"), VALUE[:0])
    with pytest.raises(TrainingError, match="no training rows"):
        kind().fit(nothing, params, seed=0, threads=1)


def test_momentum_says_what_followed_the_sign() -> None:
    p_up, expected = momentum().predict(*only_rows(ASKED))
    # Above zero: two rises of two rows; not above: one of two. Each with two rows of the climatology, 4 / 6 and 0.1.
    above, not_above = (2 + 2 * 4 / 6) / 4, (1 + 2 * 4 / 6) / 4
    assert p_up.tolist() == pytest.approx([above, not_above, not_above, 4 / 6])
    assert expected.tolist() == pytest.approx([(0.3 + 0.2) / 4, (0.1 + 0.2) / 4, (0.1 + 0.2) / 4, 0.1])


def test_momentum_counts_weights() -> None:
    p_up, _ = momentum(weight=np.array([1.6, 0.4, 0.4, 1.6])).predict(*only_rows(ASKED))
    # Climatology: (1.6 + 0.4 + 1.6 + 1) / 6; not above zero: 1.6 of 2.0.
    assert p_up[1] == pytest.approx((1.6 + 2 * 4.6 / 6) / 4)


def test_momentum_that_says_nothing_is_climatology() -> None:
    rng = np.random.default_rng(1)
    X = rng.standard_normal((200_000, 1)).astype("float32")
    sample = sample_of(X, rng.standard_normal(len(X)) + 0.1)
    p_up, expected = Momentum().fit(sample, {"feature": 0}, seed=0, threads=1).predict(sample.panel, sample.at)
    climate = Climatology().fit(sample, {}, seed=0, threads=1).predict(sample.panel, sample.at)
    np.testing.assert_allclose(p_up, climate[0], atol=0.005)
    np.testing.assert_allclose(expected, climate[1], atol=0.01)


def test_a_sign_never_seen_is_climatology() -> None:
    rows = sample_of(np.ones((4, 1), "float32"), VALUE)
    model = Momentum().fit(rows, {"feature": 0}, seed=0, threads=1)
    p_up, expected = model.predict(*only_rows(np.array([[-1.0], [np.nan]], "float32")))
    assert p_up.tolist() == pytest.approx([4 / 6, 4 / 6])
    assert expected.tolist() == pytest.approx([0.1, 0.1])


@pytest.mark.parametrize("params", [{}, {"feature": 2}, {"feature": -1}])
def test_momentum_must_be_told_its_feature(params: dict[str, int]) -> None:
    with pytest.raises(TrainingError, match="column from 0 to 1"):
        Momentum().fit(sample_of(MOMENTUM, VALUE), params, seed=0, threads=1)


def test_momentum_asks_only_the_rows_it_is_asked_about(tmp_path: Path) -> None:
    panel = Panel(np.vstack([ASKED, ASKED]), np.arange(8), np.zeros(8, dtype=np.int64))
    some = np.array([1, 3, 4])
    model = momentum()
    model.save(tmp_path)
    for asked in (model, Momentum.load(tmp_path)):
        np.testing.assert_array_equal(asked.predict(panel, some)[0], model.predict(panel, np.arange(8))[0][some])
