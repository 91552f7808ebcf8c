from __future__ import annotations

import pandas as pd
import pytest

from ml.equity.pricing import with_prices
from ml.errors import FrameError

FINISHED = pd.DataFrame(
    {
        "entity": ["A", "B"],
        "expected_return": [0.1, -0.5],
        "return_lower": [-0.2, -0.75],
        "return_upper": [0.5, 0.0],
        "return_stop": [-0.1, 0.25],
    }
)


def test_prices_are_the_last_raw_close_moved_by_the_returns() -> None:
    priced = with_prices(FINISHED, pd.Series({"B": 8.0, "A": 200.0, "C": 1.0}))
    assert priced["price"].tolist() == [200.0, 8.0]
    assert priced["price_target"].tolist() == pytest.approx([220.0, 4.0])
    assert priced["price_lower"].tolist() == pytest.approx([160.0, 2.0])
    assert priced["price_upper"].tolist() == pytest.approx([300.0, 8.0])
    assert priced["price_stop"].tolist() == pytest.approx([180.0, 10.0])
    assert "price" not in FINISHED.columns


def test_a_prediction_without_a_price_is_refused_by_name() -> None:
    with pytest.raises(FrameError, match="B"):
        with_prices(FINISHED, pd.Series({"A": 200.0}))
