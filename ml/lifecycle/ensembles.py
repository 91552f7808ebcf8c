"""Combiners: from the answers of several members to one, learned from out-of-fold answers alone.

Members are pooled on log-odds (a logarithmic pool, Genest and Zidek 1986). Members that know different things are
surer together than each by itself, so an average of calibrated members is too timid (Ranjan and Gneiting 2010): stack
and meta learn how sharp the pool should be, and for the others a calibrator does.

Every date counts alike. Labels of neighbouring dates overlap, so D dates are worth D / overlap independent ones, each
of which counts as one observation against what is believed beforehand.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from scipy.special import expit, softmax

from ml.errors import FrameError, RegistryError, TrainingError
from ml.estimators.interface import Flags, Vector
from ml.estimators.panel import Codes
from ml.lifecycle.dataset import Instants
from ml.lifecycle.documents import Document
from ml.lifecycle.logistic import Prior, linear_regression, log_odds, logistic_regression
from ml.lifecycle.metrics import date_weights, log_loss_rows
from ml.lifecycle.regimes import learned_preferences, moments, preferences, standardised
from ml.lifecycle.significance import standard_error

PRECISION, LEVEL_DATES = 0.5, 60.0
"""The belief that all members count alike and are right on average (`logistic.Prior`; stack)."""
REGIME_PRECISION = 0.05
"""1 / variance of the log-weights that follow the regime, believed beforehand to be 0 (meta)."""
IMAGINARY_VOTES = 2


@dataclass(frozen=True)
class Members:
    """What the m members of a recipe say about n rows, in order of time, and what came of those.

    p_up, expected: (n, m) finite. regime: (n, r) what weights may depend on; NaN and infinities mean missing.
    value: (n,); the event is value > 0. ts, matures_at: (n,) datetime64[us]. weight: (n,) positive, how rows of one
    date share in its weight; None means alike. Of rows whose outcome is not known value, ts and matures_at may be
    NaN and NaT: they can be combined, not learned from.
    """

    names: tuple[str, ...]
    p_up: Vector
    expected: Vector
    regime: Vector
    value: Vector
    ts: Instants
    matures_at: Instants
    weight: Vector | None = None

    def __post_init__(self) -> None:
        shape = (len(self), len(self.names))
        aligned = {len(self.regime), self.value.size, self.ts.size, self.matures_at.size} == {len(self)}
        if self.p_up.shape != shape or self.expected.shape != shape or not aligned or not self.names:
            raise FrameError(
                f"answers of shape {self.p_up.shape} and {self.expected.shape} for {len(self.names)} members, "
                f"{len(self.regime)} regimes, {self.value.size} outcomes",
                "one row each, a column per member",
                "Give every member's answer on the same rows",
            )
        if not (np.isfinite(self.expected).all() and ((self.p_up >= 0) & (self.p_up <= 1)).all()):
            raise FrameError(
                "members' answers that are missing, infinite or no probabilities",
                "a finite answer of every member on every row",
                "Leave the broken member out of the recipe",
            )

    def __len__(self) -> int:
        return len(self.p_up)

    @cached_property
    def up(self) -> Flags:
        """(n,) whether the event happened."""
        return self.value > 0

    @cached_property
    def dates(self) -> Instants:
        """(d,) the distinct ts, ascending."""
        return np.unique(self.ts)

    @cached_property
    def date(self) -> Codes:
        """(n,) the position of each row's ts in `dates`."""
        return np.searchsorted(self.dates, self.ts).astype(np.int64)

    @cached_property
    def date_weight(self) -> Vector:
        """(n,) weights of rows; those of a date sum to one."""
        return date_weights(self.ts, self.weight)

    @cached_property
    def overlap(self) -> int:
        """Over how many of the dates a label reaches, at least 1: a horizon of h periods gives h."""
        matures = np.full(self.dates.size, np.datetime64(0, "us"))
        np.maximum.at(matures, self.date, self.matures_at)
        ahead = np.searchsorted(self.dates, matures, side="right") - 1 - np.arange(self.dates.size)
        return max(1, int(ahead.max(initial=0)))

    @cached_property
    def evidence(self) -> Vector:
        """(n,) `date_weight` / `overlap`: its sum is the number of independent dates that the rows are worth."""
        return self.date_weight / self.overlap

    def per_date(self, rows: Vector) -> Vector:
        """(d,) the weighted mean of (n,) numbers on each date."""
        means = np.bincount(self.date, weights=self.date_weight * rows, minlength=self.dates.size)
        return means.astype(np.float64, copy=False)

    def where(self, keep: Flags) -> Members:
        """The rows that a mask keeps."""
        rows = {name: getattr(self, name)[keep] for name in ("p_up", "expected", "regime", "value", "ts", "matures_at")}
        return replace(self, **rows, weight=None if self.weight is None else self.weight[keep])

    def only(self, names: tuple[str, ...]) -> Members:
        """The same rows of some of the members."""
        columns = [self.names.index(name) for name in names]
        return replace(self, names=names, p_up=self.p_up[:, columns], expected=self.expected[:, columns])


class Combiner(Document, ABC):
    """Makes one answer of several. names: the members it was fitted with, in their order."""

    names: tuple[str, ...]

    @classmethod
    @abstractmethod
    def fit(cls, members: Members) -> Self:
        """Learn from rows with known outcomes."""

    @abstractmethod
    def weights(self, members: Members) -> Vector:
        """(n, m) each member's share in the row's answer; shares are >= 0 and sum to one."""

    def combine(self, members: Members) -> tuple[Vector, Vector]:
        """p_up (n,) in (0, 1) and expected value (n,): members pooled by their weights."""
        return self._pooled(members, 1.0)

    def check(self, members: Members) -> Members:
        """The same members; FrameError when they are not those of the fit."""
        if members.names != self.names:
            raise FrameError(
                f"answers of {list(members.names)}", f"those of {list(self.names)}", "Give the recipe's own members"
            )
        return members

    def _pooled(self, members: Members, sharpness: float) -> tuple[Vector, Vector]:
        weights = self.weights(members)
        p_up: Vector = expit(sharpness * (weights * log_odds(members.p_up)).sum(axis=1))
        return p_up, (weights * members.expected).sum(axis=1)

    def _fixed(self, members: Members, weights: tuple[float, ...]) -> Vector:
        return np.broadcast_to(np.array(weights), (len(self.check(members)), len(weights)))


@dataclass(frozen=True)
class Single(Combiner):
    """The one member whose log-loss, averaged over dates, is lowest."""

    kind: ClassVar[str] = "single"
    names: tuple[str, ...]
    best: str

    @classmethod
    def fit(cls, members: Members) -> Self:
        return cls(members.names, members.names[int(np.argmin(_losses(members).mean(axis=0)))])

    def weights(self, members: Members) -> Vector:
        return self._fixed(members, tuple(float(name == self.best) for name in self.names))


@dataclass(frozen=True)
class Vote(Combiner):
    """Members vote: for a rise when their p_up is above the base rate, for a fall when below, half when equal.

    base_rate: the share of rises in the rows of the fit. p_up = (votes for a rise + 2 base_rate) / (m + 2): the voters'
    share, shrunk by two imaginary votes that are split like the base rate (Laplace's rule when that is one half).
    How much a majority is worth it does not know: calibrate it. The expected value is the members' mean.
    """

    kind: ClassVar[str] = "vote"
    names: tuple[str, ...]
    base_rate: float

    @classmethod
    def fit(cls, members: Members) -> Self:
        return cls(members.names, float(members.per_date(members.up.astype(np.float64)).mean()))

    def weights(self, members: Members) -> Vector:
        return self._fixed(members, _alike(self.names))

    def combine(self, members: Members) -> tuple[Vector, Vector]:
        votes = ((np.sign(self.check(members).p_up - self.base_rate) + 1) / 2).sum(axis=1)
        # A base rate of 0 or 1 would make certainties of unanimous votes.
        prior = np.clip(self.base_rate, 0.01, 0.99) * IMAGINARY_VOTES
        return (votes + prior) / (len(self.names) + IMAGINARY_VOTES), members.expected.mean(axis=1)


@dataclass(frozen=True)
class Weighted(Combiner):
    """Fixed weights by score: the softmax of minus the mean log-loss over dates, in units of its standard error.

    The temperature is the standard error (`significance.standard_error`, root mean square over members) of a member's
    difference from the members' mean: a member that is one standard error worse than another counts 1/e as much, one
    that is four worse 2 %. So what the third digit of a log-loss means depends on what it is known to. Softmax weights
    are the exponentially weighted forecaster of Vovk (1990); counting in standard errors is ours.
    """

    kind: ClassVar[str] = "weighted"
    names: tuple[str, ...]
    shares: tuple[float, ...]

    @classmethod
    def fit(cls, members: Members) -> Self:
        losses = _losses(members)
        apart = losses - losses.mean(axis=1, keepdims=True)
        errors = np.array([standard_error(d, members.overlap) for d in apart.T])
        temperature = float(np.sqrt(np.mean(errors**2)))
        if temperature == 0:
            return cls(members.names, _alike(members.names))
        return cls(members.names, tuple(softmax(-apart.mean(axis=0) / temperature).tolist()))

    def weights(self, members: Members) -> Vector:
        return self._fixed(members, self.shares)


@dataclass(frozen=True)
class Stack(Combiner):
    """Logistic regression on the members' log-odds, and linear regression on their expected values.

    Slopes are never negative and shrunk towards 1/m each, which is the members' mean. They need not sum to one: members
    that are timid together are sharpened. The published shares are those of the log-odds.
    """

    kind: ClassVar[str] = "stack"
    names: tuple[str, ...]
    intercept: float
    slopes: tuple[float, ...]
    value_intercept: float
    value_slopes: tuple[float, ...]

    @classmethod
    def fit(cls, members: Members) -> Self:
        alike = Prior(np.array(_alike(members.names)), PRECISION, LEVEL_DATES)
        event = logistic_regression(log_odds(members.p_up), members.up, members.evidence, alike).tolist()
        value = linear_regression(members.expected, members.value, members.evidence, alike).tolist()
        return cls(members.names, event[0], tuple(event[1:]), value[0], tuple(value[1:]))

    def weights(self, members: Members) -> Vector:
        total = sum(self.slopes)
        shares = tuple(slope / total for slope in self.slopes) if total > 0 else _alike(self.names)
        return self._fixed(members, shares)

    def combine(self, members: Members) -> tuple[Vector, Vector]:
        # Not a matrix product: its last bits depend on how many rows stand beside a row.
        odds = (log_odds(self.check(members).p_up) * np.array(self.slopes)).sum(axis=1)
        p_up: Vector = expit(self.intercept + odds)
        return p_up, self.value_intercept + (members.expected * np.array(self.value_slopes)).sum(axis=1)


@dataclass(frozen=True)
class Meta(Combiner):
    """Weights that follow the regime: per row, the softmax of a linear function of the regime features.

    Features are standardised on the rows of the fit, cut at +-3 deviations, and 0 (the mean) when missing.
    The pooled log-odds are sharpened, or blunted, by one factor for all. Both minimise the log-loss, dates counting
    alike, and are shrunk towards members who count alike and are right as they stand: a mixture of experts (Jacobs et
    al. 1991) whose experts are given.

    centre, spread: (r,). coefficients: (1 + r, m), the first row for every regime.
    """

    kind: ClassVar[str] = "meta"
    names: tuple[str, ...]
    centre: tuple[float, ...]
    spread: tuple[float, ...]
    coefficients: tuple[tuple[float, ...], ...]
    sharpness: float

    @classmethod
    def fit(cls, members: Members) -> Self:
        centre, spread = moments(members.regime, members.date_weight)
        found, sharpness = learned_preferences(
            standardised(members.regime, centre, spread),
            log_odds(members.p_up),
            members.up,
            members.evidence,
            precision=REGIME_PRECISION,
            sharpness_precision=PRECISION,
        )
        rows = tuple(tuple(row) for row in found.tolist())
        return cls(members.names, tuple(centre.tolist()), tuple(spread.tolist()), rows, sharpness)

    def weights(self, members: Members) -> Vector:
        regime = self.check(members).regime
        if regime.shape[1] != len(self.centre):
            raise FrameError(
                f"{regime.shape[1]} regime features", f"{len(self.centre)}, as in the fit", "Give the recipe's own"
            )
        standard = standardised(regime, np.array(self.centre), np.array(self.spread))
        shares: Vector = softmax(preferences(standard, np.array(self.coefficients)), axis=1)
        return shares

    def combine(self, members: Members) -> tuple[Vector, Vector]:
        return self._pooled(members, self.sharpness)


COMBINERS: dict[str, type[Combiner]] = {each.kind: each for each in (Single, Vote, Weighted, Stack, Meta)}
"""By name, the simplest first."""


def fit(kind: str, members: Members) -> Combiner:
    """A combiner of a kind, fitted. TrainingError: an unknown kind, no rows, or rows without outcomes."""
    if kind not in COMBINERS:
        raise TrainingError(f"a combiner {kind!r}", f"one of {list(COMBINERS)}", "Correct the recipe")
    if len(members) == 0 or not np.isfinite(members.value).all():
        raise TrainingError(
            f"{len(members)} rows, {int((~np.isfinite(members.value)).sum())} of them without outcome",
            "rows with outcomes to learn from",
            "Give a longer history",
        )
    return COMBINERS[kind].fit(members)


def from_document(document: Any) -> Combiner:
    """What a combiner's `to_document` wrote; RegistryError when it is anything else."""
    kind = document.get("kind") if isinstance(document, dict) else None
    if kind not in COMBINERS:
        raise RegistryError(f"a combiner of kind {kind!r}", f"one of {list(COMBINERS)}", "Retrain the model")
    return COMBINERS[kind].from_document(document)


def _alike(names: tuple[str, ...]) -> tuple[float, ...]:
    return (1 / len(names),) * len(names)


def _losses(members: Members) -> Vector:
    """(d, m) mean log-loss of each member on each date."""
    return np.column_stack([members.per_date(log_loss_rows(members.up, p_up)) for p_up in members.p_up.T])
