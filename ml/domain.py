"""Domain, Target and Night: the seam between the generic and the specific.

`lifecycle` sees only these and frames; everything it must know about equities (or churn, or
demand) arrives through them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Label = Literal["return", "scaled", "barrier"]
Score = Literal["log_loss", "brier", "rank_ic"]
SCHEDULED: Literal["scheduled"] = "scheduled"
MANUAL: Literal["manual"] = "manual"
REASONS = (SCHEDULED, "drift_detected", "performance_degradation", MANUAL)
"""Why models are trained again."""


@dataclass(frozen=True)
class Target:
    """One thing to predict: the value of `domain`'s label `horizon` periods after a row's `ts`.

    `name` is what people type ("5d"). A row's realised value is a float (a forward return, say);
    its event is "value > 0".
    label: what models learn. `return`: the value. `scaled`: the value divided by the row's dispersion,
    as known at its `ts`; a forecast is multiplied by it again. `barrier`: the value where it first left
    a band about its start, at the latest after `horizon` periods. A forecast is always a value.
    score: what says which of two models is better, and whether one has skill.
    """

    domain: str
    name: str
    horizon: int
    label: Label = "return"
    score: Score = "log_loss"

    @property
    def model_name(self) -> str:
        """The name of the registered model, e.g. `equity-5d`."""
        return f"{self.domain}-{self.name}"


@dataclass(frozen=True)
class Domain:
    """A family of entities (symbols, customers...) observed at common instants, with its targets."""

    name: str
    targets: tuple[Target, ...]

    def target(self, name: str) -> Target:
        """The target called `name`; KeyError with the known names otherwise."""
        for target in self.targets:
            if target.name == name:
                return target
        raise KeyError(f"{name!r} is not a target of {self.name}: {[t.name for t in self.targets]}")


@dataclass(frozen=True)
class Night:
    """The key of one night: what was the last instant seen, and what was believed then.

    as_of: close of the last bar that may be seen, aware UTC.
    known_at: rows the warehouse learned later than this do not exist for this night, aware UTC.
    """

    domain: str
    as_of: datetime
    known_at: datetime
