"""Features of one target with the labels that are known, by (entity, ts), as arrays ready for training."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.domain import Target
from ml.errors import FrameError, TrainingError
from ml.estimators.panel import Codes, Flags, Matrix, Panel, Sample, Vector
from ml.frames import LABELS, check_features
from ml.lifecycle.weights import mean_one, uniqueness

Instants = npt.NDArray[np.datetime64]

MAX_LOSS = 0.2
"""Largest share of labels, within the features' span of time, that may find no usable feature row."""


@dataclass(frozen=True)
class Dataset:
    """Feature rows sorted by (ts, entity), with what came of those whose outcome is known; all arrays share n.

    entity: (n,) str objects. ts: (n,) datetime64[us] in UTC. X: (n, f) float32, NaN means missing, never
    infinite. value: (n,) float64 and matures_at: (n,) datetime64[us], NaN and NaT where the outcome is not
    known: such a row is only the past of later ones. feature_names: the f columns of X.
    """

    entity: npt.NDArray[np.object_]
    ts: Instants
    matures_at: Instants
    X: Matrix
    value: Vector
    feature_names: tuple[str, ...]

    def __len__(self) -> int:
        return self.ts.size

    @cached_property
    def known(self) -> Codes:
        """(k,) the rows whose outcome is known, ascending."""
        return np.flatnonzero(np.isfinite(self.value))

    @cached_property
    def dates(self) -> Instants:
        """(d,) the distinct ts of rows with a known outcome, ascending."""
        return self.ts[self.known[self._starts]]

    @cached_property
    def date_maturities(self) -> Instants:
        """(d,) the instant by which every label of a date is known."""
        latest: Instants = np.maximum.reduceat(self.matures_at[self.known], self._starts)
        return latest

    @cached_property
    def panel(self) -> Panel:
        """All rows, with or without an outcome, as estimators look at them."""
        entity = pd.factorize(self.entity, sort=True)[0].astype(np.int64)
        return Panel(self.X, entity, np.searchsorted(self._instants, self.ts))

    @cached_property
    def weight(self) -> Vector:
        """(n,) the uniqueness of each row's label among those of its entity; NaN where the outcome is not known."""
        rows, panel = self.known, self.panel
        end = np.searchsorted(self._instants, self.matures_at[rows])
        weight = np.full(len(self), np.nan)
        weight[rows] = uniqueness(panel.entity[rows], panel.period[rows], end)
        return weight

    @cached_property
    def _instants(self) -> Instants:
        return self.ts[np.r_[True, self.ts[1:] != self.ts[:-1]]] if self.ts.size else self.ts

    @cached_property
    def _starts(self) -> Codes:
        """Where each date begins among the known rows."""
        ts = self.ts[self.known]
        return np.flatnonzero(np.r_[True, ts[1:] != ts[:-1]]) if ts.size else np.empty(0, np.int64)

    def rows(self, dates: Instants) -> Codes:
        """The rows with a known outcome on `dates`, ascending."""
        at = np.flatnonzero(np.isin(self.dates, dates))
        ends = np.r_[self._starts[1:], self.known.size]
        parts = [self.known[self._starts[i] : ends[i]] for i in at]
        return np.concatenate(parts) if parts else np.empty(0, np.int64)

    def sample(self, dates: Instants, most_rows: int | None = None, seed: int = 0) -> Sample:
        """The known rows on `dates`, or a seeded random draw of `most_rows` of them, weighted by uniqueness."""
        at = self.rows(dates)
        if most_rows is not None and at.size > most_rows:
            at = np.sort(np.random.default_rng(seed).choice(at, most_rows, replace=False))
        return Sample(self.panel, at, self.value[at], mean_one(self.weight[at]))


def build(features: pd.DataFrame, labels: pd.DataFrame, target: Target, names: tuple[str, ...]) -> Dataset:
    """Every feature row with the label of `target` at the same (entity, ts), where there is one."""
    return label(unlabelled(features, names), labels, target)


def unlabelled(features: pd.DataFrame, names: tuple[str, ...]) -> Dataset:
    """Feature rows of which nothing is known yet: what all targets start from.

    Infinite features become missing; rows without any finite feature are dropped. FrameError when the frame
    breaks its contract.
    """
    check_features(features, names)
    X, usable = _matrix(features, names)
    entity, ts = features["entity"].to_numpy(dtype=object)[usable], _instants(features["ts"])[usable]
    never = np.full(ts.size, np.datetime64("NaT", "us"))
    return Dataset(entity, ts, never, X if usable.all() else X[usable], np.full(ts.size, np.nan), names)


def label(rows: Dataset, labels: pd.DataFrame, target: Target) -> Dataset:
    """The same rows with the outcomes of `target` that are known; X is shared.

    FrameError when the labels break their contract, one is not finite, or more than MAX_LOSS of them find no
    row; TrainingError when none does.
    """
    wanted = LABELS.check(labels)[(labels["target"] == target.name).to_numpy()]
    if not np.isfinite(wanted["value"].to_numpy()).all():
        raise FrameError(
            f"labels of {target.name} with {int((~np.isfinite(wanted['value'])).sum())} values that are not finite",
            "known outcomes only",
            "Leave rows out until their outcome is known",
        )
    value, matures_at = np.full(len(rows), np.nan), np.full(len(rows), np.datetime64("NaT", "us"))
    at, of = _shared_keys(rows, wanted)
    value[at], matures_at[at] = wanted["value"].to_numpy()[of], _instants(wanted["matures_at"])[of]
    _refuse_heavy_loss(rows, wanted, at.size, target)
    if at.size == 0:
        raise TrainingError(
            f"no row with both features and a label of {target.name}",
            "matching (entity, ts) keys",
            "Give a longer history",
        )
    return replace(rows, value=value, matures_at=matures_at)


def _instants(column: pd.Series[Any]) -> Instants:
    return column.to_numpy(dtype="datetime64[us]")


def _shared_keys(rows: Dataset, labels: pd.DataFrame) -> tuple[Codes, Codes]:
    """Positions in both of the keys they share, ordered by (ts, entity)."""
    codes, entities = pd.factorize(np.concatenate([rows.entity, labels["entity"].to_numpy(dtype=object)]), sort=True)
    instants = np.concatenate([rows.ts, _instants(labels["ts"])])
    # One integer per key, ascending in (ts, entity), makes the join a merge of sorted arrays.
    key = np.unique(instants, return_inverse=True)[1].astype(np.int64) * max(len(entities), 1) + codes
    split = len(rows)
    _, left, right = np.intersect1d(key[:split], key[split:], assume_unique=True, return_indices=True)
    return left, right


def _matrix(features: pd.DataFrame, names: tuple[str, ...]) -> tuple[Matrix, Flags]:
    """The named columns, and which rows hold a finite value."""
    X = np.empty((len(features), len(names)), dtype=np.float32)
    usable = np.zeros(len(features), dtype=np.bool_)
    for j, name in enumerate(names):
        X[:, j] = finite_or_missing(features[name].to_numpy())
        usable |= ~np.isnan(X[:, j])
    return X, usable


def finite_or_missing(column: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The same values with infinities as NaN: XGBoost refuses infinities, and none means anything here."""
    return np.where(np.isfinite(column), column, np.float32(np.nan))


def _refuse_heavy_loss(rows: Dataset, labels: pd.DataFrame, kept: int, target: Target) -> None:
    if not len(rows):
        return
    ts = _instants(labels["ts"])
    within = int(((ts >= rows.ts[0]) & (ts <= rows.ts[-1])).sum())
    if within - kept > MAX_LOSS * within:
        raise FrameError(
            f"{within - kept} of {within} labels of {target.name} without usable features",
            f"at most {MAX_LOSS:.0%} lost",
            "Compute features and labels from the same bars",
        )
