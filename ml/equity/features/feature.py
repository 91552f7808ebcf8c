"""A feature and a set of features: what is declared, and what follows from it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest

from ml.equity.features.inputs import INPUTS, SECTOR
from ml.equity.features.kernels.recursions import BLOCK
from ml.equity.features.language import parse
from ml.equity.features.nodes import Node
from ml.equity.features.operators import OPERATORS

REVISION = 1
"""Raised when the engine computes other bits from an unchanged formula."""


@dataclass(frozen=True)
class Feature:
    """One column, computed by a formula of the feature language.

    unit: what one unit of the value means
    valid_range: least and greatest possible value, None where there is no bound
    nan_when: where the value is NaN although its lookback is full ("" for nowhere)
    source: who described it
    """

    name: str
    expression: str
    category: str
    description: str
    unit: str
    valid_range: tuple[float | None, float | None] = (None, None)
    nan_when: str = ""
    source: str = ""

    @cached_property
    def node(self) -> Node:
        """The formula, read."""
        return parse(self.expression)

    @property
    def lookback(self) -> int:
        """Bars needed for the first value; all before it are NaN."""
        return self.node.lookback

    @property
    def cross_sectional(self) -> bool:
        """Whether it sees other symbols."""
        return self.node.stage > 0

    @cached_property
    def reach(self) -> tuple[int, ...]:
        """How far back its values depend on bars, one number for each time that it looks at other symbols and one more.

        The first counts the symbol's bars from a value back to the oldest bar, or to the oldest value across symbols,
        that it may depend on; the second those from there on, of every symbol with a bar on such a date; and so on.
        """
        return _reach(self.node)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The inputs that it starts from, SECTOR too where it asks who is of the same."""
        used = {node.operator for node in self.node.walk()}
        by_sector = {SECTOR for name in used if name in OPERATORS and OPERATORS[name].by_sector}
        return tuple(sorted(used & set(INPUTS) | by_sector))

    @property
    def nan_policy(self) -> str:
        """When its value is NaN, in words."""
        always = f"until {self.lookback} bars are there and while a NaN is in its window"
        return f"{always}; when {self.nan_when}" if self.nan_when else always

    @property
    def definition(self) -> dict[str, object]:
        """All that decides its values, as plain JSON: not its words, which may be bettered at any time."""
        return {"name": self.name, "formula": self.node.text}


@dataclass(frozen=True)
class FeatureSet:
    """A named, versioned choice of features; the order is that of the columns."""

    name: str
    version: int
    features: tuple[Feature, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The column names in order."""
        return tuple(feature.name for feature in self.features)

    @property
    def warm_up(self) -> int:
        """Bars of a tail, the present one included, from which on it gives the bits of the whole history."""
        return 1 + max((sum(feature.reach) for feature in self.features), default=0)

    @cached_property
    def digest(self) -> str:
        """sha256 (hex) over the canonical JSON of name, version, engine and all definitions."""
        content = {
            "name": self.name,
            "version": self.version,
            "engine": REVISION,
            "features": [feature.definition for feature in self.features],
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    def rows(self) -> list[dict[str, object]]:
        """The features as rows of market.feature_definitions, as plain JSON, in the order of the columns."""
        of_set = {"feature_set": self.name, "feature_set_version": self.version, "feature_set_digest": self.digest}
        return [
            {
                **of_set,
                "position": position,
                "name": feature.name,
                "category": feature.category,
                "description": feature.description,
                "formula": feature.expression,
                "inputs": feature.inputs,
                "lookback": feature.lookback,
                "unit": feature.unit,
                "valid_low": feature.valid_range[0],
                "valid_high": feature.valid_range[1],
                "nan_policy": feature.nan_policy,
                "is_cross_sectional": feature.cross_sectional,
                "source": feature.source,
            }
            for position, feature in enumerate(self.features, start=1)
        ]


_RECURSIVE = ("ema", "wilder", "adapt")


def _reach(node: Node, back: int = 0, anchor: int | None = None) -> tuple[int, ...]:
    """See Feature.reach.

    A recursion begins at the start of the block before, at most 2 x BLOCK - 1 bars back; one within it is
    asked for its value there, at the start of a block, and begins one block earlier.
    anchor: bars back to the last such start, None outside of recursions; back: bars beyond it
    """
    if not node.args:
        return (back + (anchor or 0),)
    if OPERATORS[node.operator].across:
        return (back + (anchor or 0), *_longest(_reach(arg) for arg in node.args))
    if node.operator in _RECURSIVE:
        anchor = back + 2 * BLOCK - 1 if anchor is None else anchor + (math.ceil(back / BLOCK) + 1) * BLOCK
        back = 0
    else:
        back += node.lookback - max(arg.lookback for arg in node.args)
    return _longest(_reach(arg, back, anchor) for arg in node.args)


def _longest(reaches: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
    return tuple(max(each) for each in zip_longest(*reaches, fillvalue=0))


def family(
    stem: str, expression: str, params: Sequence[tuple[int, ...] | int], category: str, description: str, unit: str,
    valid_range: tuple[float | None, float | None] = (None, None), nan_when: str = "", source: str = "",
) -> tuple[Feature, ...]:  # fmt: skip
    """One feature for each of `params`, which fill {0}, {1}... in the texts; name = stem and its parameters."""
    made = []
    for each in params:
        values = each if isinstance(each, tuple) else (each,)
        made.append(
            Feature(
                "_".join([stem, *map(str, values)]), expression.format(*values), category,
                description.format(*values), unit, valid_range, nan_when, source,
            )
        )  # fmt: skip
    return tuple(made)
