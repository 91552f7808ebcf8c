"""A recipe: everything that decides what a fit gives, apart from the rows it is fitted on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from ml.errors import RegistryError
from ml.estimators.interface import Params


@dataclass(frozen=True)
class Recipe:
    """Estimator, hyper-parameters, features and seed.

    feature_set: the digest of the features' definitions, so that a changed formula under an old
    name makes a new recipe. scale_feature: a feature proportional to the value's dispersion, by
    which intervals widen and narrow; None means equally wide intervals.
    """

    estimator: str
    params: Params
    feature_names: tuple[str, ...]
    feature_set: str
    seed: int
    scale_feature: str | None = None

    def __post_init__(self) -> None:
        if self.scale_feature is not None and self.scale_feature not in self.feature_names:
            raise RegistryError(
                f"a recipe scaled by {self.scale_feature!r}", "one of its own features", "Name a feature of the recipe"
            )

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
            return cls(**{**fields, "feature_names": tuple(fields["feature_names"])})
        except (ValueError, TypeError, KeyError) as error:
            raise RegistryError(
                f"a recipe that cannot be read ({error})", "the JSON of a recipe", "Retrain the model"
            ) from error
