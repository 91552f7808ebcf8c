"""From a forecast to a finished answer.

Everything here is a stated function of the forecast, its intervals and what was seen out of fold; nothing is learned.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ml.errors import FrameError, TrainingError
from ml.estimators.interface import Vector
from ml.frames import FORECAST
from ml.lifecycle.calibration import Reliability
from ml.lifecycle.intervals import Intervals
from ml.lifecycle.metrics import EVEN_ODDS

UP_FROM = 0.55
DOWN_TO = 0.45
NORMAL_DEVIATIONS = 2.5631
"""The width of a normal distribution's central 80 %, in standard deviations."""
STOP_DEVIATIONS = 2.0
PERCENTILES = 101


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


def confidence_evidence(p_up: Vector, seen: Reliability) -> pd.DataFrame:
    """What came, out of fold, when about as much was said: `share_up`, `rows`, `dates` for each p_up (n,)."""
    at = seen.bin_of(p_up)
    return pd.DataFrame(
        {"share_up": np.array(seen.came)[at], "rows": np.array(seen.rows)[at], "dates": np.array(seen.dates)[at]}
    )


def predicted_dispersion(lower: Vector, upper: Vector) -> Vector:
    """(n,) the standard deviation of a normal distribution as wide as the 80 % interval."""
    return (upper - lower) / NORMAL_DEVIATIONS


def target_probability(p_up: Vector, expected: Vector, scale: Vector, intervals: Intervals) -> Vector:
    """(n,) the probability that the value, when it matures, is at least the expected one; at most, if that is below 0.

    In two steps: the value is on the target's side of 0 with probability p_up (1 - p_up below), and given that, it lies
    beyond the target as often as out-of-fold residuals say: P(residual >= 0) / P(residual >= -expected / scale). So it
    is never more probable than the rise (or fall) itself, and falls as the target moves away. It is about the value at
    maturity, not about touching the target on the way, which is more probable.
    """
    rises = expected >= 0
    edge, half = intervals.share_above(-expected / scale), intervals.share_above(np.zeros(1))[0]
    beyond, side = np.where(rises, half, 1 - half), np.where(rises, edge, 1 - edge)
    share: Vector = np.divide(beyond, side, out=np.zeros(len(side)), where=side > 0)
    reached: Vector = np.where(rises, p_up, 1 - p_up) * np.minimum(share, 1.0)
    return reached


def stop(p_up: Vector, dispersion: Vector) -> Vector:
    """(n,) the value at which the forecast is given up: two predicted dispersions against its likelier side.

    Negative for p_up >= 0.5, positive below. A normal value without drift ends beyond it once in 44 times, and touches
    it on the way about twice as often.
    """
    return np.where(p_up >= EVEN_ODDS, -STOP_DEVIATIONS, STOP_DEVIATIONS) * dispersion


def percentiles(dispersion: Vector) -> tuple[float, ...]:
    """(101,) the percentiles of training rows' dispersions: what `risk_score` compares with.

    Values that are missing or infinite are left out; TrainingError when nothing is left.
    """
    known = dispersion[np.isfinite(dispersion)]
    if known.size == 0:
        raise TrainingError("no known dispersion", "at least one", "Give a longer history")
    return tuple(np.quantile(known, np.linspace(0, 1, PERCENTILES)).tolist())


def risk_score(dispersion: Vector, history: tuple[float, ...]) -> Vector:
    """(n,) from 0 to 100 in halves: the percentage of training rows whose dispersion was smaller (equal ones: half).

    history: their `percentiles`, in the same unit: of the feature that intervals are scaled by, say, since their widths
    are proportional to it.
    """
    below = np.searchsorted(history, dispersion, side="left") + np.searchsorted(history, dispersion, side="right")
    return np.round(100 * below / (2 * len(history)) * 2) / 2
