"""Scores as plain functions. y: (n,) the event as bool or 0/1; p: (n,) its probability.

Names in `_rows` give one number per row; the others one number per call. The unit of evidence is
the date, so rows are averaged within a date first (`per_date_mean`), then dates count alike.
NaN policy: inputs hold none; a score that is not defined (one class, one row) is NaN.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from ml.estimators.interface import Flags, Vector
from ml.lifecycle.dataset import Instants

Dates: TypeAlias = "Instants | pd.DatetimeIndex | pd.Series[pd.Timestamp]"

EVEN_ODDS = 0.5
EPSILON = 1e-6
"""Probabilities are kept this far from 0 and 1, so one bold mistake costs at most 13.8 nats."""


def log_loss_rows(y: Flags, p: Vector) -> Vector:
    """(n,) minus the log-probability of what happened, in nats."""
    clipped = np.clip(p, EPSILON, 1 - EPSILON)
    losses: Vector = -np.log(np.where(y, clipped, 1 - clipped))
    return losses


def brier_rows(y: Flags, p: Vector) -> Vector:
    """(n,) squared distance between probability and event (Brier 1950)."""
    squares: Vector = (p - np.asarray(y, dtype=np.float64)) ** 2
    return squares


def accuracy_rows(y: Flags, p: Vector) -> Vector:
    """(n,) 1 where the likelier side happened, else 0; p = 0.5 counts as a fall."""
    return np.asarray((p > EVEN_ODDS) == y, dtype=np.float64)


def auc(y: Flags, p: Vector) -> float:
    """Probability that a random rise has a higher p than a random fall; ties count half."""
    rises = np.asarray(y, dtype=np.bool_)
    n_up, n_down = int(rises.sum()), int((~rises).sum())
    if n_up == 0 or n_down == 0:
        return float("nan")
    ranks = rankdata(p)
    return float((ranks[rises].sum() - n_up * (n_up + 1) / 2) / (n_up * n_down))


def expected_calibration_error(y: Flags, p: Vector, bins: int = 10) -> float:
    """Mean |share of rises - mean p| over bins of about equal count, weighted by count.

    Equal-count bins, because probabilities of weak signals crowd around one half; equal p share a bin.
    """
    if p.size == 0:
        return float("nan")
    edges = np.unique(np.quantile(p, np.linspace(0, 1, bins + 1)[1:-1]))
    bin_of = np.searchsorted(edges, p, side="left")
    gaps = np.bincount(bin_of, weights=np.asarray(y, dtype=np.float64) - p)
    return float(np.abs(gaps).sum() / p.size)


def per_date_mean(rows: Vector, ts: Dates) -> pd.Series[float]:
    """Mean of `rows` per instant, indexed by `ts` ascending; a NaN among a date's rows makes its mean NaN."""
    return pd.Series(rows, dtype="float64").groupby(pd.DatetimeIndex(ts, name="ts")).mean(skipna=False)


def information_coefficient(value: Vector, expected: Vector, ts: Dates) -> pd.Series[float]:
    """Pearson correlation of outcome and forecast across the rows of each date; NaN where either is constant."""
    frame = pd.DataFrame({"a": value, "b": expected})
    dates = pd.DatetimeIndex(ts, name="ts")
    centred = frame - frame.groupby(dates).transform("mean")
    # What is left of a constant after subtracting its mean is rounding, not signal.
    centred = centred.where(centred.abs() > 1e-12 * frame.abs(), 0.0)
    products = pd.DataFrame({"ab": centred["a"] * centred["b"], "aa": centred["a"] ** 2, "bb": centred["b"] ** 2})
    sums = products.groupby(dates).sum()
    norm = (sums["aa"] * sums["bb"]) ** 0.5
    return sums["ab"] / norm.where(norm > 0)


def rank_information_coefficient(value: Vector, expected: Vector, ts: Dates) -> pd.Series[float]:
    """Spearman's correlation per date: `information_coefficient` of ranks within the date."""
    ranks = pd.DataFrame({"a": value, "b": expected}).groupby(pd.DatetimeIndex(ts, name="ts")).rank()
    return information_coefficient(ranks["a"].to_numpy(), ranks["b"].to_numpy(), ts)


def scores(oof: pd.DataFrame) -> dict[str, float]:
    """The scores of an OUT_OF_FOLD frame, the baseline's beside them (`baseline_...`).

    Losses, accuracy and information coefficients are means over dates; auc and calibration error
    describe all rows. A score that is not defined is left out, so every number is finite.
    """
    y, ts = (oof["value"] > 0).to_numpy(), oof["ts"]
    value, expected = oof["value"].to_numpy(), oof["expected"].to_numpy()
    found = {"n_rows": float(len(oof)), "n_dates": float(ts.nunique())}
    for prefix, column in (("", "p_up"), ("baseline_", "baseline_p_up")):
        p = oof[column].to_numpy()
        found[f"{prefix}log_loss"] = float(per_date_mean(log_loss_rows(y, p), ts).mean())
        found[f"{prefix}brier"] = float(per_date_mean(brier_rows(y, p), ts).mean())
        found[f"{prefix}accuracy"] = float(per_date_mean(accuracy_rows(y, p), ts).mean())
        found[f"{prefix}auc"] = auc(y, p)
        found[f"{prefix}calibration_error"] = expected_calibration_error(y, p)
    found["ic"] = float(information_coefficient(value, expected, ts).mean())
    found["rank_ic"] = float(rank_information_coefficient(value, expected, ts).mean())
    return {name: score for name, score in found.items() if np.isfinite(score)}
