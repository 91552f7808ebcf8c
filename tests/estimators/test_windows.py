import numpy as np
import pytest

from ml.estimators.panel import Matrix, Panel, only_rows
from ml.estimators.windows import CLIP, Normaliser, Windows

NAN = np.nan


def columns(*values: list[float]) -> Matrix:
    return np.array(values, dtype="float32").T


def rows_as_seen(normaliser: Normaliser, X: Matrix) -> Windows:
    values, present = normaliser.windows(*only_rows(X), length=1, batch=len(X))
    return Windows(values[:, 0], present[:, 0])


def test_a_feature_is_seen_in_spreads_from_its_median() -> None:
    rng = np.random.default_rng(0)
    X = (3 + 2 * rng.standard_normal((20_000, 1))).astype("float32")
    normaliser = Normaliser.fitted(X)
    assert normaliser.median[0] == pytest.approx(3, abs=0.05)
    assert 1 / normaliser.inverse_spread[0] == pytest.approx(2, rel=0.03)
    asked = columns([3, 5, 1, 1000, -1000])
    assert rows_as_seen(normaliser, asked).values.ravel() == pytest.approx([0, 1, -1, CLIP, -CLIP], abs=0.05)


def test_one_absurd_value_changes_nothing_for_the_others() -> None:
    X = np.linspace(-1, 1, 1001, dtype="float32")[:, None]
    wild = X.copy()
    wild[500] = 1e9
    assert Normaliser.fitted(wild).inverse_spread[0] == pytest.approx(Normaliser.fitted(X).inverse_spread[0], rel=0.01)


def test_a_missing_value_is_the_median_and_lowers_the_share_that_is_present() -> None:
    normaliser = Normaliser.fitted(columns([1, 2, 3, NAN], [1, 2, 3, 4]))
    assert normaliser.median[0] == 2
    values, present = rows_as_seen(normaliser, columns([NAN, 2, NAN], [4, 4, NAN]))
    assert values[0, 0] == values[1, 0] == 0
    assert present.tolist() == [0.5, 1, 0]


def test_a_constant_or_empty_feature_says_nothing_even_when_it_changes() -> None:
    normaliser = Normaliser.fitted(columns([7, 7, 7], [NAN, NAN, NAN]))
    assert rows_as_seen(normaliser, columns([7, 9, -9], [1, 2, NAN])).values.tolist() == [[0, 0]] * 3


def test_a_rare_flag_has_the_spread_of_its_deviation() -> None:
    flag = np.zeros(1000)
    flag[:10] = 1
    assert Normaliser.fitted(columns(list(flag))).inverse_spread[0] == pytest.approx(1 / flag.std(), rel=1e-6)


def test_gaps_and_the_filling_of_a_batch_are_zeros() -> None:
    X = columns([1, 2, 3])
    panel = Panel(X, np.zeros(3, dtype=np.int64), np.array([0, 2, 3]))
    values, present = Normaliser(np.zeros(1, "float32"), np.ones(1, "float32")).windows(panel, np.array([2]), 5, 3)
    assert values[:, :, 0].tolist() == [[0, 1, 0, 2, 3], [0] * 5, [0] * 5]
    assert present.tolist() == [[0, 1, 0, 1, 1], [0] * 5, [0] * 5]
    assert values.dtype == present.dtype == np.float32
