"""What an expression becomes: a tree of nodes in which equal parts are equal, and know what they need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["series", "flag", "number"]
"""One real number per bar; 1, 0 or NaN per bar; one number for all bars."""


@dataclass(frozen=True, eq=False)
class Node:
    """An operator with its arguments, an input (`operator` is its name), or a number.

    text: the canonical form; nodes with the same text are the same thing
    lookback: bars needed for the first value; 0 for a number, 1 for an input
    stage: cross-sectional operators on the longest way down; everything of one stage waits for the one before
    size: nodes in the tree, with repetitions
    """

    operator: str
    args: tuple[Node, ...]
    params: tuple[float, ...]
    kind: Kind
    text: str
    lookback: int
    stage: int = 0
    size: int = 1
    depth: int = 1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Node) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    @property
    def value(self) -> float:
        """What a number is."""
        return self.params[0]

    def walk(self) -> Iterator[Node]:
        """Every distinct node, arguments before what uses them."""
        return iter(distinct((self,)))

    def visit(self, found: dict[Node, None]) -> None:
        """Add to `found` what is not in it yet."""
        if self not in found:
            for arg in self.args:
                arg.visit(found)
            found[self] = None


def distinct(roots: Iterable[Node]) -> dict[Node, None]:
    """Every distinct node of some trees, arguments before what uses them."""
    found: dict[Node, None] = {}
    for root in roots:
        root.visit(found)
    return found


def number(value: float) -> Node:
    """A number as a node."""
    return Node(NUMBER, (), (value,), "number", f"{value:.17g}", 0)


def series(name: str) -> Node:
    """An input as a node."""
    return Node(name, (), (), "series", name, 1)


NUMBER = "number"
