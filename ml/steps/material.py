"""What training and comparing both start from: one night's rows of one target, split once and for all.

Of a market that memory does not hold, whole entities are drawn: their histories stay whole, so that nets see the rows
before a row, and every date keeps some of them.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from ml.domain import Target
from ml.io.store import Store
from ml.lifecycle.dataset import Dataset, label, unlabelled
from ml.lifecycle.splits import Nested, SplitPlan, nested
from ml.settings import Settings
from ml.steps import keep, months
from ml.steps.domains import Parts
from ml.steps.place import place

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Material:
    """A target's rows with their folds. The same snapshot always gives the same material."""

    dataset: Dataset
    folds: Nested


@dataclass(frozen=True)
class Source:
    """Where the material of a snapshot comes from. share: of the entities, those that are drawn."""

    store: Store
    parts: Parts
    snapshot: str
    share: float

    @classmethod
    def of(cls, config: Settings, parts: Parts, snapshot: str) -> Source:
        """That of the settings: their store, and as many entities as have about `panel_rows` rows."""
        store = Store(config.store_root)
        there = months.rows(store, _features(parts), snapshot)
        return cls(store, parts, snapshot, min(1.0, config.panel_rows / max(there, 1)))

    def rows(self) -> Dataset:
        """The feature rows, before any outcome: read once, they serve every target."""
        only = partial(_drawn, share=self.share)
        features = months.read(self.store, _features(self.parts), self.snapshot, only=only)
        if self.share < 1:
            log.info(
                "%d entities were drawn, a share of %.3f: their %d rows are what is learned from and judged on",
                features["entity"].nunique(), self.share, len(features),
            )  # fmt: skip
        return unlabelled(features, self.parts.feature_names)

    def labelled(self, features: Dataset, target: Target) -> Material:
        """The feature rows with a target's outcomes and folds; TrainingError when they cannot carry the folds."""
        known = _drawn(self.store.get(keep.labels(target, self.snapshot)), self.share)
        dataset = label(features, known, target)
        return Material(dataset, nested(dataset.dates, dataset.date_maturities, SplitPlan(embargo=target.horizon)))

    def gather(self, target: Target) -> Material:
        """Both for one target."""
        return self.labelled(self.rows(), target)


def _features(parts: Parts) -> str:
    return keep.features(parts.domain.name, parts.feature_set_digest)


def _drawn(frame: pd.DataFrame, share: float) -> pd.DataFrame:
    """The rows of a share of the entities.

    An entity's place is a matter of its name alone: it is drawn on every date or on none, and in another night as well
    unless the share moves past its place.
    """
    if share >= 1:
        return frame
    codes, names = pd.factorize(frame["entity"])
    drawn = np.array([place(name) < share for name in names], dtype=np.bool_)
    return frame[drawn[codes]].reset_index(drop=True)
