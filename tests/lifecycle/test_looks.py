from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.io.warehouse.models import MOST_LOOKS
from ml.lifecycle.looks import SHARES, Budget, Spent, look, why_not

QUARTERLY = Budget(0.05, 4)
NEW_YEAR = datetime(2024, 1, 2, 21, tzinfo=UTC)


def test_the_shares_of_a_look_are_all_of_it_and_there_is_one_for_each() -> None:
    assert sum(SHARES) == pytest.approx(1.0)
    assert len(SHARES) == MOST_LOOKS
    assert [look(QUARTERLY, number).alpha for number in (1, 2, 4)] == pytest.approx([0.007, 0.001, 0.001])


def test_the_first_look_is_due_and_the_next_a_quarter_later() -> None:
    assert why_not(QUARTERLY, Spent([], 0.0), NEW_YEAR, at_once=False) is None
    spent = Spent([NEW_YEAR], 0.00875)
    why = why_not(QUARTERLY, spent, NEW_YEAR + timedelta(days=89), at_once=False)
    assert why == "no look tonight: the last was on 2024-01-02, and the year has 4; the next is due on 2024-04-02"
    assert why_not(QUARTERLY, spent, NEW_YEAR + timedelta(days=91), at_once=False) is None


def test_an_earlier_night_than_that_of_the_last_look_gets_none() -> None:
    for at_once in (False, True):
        why = why_not(QUARTERLY, Spent([NEW_YEAR], 0.007), NEW_YEAR - timedelta(days=200), at_once=at_once)
        assert why == "no look at a past night: the last was on 2024-01-02"


def test_who_asks_at_once_gets_a_look_while_the_year_has_one() -> None:
    assert why_not(QUARTERLY, Spent([NEW_YEAR], 0.03), NEW_YEAR, at_once=True) is None
    why = why_not(QUARTERLY, Spent([NEW_YEAR], 0.0301), NEW_YEAR, at_once=True)
    assert why == "alpha budget spent: 0.0301 of 0.04 in the past year"


@given(st.integers(1, 252), st.lists(st.tuples(st.integers(1, 5), st.booleans()), max_size=300))
def test_no_year_spends_more_than_its_budget(looks_per_year: int, nights: list[tuple[int, bool]]) -> None:
    """Whoever asks for looks at once, and however many candidates stand at each."""
    budget = Budget(0.05, looks_per_year)
    taken: list[tuple[datetime, float]] = []
    night = NEW_YEAR
    for days, at_once in nights:
        night += timedelta(days=days)
        year = [(then, alpha) for then, alpha in taken if then > night - timedelta(days=365.25)]
        spent = Spent([then for then, _ in year], sum(alpha for _, alpha in year))
        if why_not(budget, spent, night, at_once=at_once) is None:
            taken.append((night, sum(look(budget, number).alpha for number in range(1, MOST_LOOKS + 1))))
            assert spent.alpha + taken[-1][1] <= 0.8 * 0.05 + 1e-9


def test_a_look_every_night_is_one_on_every_session() -> None:
    budget = Budget(0.05, 252)
    assert why_not(budget, Spent([NEW_YEAR], 0.0002), NEW_YEAR + timedelta(days=1), at_once=False) is None
