"""A small panel whose outcomes follow one feature, for the tests of estimators."""

from __future__ import annotations

import numpy as np

from ml.estimators.panel import Codes, Matrix, Panel, Sample, Vector

PERIODS, ENTITIES = 100, 30
PLANTED, HOLES, CONSTANT, EMPTY = 0, 1, 4, 5


def panel_of(X: Matrix, entities: int = ENTITIES) -> Panel:
    """Rows by period and entity, in that order."""
    rows = np.arange(len(X))
    return Panel(X, rows % entities, rows // entities)


def features(seed: int = 1) -> Matrix:
    """(3000, 6) normal; one with holes, one that never changes, one that is always missing."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((PERIODS * ENTITIES, 6)).astype(np.float32)
    X[rng.random(len(X)) < 0.1, HOLES] = np.nan
    X[:, CONSTANT] = 7
    X[:, EMPTY] = np.nan
    return X


def planted(seed: int = 1) -> Sample:
    """E[value | row] = 0.02 x feature PLANTED, with noise of 0.02; all rows of the same weight."""
    X = features(seed)
    value = 0.02 * X[:, PLANTED].astype(np.float64) + 0.02 * np.random.default_rng(seed + 1).standard_normal(len(X))
    return Sample(panel_of(X), np.arange(len(X)), value, np.ones(len(X)))


def noise(seed: int = 1) -> Sample:
    """The same rows, with outcomes that follow nothing."""
    sample = planted(seed)
    return with_value(sample, np.random.default_rng(seed + 2).standard_normal(len(sample)))


def with_value(sample: Sample, value: Vector) -> Sample:
    """The same rows with other outcomes."""
    return Sample(sample.panel, sample.at, value, sample.weight)


def part(sample: Sample, begin: int, end: int) -> Sample:
    """Some rows of a sample, those of whole periods if both bounds are multiples of ENTITIES."""
    rows: Codes = np.arange(begin, end)
    return Sample(sample.panel, sample.at[rows], sample.value[rows], sample.weight[rows])
