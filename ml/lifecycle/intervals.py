"""Central intervals by split conformal prediction on out-of-fold residuals (Lei et al. 2018).

The score of a row is |value - expected| / scale; the interval is expected +- quantile x scale. The
finite-sample guarantee assumes exchangeable rows, which rows of one date and overlapping labels
are not. So the coverage seen on dates later than the calibration's is measured and kept beside it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ml.errors import TrainingError
from ml.estimators.interface import Vector

COVERAGE = 0.8
HELD_OUT_SHARE = 0.25
"""The latest share of out-of-fold dates on which coverage is measured: the last of four outer folds."""


@dataclass(frozen=True)
class Interval:
    """quantile: half-width per unit of scale, from all rows. measured_coverage: the share of later
    rows covered when calibrating on the earlier dates alone."""

    quantile: float
    coverage: float
    measured_coverage: float


def calibrate(oof: pd.DataFrame, coverage: float = COVERAGE) -> Interval:
    """The interval for `coverage` from an OUT_OF_FOLD frame; TrainingError when rows are too few for it."""
    residuals = (np.abs(oof["value"] - oof["expected"]) / oof["scale"]).to_numpy()
    dates = np.sort(oof["ts"].unique())
    first_held_out = dates[len(dates) - max(1, int(len(dates) * HELD_OUT_SHARE))] if len(dates) > 1 else None
    if first_held_out is None:
        raise TrainingError(f"{len(dates)} out-of-fold dates", "at least two", "Give a longer history")
    later = (oof["ts"] >= first_held_out).to_numpy()
    measured = float(np.mean(residuals[later] <= conformal_quantile(residuals[~later], coverage)))
    return Interval(conformal_quantile(residuals, coverage), coverage, measured)


def conformal_quantile(residuals: Vector, coverage: float) -> float:
    """The ceil((n + 1) coverage)-th smallest residual; TrainingError when n is too small to have one."""
    rank = _ceil((residuals.size + 1) * coverage)
    if rank > residuals.size:
        raise TrainingError(
            f"{residuals.size} out-of-fold rows",
            f"enough for a {coverage:.0%} interval (at least {_ceil(coverage / (1 - coverage))})",
            "Give a longer history",
        )
    return float(np.partition(residuals, rank - 1)[rank - 1])


def _ceil(number: float) -> int:
    # 0.8 / (1 - 0.8) is 4.000000000000001 in binary and must count as 4.
    return math.ceil(round(number, 9))


def typical(column: Vector) -> float:
    """Median of the usable (finite, positive) values of a dispersion; 1.0 when there is none."""
    usable = column[np.isfinite(column) & (column > 0)]
    return float(np.median(usable)) if usable.size else 1.0


def dispersion(column: Vector, fallback: float) -> Vector:
    """The same dispersion with unusable values (missing, zero, negative) replaced by `fallback`."""
    return np.where(np.isfinite(column) & (column > 0), column, fallback)
