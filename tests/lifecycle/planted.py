"""Members' answers with a planted truth: what each of them knows of it, and when."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from ml.estimators.interface import Vector
from ml.lifecycle.ensembles import Members

START = np.datetime64("2020-01-01T21:00", "us")
DAY = np.timedelta64(1, "D")


def planted(
    knows: Vector,
    *,
    entities: int = 40,
    seed: int = 0,
    horizon: int = 1,
    signal: float = 0.6,
    noise: float = 0.3,
    market: float = 0.3,
    regime: Vector | None = None,
) -> Members:
    """Answers of m members on d dates, knows: (d, m) how much of the truth each sees on each date, from 0 to 1.

    The log-odds of a rise are a signal of deviation `signal` per row, and a shock of deviation `market` that all rows
    of a date share and nobody sees. A member says the share of the signal that it knows, and its own noise. A value is
    the sign of what came times a half-normal size. regime: (d, r), the same for all rows of a date.
    """
    rng = np.random.default_rng(seed)
    dates, m = knows.shape
    date = np.repeat(np.arange(dates), entities)
    truth = signal * rng.standard_normal(date.size)
    shock = np.asarray(market * rng.standard_normal(dates))
    up = rng.random(date.size) < expit(truth + shock[date])
    said = knows[date] * truth[:, None] + noise * rng.standard_normal((date.size, m))
    ts = START + date * DAY
    return Members(
        names=tuple("abcdefghijklmnopqrstuvwxyz"[:m]),
        p_up=expit(said),
        expected=0.01 * said,
        regime=np.zeros((date.size, 0)) if regime is None else regime[date],
        value=np.where(up, 1, -1) * np.abs(rng.standard_normal(date.size)) * 0.02,
        ts=ts,
        matures_at=ts + horizon * DAY,
    )
