"""What training and comparing both start from: one night's rows of one target, split once and for all."""

from __future__ import annotations

from dataclasses import dataclass

from ml.domain import Target
from ml.io.store import Store
from ml.lifecycle.dataset import Dataset, build
from ml.lifecycle.splits import Nested, SplitPlan, nested
from ml.steps import keep, months
from ml.steps.domains import Parts


@dataclass(frozen=True)
class Material:
    """A target's rows with their folds. The same snapshot always gives the same material."""

    dataset: Dataset
    folds: Nested


def gather(store: Store, parts: Parts, target: Target, snapshot: str) -> Material:
    """Read features and labels of a snapshot; TrainingError when they cannot carry the folds."""
    features = months.read(store, keep.features(target.domain, parts.feature_set_digest), snapshot)
    labels = store.get(keep.labels(target, snapshot))
    dataset = build(features, labels, target, parts.feature_names)
    plan = SplitPlan(embargo=target.horizon)
    return Material(dataset, nested(dataset.dates, dataset.date_maturities, plan))
