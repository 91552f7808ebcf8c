"""The study with real training, on small markets: what is known when."""

import numpy as np
import pytest

from tests.study import trained
from tests.study.datasets import simulate
from tests.study.returns import Plant


def test_rows_are_known_when_their_outcome_is_and_a_quarter_brings_a_quarter_more() -> None:
    whole = simulate(Plant(0.0, 5), 1, symbols=3, dates=trained.HISTORY + trained.QUARTER).dataset
    first, second = trained.known(whole, 0), trained.known(whole, 1)
    instants = np.unique(whole.ts)
    assert first.matures_at.max() == instants[trained.HISTORY - 1]
    assert first.ts.max() == instants[trained.HISTORY - 1 - 5]
    assert np.unique(second.ts).size - np.unique(first.ts).size == trained.QUARTER


@pytest.mark.parametrize("horizon", trained.HORIZONS)
def test_a_year_is_decided_by_its_seed_and_looks_again_at_what_was_not_vetoed(horizon: int) -> None:
    once = trained.year(horizon, "linear", "rank_ic", 3)
    assert once == trained.year(horizon, "linear", "rank_ic", 3)
    assert trained.LOOKS <= once.looks <= 10
    assert not once.promoted
