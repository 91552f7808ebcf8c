"""Prediction intervals by conformal prediction on dates, from out-of-fold residuals.

A residual is (value - expected) / scale; an interval runs from expected + lower x scale to expected + upper x scale,
each bound a quantile of signed residuals, so rises and falls may be wide differently. Rows of one date depend on each
other: every date counts alike, and the one to come counts as one more whose residuals are unknown (hierarchical
conformal prediction, Dunn, Wasserman and Ramdas 2023; Lee, Barber and Willett 2023). That guarantees the coverage when
dates are exchangeable. Markets are not: so the coverage seen on dates later than the calibration's is kept beside it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from ml.errors import TrainingError
from ml.estimators.interface import Flags, Vector
from ml.estimators.panel import Codes
from ml.lifecycle.dataset import Instants
from ml.lifecycle.documents import Document
from ml.lifecycle.metrics import date_weights

COVERAGES = {0.8: "", 0.95: "_95"}
"""The stated coverages, with what the columns of their bounds end in."""
HELD_OUT_SHARE = 0.25
"""The latest share of out-of-fold dates on which coverage is measured: the last of four outer folds."""
STEP = 0.01
"""How far the level of an adaptive bound moves per date, in units of the date's excess share of misses."""
GRID = 201


@dataclass(frozen=True)
class Intervals(Document):
    """lower, upper: bounds per unit of scale for each of the `coverages`, lower <= 0 <= upper, from all dates.

    measured: the coverage of each, seen on the later dates (`HELD_OUT_SHARE`) from the earlier ones. residuals: (GRID,)
    quantiles of the signed residuals at even levels from 0 to 1, dates counting alike.
    """

    kind: ClassVar[str] = "intervals"
    method: str
    coverages: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    measured: tuple[float, ...]
    residuals: tuple[float, ...]

    def around(self, expected: Vector, scale: Vector) -> dict[str, Vector]:
        """Columns `lower`, `upper` (80 %), `lower_95`, `upper_95`, each (n,), around expected values."""
        columns = {}
        for coverage, lower, upper in zip(self.coverages, self.lower, self.upper, strict=True):
            columns[f"lower{COVERAGES[coverage]}"] = expected + lower * scale
            columns[f"upper{COVERAGES[coverage]}"] = expected + upper * scale
        return columns

    def share_above(self, residual: Vector) -> Vector:
        """(n,) the share of residuals that are at least so large, in [0, 1]: what conformal prediction takes for the
        probability that value >= expected + residual x scale."""
        below = np.interp(residual, self.residuals, np.linspace(0, 1, GRID), left=0.0, right=1.0)
        share: Vector = 1 - below
        return share


def calibrate(oof: pd.DataFrame) -> Intervals:
    """Intervals from an OUT_OF_FOLD frame by split conformal prediction; TrainingError when dates are too few.

    Two-sided 95 % take 39 dates, of those before the held-out ones too.
    """
    residuals = _Residuals.of(oof)
    earlier = residuals.only(residuals.date < residuals.first_held_out)
    later = residuals.only(residuals.date >= residuals.first_held_out)
    seen = [later.covered(*earlier.bounds(_tail(coverage))) for coverage in COVERAGES]
    return residuals.intervals("split", [residuals.bounds(_tail(coverage)) for coverage in COVERAGES], seen)


def calibrate_adaptively(oof: pd.DataFrame, matures_at: Instants) -> Intervals:
    """Intervals from an OUT_OF_FOLD frame by adaptive conformal inference (Gibbs and Candes 2021) over its dates.

    matures_at: (n,) when each row's outcome is known. Replayed in order of time, each of the four bounds by itself: a
    date's bound is a quantile of the residuals known by then, at a level that each date whose outcomes have come has
    moved by STEP x (the tail - the share of its rows beyond the bound). A level beyond what the known dates can carry
    gives the widest residual seen. TrainingError when too few dates are known by the held-out ones.
    """
    residuals = _Residuals.of(oof)
    bounds, seen = [], []
    for coverage in COVERAGES:
        upper, above = _replay(residuals.r, residuals, matures_at, _tail(coverage))
        lower, below = _replay(-residuals.r, residuals, matures_at, _tail(coverage))
        bounds.append((-lower, upper))
        seen.append(1 - float((above + below)[residuals.first_held_out :].mean()))
    return residuals.intervals("adaptive", bounds, seen)


def conformal_quantile(residuals: Vector, level: float, weight: Vector | None = None) -> float:
    """The smallest residual at or below which lie `level` of the dates, the one to come counted as lying above.

    weight: (n,) `date_weights` of the residuals; None: each is a date of its own, and the quantile the
    ceil((n + 1) level)-th smallest. TrainingError when the dates are too few to have one.
    """
    order = np.argsort(residuals, kind="stable")
    reached = np.cumsum(np.ones(residuals.size) if weight is None else weight[order])
    dates = round(float(reached[-1])) if reached.size else 0
    at = _rank(reached, level, dates)
    if at == residuals.size:
        raise _too_few(dates, level)
    return float(residuals[order[at]])


def _too_few(dates: int, level: float) -> TrainingError:
    return TrainingError(
        f"{dates} out-of-fold dates",
        f"enough for a level of {level:.1%} (at least {_ceil(level / (1 - level))})",
        "Give a longer history",
    )


def typical(column: Vector) -> float:
    """Median of the usable (finite, positive) values of a dispersion; 1.0 when there is none."""
    usable = column[np.isfinite(column) & (column > 0)]
    return float(np.median(usable)) if usable.size else 1.0


def dispersion(column: Vector, fallback: float) -> Vector:
    """The same dispersion with unusable values (missing, zero, negative) replaced by `fallback`."""
    return np.where(np.isfinite(column) & (column > 0), column, fallback)


def _rank(reached: Vector, level: float, dates: int) -> int:
    # Thirds of dates do not add up to whole ones in binary.
    return int(np.searchsorted(reached, level * (dates + 1) - 1e-9))


def _ceil(number: float) -> int:
    # 0.8 / (1 - 0.8) is 4.000000000000001 in binary and must count as 4.
    return math.ceil(round(number, 9))


def _tail(coverage: float) -> float:
    return (1 - coverage) / 2


@dataclass(frozen=True)
class _Residuals:
    """Signed residuals r (n,) with the position of their date, and weights by which dates count alike."""

    r: Vector
    date: Codes
    weight: Vector
    dates: Instants

    @classmethod
    def of(cls, oof: pd.DataFrame) -> _Residuals:
        ts = oof["ts"].to_numpy(dtype="datetime64[us]")
        dates, date = np.unique(ts, return_inverse=True)
        r = ((oof["value"] - oof["expected"]) / oof["scale"]).to_numpy()
        return cls(r, date, date_weights(ts), dates)

    @property
    def first_held_out(self) -> int:
        return self.dates.size - max(1, int(self.dates.size * HELD_OUT_SHARE))

    def only(self, keep: Flags) -> _Residuals:
        return _Residuals(self.r[keep], self.date[keep], self.weight[keep], self.dates)

    def bounds(self, tail: float) -> tuple[float, float]:
        """The interval beyond which `tail` of the dates lie on either side; it holds 0, the expected value."""
        lower = -conformal_quantile(-self.r, 1 - tail, self.weight)
        upper = conformal_quantile(self.r, 1 - tail, self.weight)
        return min(lower, 0.0), max(upper, 0.0)

    def covered(self, lower: float, upper: float) -> float:
        inside = (self.r >= lower) & (self.r <= upper)
        return float(np.average(inside, weights=self.weight))

    def intervals(self, method: str, bounds: list[tuple[float, float]], seen: list[float]) -> Intervals:
        order = np.argsort(self.r, kind="stable")
        reached = np.cumsum(self.weight[order]) / self.dates.size
        at = np.minimum(np.searchsorted(reached, np.linspace(0, 1, GRID) - 1e-9), self.r.size - 1)
        return Intervals(
            method=method,
            coverages=tuple(COVERAGES),
            lower=tuple(lower for lower, _ in bounds),
            upper=tuple(upper for _, upper in bounds),
            measured=tuple(seen),
            residuals=tuple(self.r[order][at].tolist()),
        )


def _replay(r: Vector, residuals: _Residuals, matures_at: Instants, tail: float) -> tuple[float, Vector]:
    """One bound, on residuals r (n,) signed so that it is the upper one: the adapted bound after all dates, and the
    share of each date's rows that lay beyond the bound of its day (d,); NaN while too few dates were known."""
    dates, latest = residuals.dates, np.full(residuals.dates.size, matures_at.min())
    np.maximum.at(latest, residuals.date, matures_at)
    known_at = np.maximum.accumulate(latest)
    order = np.argsort(r, kind="stable")
    ordered, weight, date = r[order], residuals.weight[order], residuals.date[order]
    begins = np.searchsorted(residuals.date, np.arange(dates.size + 1))
    missed, level, learned = np.full(dates.size, np.nan), tail, 0
    for t, known in enumerate([*np.searchsorted(known_at, dates, side="right"), dates.size]):
        moves = STEP * (tail - missed[learned:known])
        level, learned = level + float(np.nansum(moves)), known
        reached = np.cumsum(np.where(date < known, weight, 0.0))
        if _rank(reached, 1 - tail, known) == r.size:
            continue
        # Beyond what the known dates carry it is the widest residual among them.
        at = min(_rank(reached, 1 - level, known), _rank(reached, 1.0, known - 1))
        bound = max(float(ordered[at]), 0.0)
        if t < dates.size:
            rows = slice(begins[t], begins[t + 1])
            missed[t] = np.average(r[rows] > bound, weights=residuals.weight[rows])
    if np.isnan(missed[residuals.first_held_out :]).any():
        raise _too_few(int((known_at <= dates[residuals.first_held_out]).sum()), 1 - tail)
    return bound, missed
