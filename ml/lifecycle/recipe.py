"""A recipe: everything that decides what a fit gives, apart from the rows it is fitted on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from ml.domain import Label
from ml.errors import RegistryError
from ml.estimators.interface import Params


@dataclass(frozen=True)
class Member:
    """One estimator of a recipe with its hyper-parameters."""

    estimator: str
    params: Params


@dataclass(frozen=True)
class Recipe:
    """Members and how one answer is made of theirs, features and seed.

    combiner, calibrator: by the names in `ensembles` and `calibration`; both learn from the members'
    out-of-fold answers. feature_set: the digest of the features' definitions, so that a changed formula
    under an old name makes a new recipe. scale_feature: a feature proportional to the value's dispersion,
    by which intervals widen and narrow; None means equally wide intervals. label: what members learn; `scaled`
    is the value in units of that dispersion. regime_features: what weights may depend on. most_rows: a fit
    draws at most so many rows; None for all.
    """

    members: tuple[Member, ...]
    feature_names: tuple[str, ...]
    feature_set: str
    seed: int
    combiner: str = "single"
    calibrator: str = "none"
    scale_feature: str | None = None
    label: Label = "return"
    regime_features: tuple[str, ...] = ()
    most_rows: int | None = None

    def __post_init__(self) -> None:
        named = {*self.regime_features, *([self.scale_feature] if self.scale_feature else [])}
        strange = sorted(named - set(self.feature_names))
        if strange:
            raise RegistryError(f"a recipe that looks at {strange}", "its own features", "Name features of the recipe")
        if not self.members or len({member.estimator for member in self.members}) < len(self.members):
            raise RegistryError(
                f"a recipe of {[member.estimator for member in self.members]}",
                "at least one member, each estimator once",
                "Correct the recipe",
            )

    @property
    def estimators(self) -> tuple[str, ...]:
        """The members' estimators, in order."""
        return tuple(member.estimator for member in self.members)

    @property
    def scaled(self) -> bool:
        """Whether members learn the value in units of the dispersion."""
        return self.label == "scaled"

    @property
    def name(self) -> str:
        """What a person calls it: `xgboost`, or `stack of xgboost, lstm`."""
        several = ", ".join(self.estimators)
        return several if len(self.members) == 1 else f"{self.combiner} of {several}"

    @property
    def digest(self) -> str:
        """sha256 of the canonical JSON: equal digests mean the same recipe."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, no spaces, every float with all its digits."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """The recipe that `to_json` wrote; RegistryError when it is anything else."""
        try:
            fields: dict[str, Any] = json.loads(text)
            members = tuple(Member(**member) for member in fields["members"])
            lists = {name: tuple(fields[name]) for name in ("feature_names", "regime_features")}
            return cls(**{**fields, **lists, "members": members})
        except (ValueError, TypeError, KeyError) as error:
            raise RegistryError(
                f"a recipe that cannot be read ({error})", "the JSON of a recipe", "Retrain the model"
            ) from error
