"""Scores that are no means over dates, as one number per date whose mean is the score.

A date's number is the score plus what the date adds to it, to first order (the influence function of Hampel 1974; for
the Sharpe ratio, Lo 2002). So the per-date test, which knows of overlapping labels, tests these scores as well.
All are series by `ts` ascending; NaN throughout where the score is not defined.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from ml.estimators.interface import Flags, Vector
from ml.lifecycle import metrics
from ml.lifecycle.metrics import EVEN_ODDS, Dates


def precision(up: Flags, p: Vector, ts: Dates) -> pd.Series[float]:
    """Of `metrics.precision`."""
    said = p > EVEN_ODDS
    return _ratio(_per_date(up & said, ts), _per_date(said, ts))


def recall(up: Flags, p: Vector, ts: Dates) -> pd.Series[float]:
    """Of `metrics.recall`."""
    return _ratio(_per_date(up & (p > EVEN_ODDS), ts), _per_date(up, ts))


def f1(up: Flags, p: Vector, ts: Dates) -> pd.Series[float]:
    """Of `metrics.f1`."""
    said = p > EVEN_ODDS
    return _ratio(2 * _per_date(up & said, ts), _per_date(up, ts) + _per_date(said, ts))


def auc(up: Flags, p: Vector, ts: Dates) -> pd.Series[float]:
    """Of `metrics.auc`: a rise adds the share of falls below it, a fall that of rises above it (DeLong et al. 1988)."""
    score, n_up, n_down = metrics.auc(up, p), int(up.sum()), int((~up).sum())
    added = np.full(p.size, np.nan)
    if n_up and n_down:
        ranks = rankdata(p)
        added[up] = ((ranks[up] - rankdata(p[up])) / n_down - score) / n_up
        added[~up] = (1 - (ranks[~up] - rankdata(p[~up])) / n_up - score) / n_down
    by_date = _per_date(added, ts)
    return score + by_date * len(by_date)


def expected_calibration_error(up: Flags, p: Vector, ts: Dates) -> pd.Series[float]:
    """Of `metrics.expected_calibration_error`, its bins and which side each of them errs on being given."""
    bins = metrics.calibration_bins(p)
    gaps = up - p
    side = np.sign(np.bincount(bins, weights=gaps))[bins]
    by_date = _per_date(side * gaps, ts)
    return by_date * (len(by_date) / p.size)


def mean_to_deviation(series: pd.Series[float]) -> pd.Series[float]:
    """Of the mean by the standard deviation (n - 1), as in `metrics.icir` and `metrics.sharpe_ratio`."""
    ratio = metrics.icir(series)
    centred, deviation = series - series.mean(), series.std()
    squares = centred**2
    return ratio + centred / deviation - ratio / 2 * (squares - squares.mean()) / deviation**2


def _ratio(above: pd.Series[float], below: pd.Series[float]) -> pd.Series[float]:
    """Of sum(above) / sum(below)."""
    total = float(below.sum())
    ratio = float(above.sum()) / total if total else float("nan")
    return ratio + (above - ratio * below) * len(below) / (total or np.nan)


def _per_date(rows: Vector | Flags, ts: Dates) -> pd.Series[float]:
    """The sum of (n,) numbers on each date; NaN where all are."""
    return pd.Series(np.asarray(rows, dtype=np.float64)).groupby(pd.DatetimeIndex(ts, name="ts")).sum(min_count=1)
