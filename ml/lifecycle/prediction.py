"""From a forecast to a finished answer."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ml.errors import FrameError
from ml.estimators.interface import Vector
from ml.frames import FORECAST

UP_FROM = 0.55
DOWN_TO = 0.45


def finish(forecast: pd.DataFrame) -> pd.DataFrame:
    """FORECAST plus `direction` (up, down, neutral) and `confidence` (0 at even odds, 1 when certain).

    FrameError when a probability lies outside [0, 1] or is missing.
    """
    p_up = FORECAST.check(forecast)["p_up"].to_numpy()
    if not ((p_up >= 0) & (p_up <= 1)).all():
        raise FrameError("a forecast with p_up missing or outside [0, 1]", "probabilities", "Check the model")
    return forecast.assign(direction=direction(p_up).astype("str"), confidence=np.abs(p_up - 0.5) * 2)


def direction(p_up: Vector) -> pd.Series[str]:
    """`up` from p_up >= 0.55, `down` to p_up <= 0.45, `neutral` between."""
    return pd.Series(np.select([p_up >= UP_FROM, p_up <= DOWN_TO], ["up", "down"], "neutral"), dtype="str")
