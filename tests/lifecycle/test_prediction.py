import numpy as np
import pandas as pd
import pytest

from ml.errors import FrameError
from ml.frames import FORECAST
from ml.lifecycle.prediction import finish


def forecast(p_up: list[float]) -> pd.DataFrame:
    entities = [f"E{i}" for i in range(len(p_up))]
    return FORECAST.cast(pd.DataFrame({"entity": entities, "p_up": p_up, "expected": 0.0, "lower": -1.0, "upper": 1.0}))


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
