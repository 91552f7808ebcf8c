"""What a model says of a night, and which models have a say besides the champion."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from ml import frames
from ml.domain import Night, Target
from ml.errors import FrameError
from ml.io.registry import Registry
from ml.io.store import Store
from ml.io.warehouse import Warehouse, models
from ml.io.warehouse.connection import Row
from ml.io.warehouse.shadows import Role
from ml.lifecycle.prediction import finish
from ml.settings import Settings
from ml.steps import keep, months
from ml.steps.domains import Parts

log = logging.getLogger(__name__)

RETURNS = {
    "expected": "expected_return",
    **{name: f"return_{name}" for name in ("lower", "upper", "lower_95", "upper_95", "stop")},
}
"""What a forecast's values are called where they are returns."""


@dataclass(frozen=True)
class Voice:
    """A version that answers for a target, and whether its skill was proven when the gate last judged it."""

    target: Target
    version: int
    has_skill: bool


class _Recent:
    """The night's features and those of the sessions before it, of entities whose history is long enough to know
    their dispersion tonight."""

    def __init__(self, store: Store, parts: Parts, night: Night, snapshot: str) -> None:
        self._store, self._snapshot = store, snapshot
        self._folder = keep.features(night.domain, parts.feature_set_digest)
        tonight = store.get(keep.tonight(night.domain, parts.feature_set_digest, snapshot))
        usable = tonight[parts.scale_feature].notna()
        if not usable.all():
            log.warning("too short a history to predict: %s", ", ".join(tonight.loc[~usable, "entity"]))
        self.entities: list[str] = tonight.loc[usable, "entity"].tolist()
        self._read: dict[int, pd.DataFrame] = {}

    def __call__(self, sessions: int) -> pd.DataFrame:
        """The features of so many sessions, tonight's included."""
        if sessions not in self._read:
            rows = months.last_sessions(self._store, self._folder, self._snapshot, sessions)
            self._read[sessions] = rows[rows["entity"].isin(self.entities)].reset_index(drop=True)
        return self._read[sessions]


class Forecasts:
    """Lets versions speak about one night."""

    def __init__(self, config: Settings, parts: Parts, night: Night, snapshot: str) -> None:
        store = Store(config.store_root)
        self._registry = Registry(config.require_mlflow_uri())
        self._parts, self._night = parts, night
        self._recent = _Recent(store, parts, night, snapshot)
        self._price = store.get(keep.reference(night.domain, snapshot)).set_index("entity")["price"]

    @property
    def entities(self) -> list[str]:
        """Of whom something can be said tonight."""
        return self._recent.entities

    def predictions(self, voices: Sequence[Voice]) -> pd.DataFrame:
        """All that versions say of the night: PREDICTIONS, ready to be audited."""
        finished = [self._finished(voice) for voice in voices]
        priced = self._parts.finish(pd.concat(finished, ignore_index=True), self._price)
        ordered = priced.sort_values(list(frames.PREDICTIONS.key), ignore_index=True)
        return frames.PREDICTIONS.check(frames.PREDICTIONS.cast(ordered))

    def bare(self, target: Target, version: int) -> pd.DataFrame:
        """What a score is made of: `entity`, `p_up`, `expected_return`. FrameError when a number is missing."""
        said = finish(self._registry.forecast(target.model_name, version, self._recent)).rename(columns=RETURNS)
        if not np.isfinite(said["expected_return"]).all():
            raise FrameError("a forecast with an expected value missing", "finite numbers", "Check the model")
        return said[["entity", "p_up", "expected_return"]]

    def _finished(self, voice: Voice) -> pd.DataFrame:
        forecast = self._registry.forecast(voice.target.model_name, voice.version, self._recent)
        reasons = forecast["reasons"].map(partial(_worded, self._parts))
        return (
            finish(forecast)
            .assign(reasons=reasons.astype("str"))
            .rename(columns=RETURNS)
            .assign(
                target=voice.target.name,
                matures_at=self._parts.matures_at(self._night.as_of, voice.target),
                model_version=voice.version,
                has_skill=voice.has_skill,
            )
        )


def _worded(parts: Parts, reasons: str) -> str:
    """The same reasons, each with a sentence that a person understands."""
    return json.dumps([{**reason, "words": parts.words(**reason)} for reason in json.loads(reasons)])


def in_shadow(
    warehouse: Warehouse, parts: Parts, target: Target, champion: Row, night: Night
) -> Iterator[tuple[int, Role]]:
    """Versions that may answer the night beside a champion: who is looked at again, the newest last, and who served
    before. None that needs other features or learned another label, nor one that has seen a later night."""
    looked_at = [int(row["version"]) for row in models.challengers(warehouse, target, champion, night.as_of)]
    served = [] if champion["from_version"] is None else [int(champion["from_version"])]
    roles: dict[int, Role] = {**dict.fromkeys(served, "previous"), **dict.fromkeys(looked_at, "challenger")}
    for version, role in sorted(roles.items()):
        if version != champion["to_version"] and _may_answer(warehouse, parts, target, version, night):
            yield version, role


def _may_answer(warehouse: Warehouse, parts: Parts, target: Target, version: int, night: Night) -> bool:
    found = models.version(warehouse, target, version)
    same = found["feature_set_digest"] == parts.feature_set_digest and found["recipe"].get("label") == target.label
    return bool(same and found["as_of"] <= night.as_of)
