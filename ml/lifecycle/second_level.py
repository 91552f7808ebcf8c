"""From members' answers to one: a combiner and a calibrator, both learned from out-of-fold answers alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ml.estimators.panel import Vector
from ml.lifecycle import calibration, ensembles
from ml.lifecycle.calibration import Calibrator
from ml.lifecycle.ensembles import Combiner, Members
from ml.lifecycle.recipe import Recipe


@dataclass(frozen=True)
class SecondLevel:
    """How the answers of a recipe's members become one."""

    combiner: Combiner
    calibrator: Calibrator

    @classmethod
    def fitted(cls, recipe: Recipe, members: Members) -> SecondLevel:
        """Learned from answers with their outcomes; every date counts alike."""
        combiner = ensembles.fit(recipe.combiner, members)
        p_up, _ = combiner.combine(members)
        calibrator = calibration.fit(recipe.calibrator, p_up, members.up, members.evidence)
        return cls(combiner, calibrator)

    def answer(self, members: Members) -> tuple[Vector, Vector]:
        """p_up (n,) and expected value (n,)."""
        p_up, expected = self.combiner.combine(members)
        return self.calibrator.calibrate(p_up), expected

    def to_document(self) -> dict[str, Any]:
        """As JSON; `from_document` reads it."""
        return {"combiner": self.combiner.to_document(), "calibrator": self.calibrator.to_document()}

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> SecondLevel:
        """What `to_document` wrote; RegistryError when it is anything else."""
        return cls(ensembles.from_document(document["combiner"]), calibration.from_document(document["calibrator"]))
