"""Why a row got its answer: how much each feature moved the members' log-odds, shares of the answer applied.

Contributions come from the members themselves (TreeSHAP for trees, gradients for nets, coefficients for lines), so they
explain the models, not the market. They add up over members as far as the combiner pools log-odds.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ml.estimators.interface import Estimator
from ml.estimators.panel import Codes, Matrix, Panel, Vector
from ml.lifecycle.documents import Document

STRONGEST = 5
LEVELS = 41


@dataclass(frozen=True)
class Percentiles(Document):
    """Where a value lies among those of the training rows. quantiles: (f, LEVELS) at even levels, NaN left out."""

    kind: ClassVar[str] = "percentiles"
    quantiles: tuple[tuple[float, ...], ...]

    @classmethod
    def of(cls, X: Matrix) -> Percentiles:
        """Of training rows X (n, f); a feature that no row has lies in the middle whatever its value is."""
        levels = np.linspace(0, 1, LEVELS)
        columns = (column[~np.isnan(column)] for column in X.T)
        return cls(tuple(tuple(np.quantile(c, levels).tolist()) if c.size else (0.0,) * LEVELS for c in columns))

    def share_below(self, feature: int, value: float) -> float:
        """The share of training rows whose value is lower, ties counted half."""
        quantiles = self.quantiles[feature]
        low, high = (int(np.searchsorted(quantiles, value, side=side)) for side in ("left", "right"))
        if high - low > 1 or low in (0, LEVELS):
            return (low + high) / 2 / LEVELS if high > low else float(low == LEVELS)
        return float(np.interp(value, quantiles, np.linspace(0, 1, LEVELS)))


def contributions(fitted: tuple[Estimator, ...], shares: Vector, panel: Panel, at: Codes) -> Matrix:
    """(n, f) how much each feature moves a row's log-odds. shares: (n, m) of the members in the answer."""
    parts = [estimator.contributions(panel, at) * shares[:, [m]] for m, estimator in enumerate(fitted)]
    total: Matrix = np.sum(parts, axis=0, dtype=np.float32)
    return total


def importance(contributed: Matrix, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Mean |contribution| of each feature in log-odds, strongest first; none that never moved anything."""
    mean = np.abs(contributed).mean(axis=0)
    order = np.argsort(-mean, kind="stable")
    return [{"feature": names[j], "importance": float(mean[j])} for j in order if mean[j] > 0]


def reasons(contributed: Matrix, X: Matrix, names: tuple[str, ...], percentiles: Percentiles) -> list[str]:
    """Of each row the five features that pushed its answer up most, and the five that pushed it down most, as JSON.

    Each with `effect` (log-odds), `value` and `share_below` (among training rows); both null for a missing value.
    """
    return [json.dumps(_reasons(c, x, names, percentiles)) for c, x in zip(contributed, X, strict=True)]


def _reasons(effect: Matrix, x: Matrix, names: tuple[str, ...], percentiles: Percentiles) -> list[dict[str, Any]]:
    order = np.argsort(effect, kind="stable")
    strongest = [*order[::-1][:STRONGEST], *order[:STRONGEST][::-1]]
    up = [j for j in strongest[:STRONGEST] if effect[j] > 0]
    down = [j for j in strongest[STRONGEST:][::-1] if effect[j] < 0]
    return [_reason(j, effect, x, names, percentiles) for j in (*up, *down)]


def _reason(j: int, effect: Matrix, x: Matrix, names: tuple[str, ...], percentiles: Percentiles) -> dict[str, Any]:
    known = not np.isnan(x[j])
    return {
        "feature": names[j],
        "effect": round(float(effect[j]), 6),
        "value": float(x[j]) if known else None,
        "share_below": round(percentiles.share_below(j, float(x[j])), 3) if known else None,
    }
