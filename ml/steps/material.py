"""What training and comparing both start from: one night's rows of one target, split once and for all."""

from __future__ import annotations

from dataclasses import dataclass

from ml.domain import Target
from ml.io.store import Store
from ml.lifecycle.dataset import Dataset, label, unlabelled
from ml.lifecycle.splits import Nested, SplitPlan, nested
from ml.steps import keep, months
from ml.steps.domains import Parts


@dataclass(frozen=True)
class Material:
    """A target's rows with their folds. The same snapshot always gives the same material."""

    dataset: Dataset
    folds: Nested


def rows(store: Store, parts: Parts, snapshot: str) -> Dataset:
    """The feature rows of a snapshot, before any outcome: read once, they serve every target."""
    features = months.read(store, keep.features(parts.domain.name, parts.feature_set_digest), snapshot)
    return unlabelled(features, parts.feature_names)


def labelled(store: Store, features: Dataset, target: Target, snapshot: str) -> Material:
    """A snapshot's feature rows with a target's outcomes and folds; TrainingError when they cannot carry the folds."""
    dataset = label(features, store.get(keep.labels(target, snapshot)), target)
    return Material(dataset, nested(dataset.dates, dataset.date_maturities, SplitPlan(embargo=target.horizon)))


def gather(store: Store, parts: Parts, target: Target, snapshot: str) -> Material:
    """Both for one target."""
    return labelled(store, rows(store, parts, snapshot), target, snapshot)
