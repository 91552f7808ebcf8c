"""The dispersion of a row's value as known beforehand: what intervals and scaled values are measured in."""

from __future__ import annotations

import numpy as np

from ml.estimators.panel import Vector


def typical(column: Vector) -> float:
    """Median of the usable (finite, positive) values of a dispersion; 1.0 when there is none."""
    usable = column[np.isfinite(column) & (column > 0)]
    return float(np.median(usable)) if usable.size else 1.0


def dispersion(column: Vector, fallback: float) -> Vector:
    """The same dispersion with unusable values (missing, zero, negative) replaced by `fallback`."""
    return np.where(np.isfinite(column) & (column > 0), column, fallback)
