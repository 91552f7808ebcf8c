"""The year's budget of error: when the gate looks at candidates, and what each of them may spend of it.

A look is taken of the night's candidate and of those of earlier looks that are not decided yet. By the union bound the
chance of any false replacement in a year is at most the sum of what its looks spend (alpha spending).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

SHARES = (0.7, 0.1, 0.1, 0.1)
"""Of what one look may spend, by how many times a candidate has been looked at. At any look there is at most one
candidate in each of these places, so that all together spend no more than the look has, and the shares do not depend on
what was seen. Most goes to the first: it brings two years of evidence, and each later one a quarter."""
PRUDENCE = 0.8
"""The part of a year's budget that is spent: far out in its tail, at a level of one in a hundred, the test rejects up
to a third too often (docs/gate.md), and the bound is to hold all the same."""
YEAR = timedelta(days=365.25)
GRACE = timedelta(days=1)
"""A night may come that much before a look is due, so that a look every night is one on every session."""


@dataclass(frozen=True)
class Budget:
    """What the settings allow: the chance of any false replacement in a year, and the looks that share it."""

    alpha_per_year: float = 0.05
    looks_per_year: int = 4

    @property
    def spendable(self) -> float:
        """What a year may spend."""
        return PRUDENCE * self.alpha_per_year

    @property
    def per_look(self) -> float:
        """What all candidates of one look may spend together."""
        return self.spendable / self.looks_per_year


@dataclass(frozen=True)
class Look:
    """One look at one candidate: its number, from 1 on, and the level that it has."""

    number: int
    alpha: float


@dataclass(frozen=True)
class Spent:
    """The nights of the year before a night on which the gate looked, ascending, and what was spent on them."""

    nights: Sequence[datetime]
    alpha: float


def look(budget: Budget, number: int) -> Look:
    """The look of that number at one candidate."""
    return Look(number, budget.per_look * SHARES[number - 1])


def why_not(budget: Budget, spent: Spent, as_of: datetime, *, at_once: bool) -> str | None:
    """Why no look is taken tonight, in words; None when one is due.

    at_once: somebody asks for a look now: it need not be due, but the year must still have something left. A night
    before that of the last look gets none in any case: without the candidates of later looks, which would then share a
    place in SHARES with its own.
    """
    if spent.alpha + budget.per_look > budget.spendable * (1 + 1e-9):
        return f"alpha budget spent: {spent.alpha:.3g} of {budget.spendable:.3g} in the past year"
    if not spent.nights:
        return None
    if as_of < spent.nights[-1]:
        return f"no look at a past night: the last was on {spent.nights[-1]:%Y-%m-%d}"
    due = spent.nights[-1] + YEAR / budget.looks_per_year - GRACE
    if at_once or as_of >= due:
        return None
    return (
        f"no look tonight: the last was on {spent.nights[-1]:%Y-%m-%d}, and the year has "
        f"{budget.looks_per_year}; the next is due on {due:%Y-%m-%d}"
    )
