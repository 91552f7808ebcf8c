"""Features and labels of one target, joined on (entity, ts), as arrays ready for training."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.domain import Target
from ml.errors import FrameError, TrainingError
from ml.estimators.interface import Flags, Matrix, Vector
from ml.frames import LABELS, check_features

Instants = npt.NDArray[np.datetime64]
Codes = npt.NDArray[np.int64]

MAX_LOSS = 0.2
"""Largest share of labels, within the features' span of time, that may find no usable feature row."""


@dataclass(frozen=True)
class Dataset:
    """Rows sorted by (ts, entity); all arrays share the first dimension n.

    entity: (n,) str objects. ts, matures_at: (n,) datetime64[us] in UTC. X: (n, f) float32, NaN
    means missing, never infinite. value: (n,) finite float64. feature_names: the f columns of X.
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
    def up(self) -> Flags:
        """(n,) whether the event happened: value > 0."""
        return self.value > 0

    @cached_property
    def dates(self) -> Instants:
        """(d,) the distinct ts, ascending."""
        return self.ts[self._starts]

    @cached_property
    def date_maturities(self) -> Instants:
        """(d,) the instant by which every label of a date is known."""
        latest: Instants = np.maximum.reduceat(self.matures_at, self._starts)
        return latest

    @cached_property
    def _starts(self) -> Codes:
        return np.flatnonzero(np.r_[True, self.ts[1:] != self.ts[:-1]]) if self.ts.size else np.empty(0, np.int64)

    def rows(self, dates: Instants) -> slice | Codes:
        """Which rows lie on `dates`: a slice (no copy) when they follow each other, positions otherwise."""
        at = np.flatnonzero(np.isin(self.dates, dates))
        if at.size == 0:
            return slice(0, 0)
        ends = np.r_[self._starts[1:], self.ts.size]
        if at[-1] - at[0] + 1 == at.size:
            return slice(int(self._starts[at[0]]), int(ends[at[-1]]))
        return np.concatenate([np.arange(self._starts[i], ends[i]) for i in at])


def build(features: pd.DataFrame, labels: pd.DataFrame, target: Target, names: tuple[str, ...]) -> Dataset:
    """Join the features `names` with the labels of `target` on (entity, ts).

    Infinite features become missing; rows without any finite feature are dropped. FrameError when
    a frame breaks its contract, a label is not finite, or more than MAX_LOSS of the labels find no
    usable features; TrainingError when no row remains.
    """
    check_features(features, names)
    wanted = LABELS.check(labels)[(labels["target"] == target.name).to_numpy()]
    feature_rows, label_rows, entity = _join(features, wanted)
    X, usable = _matrix(features, feature_rows, names)
    _refuse_heavy_loss(features, wanted, int(usable.sum()), target)
    label_rows = label_rows[usable]
    value = wanted["value"].to_numpy()[label_rows]
    if not np.isfinite(value).all():
        raise FrameError(
            f"labels of {target.name} with {int((~np.isfinite(value)).sum())} values that are not finite",
            "known outcomes only",
            "Leave rows out until their outcome is known",
        )
    if value.size == 0:
        raise TrainingError(
            f"no row with both features and a label of {target.name}",
            "matching (entity, ts) keys",
            "Give a longer history",
        )
    ts, matures_at = (_instants(wanted[column])[label_rows] for column in ("ts", "matures_at"))
    return Dataset(entity[usable], ts, matures_at, X, value, names)


def _instants(column: pd.Series[Any]) -> Instants:
    return column.to_numpy(dtype="datetime64[us]")


def _join(features: pd.DataFrame, labels: pd.DataFrame) -> tuple[Codes, Codes, npt.NDArray[np.object_]]:
    """Positions in both frames of the keys they share, ordered by (ts, entity), and the entity of each."""
    codes, entities = pd.factorize(pd.concat([features["entity"], labels["entity"]], ignore_index=True), sort=True)
    instants = np.concatenate([_instants(features["ts"]), _instants(labels["ts"])])
    # One integer per key, ascending in (ts, entity), makes the join a merge of sorted arrays.
    key = np.unique(instants, return_inverse=True)[1].astype(np.int64) * max(len(entities), 1) + codes
    split = len(features)
    _, left, right = np.intersect1d(key[:split], key[split:], assume_unique=True, return_indices=True)
    return left, right, np.asarray(entities, dtype=object)[codes[left]]


def _matrix(features: pd.DataFrame, rows: Codes, names: tuple[str, ...]) -> tuple[Matrix, Flags]:
    """The named columns of `rows` that hold a finite value, and which of `rows` those are."""
    X = np.empty((rows.size, len(names)), dtype=np.float32)
    usable = np.zeros(rows.size, dtype=np.bool_)
    for j, name in enumerate(names):
        X[:, j] = finite_or_missing(features[name].to_numpy()[rows])
        usable |= ~np.isnan(X[:, j])
    return (X if usable.all() else X[usable]), usable


def finite_or_missing(column: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The same values with infinities as NaN: XGBoost refuses infinities, and none means anything here."""
    return np.where(np.isfinite(column), column, np.float32(np.nan))


def _refuse_heavy_loss(features: pd.DataFrame, labels: pd.DataFrame, kept: int, target: Target) -> None:
    if features.empty:
        return
    within = int(labels["ts"].between(features["ts"].iloc[0], features["ts"].iloc[-1]).sum())
    if within - kept > MAX_LOSS * within:
        raise FrameError(
            f"{within - kept} of {within} labels of {target.name} without usable features",
            f"at most {MAX_LOSS:.0%} lost",
            "Compute features and labels from the same bars",
        )
