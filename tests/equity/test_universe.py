from __future__ import annotations

from statistics import median_low

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.equity.universe import TRAILING, Rules, is_liquid, is_member
from ml.errors import FrameError
from ml.frames import BARS, MEMBERS
from tests.equity.panels import CALENDAR, bars_of, closes, random_bars

# The sessions of the panels: Mon 2011-01-03, Tue 04, Wed 05, Thu 06, Fri 07, Mon 10.


def members(*rows: tuple[str, str | None, str | None]) -> pd.DataFrame:
    return MEMBERS.cast(pd.DataFrame(rows, columns=list(MEMBERS.columns)))


def test_members_are_those_of_the_day() -> None:
    bars = bars_of(A=[1.0] * 6, B=[1.0] * 6, C=[1.0] * 6, D=[1.0] * 6)
    got = is_member(
        bars,
        members(
            ("A", None, "2011-01-05"),
            ("A", "2011-01-07", None),
            ("B", "2011-01-04", "2011-01-10"),
            ("C", None, None),
            ("Z", None, None),
        ),
        CALENDAR,
    )
    assert got.reshape(4, 6).astype(int).tolist() == [
        [1, 1, 0, 0, 1, 1],
        [0, 1, 1, 1, 1, 0],
        [1, 1, 1, 1, 1, 1],
        [0, 0, 0, 0, 0, 0],
    ]
    assert not is_member(bars, MEMBERS.empty(), CALENDAR).any()
    assert len(is_member(bars.iloc[:0], members(("A", None, None)), CALENDAR)) == 0


@pytest.mark.parametrize(
    "rows",
    [
        [("A", "2011-01-05", "2011-01-04")],
        [("A", None, "2011-01-05"), ("A", "2011-01-04", None)],
        [("A", None, None), ("A", "2011-01-04", None)],
        [("A", None, "2011-01-05"), ("A", None, "2011-01-04")],
    ],
)
def test_memberships_that_contradict_each_other_are_refused(rows: list[tuple[str, str | None, str | None]]) -> None:
    with pytest.raises(FrameError, match="the membership of A"):
        is_member(bars_of(A=[1.0]), members(*rows), CALENDAR)


def test_a_cheap_share_is_left_out_on_its_cheap_days_only() -> None:
    bars = bars_of(A=[4.99, 5.0, 6.0, 4.0])
    assert is_liquid(bars, Rules(min_price=5.0), CALENDAR).tolist() == [False, True, True, False]
    assert is_liquid(bars, Rules(), CALENDAR).all()


def test_a_new_symbol_must_trade_enough_on_eleven_sessions_first() -> None:
    bars = bars_of(A=[10.0] * 15)
    got = is_liquid(bars, Rules(min_dollar_volume=10_000.0), CALENDAR)
    assert got.tolist() == [False] * 10 + [True] * 5
    assert not is_liquid(bars, Rules(min_dollar_volume=10_000.01), CALENDAR).any()


PANEL = random_bars(["A", "B"], 70, seed=11)
GAPPY = BARS.cast(PANEL[PANEL.index % 7 != 3])


@settings(deadline=None, max_examples=50)
@given(st.floats(1e6, 1e8), st.floats(30, 50))
def test_liquidity_agrees_with_its_definition(least: float, price: float) -> None:
    got = is_liquid(GAPPY, Rules(price, least), CALENDAR)
    day = np.searchsorted(closes(70), GAPPY["ts"])
    closed, worth = GAPPY["close"].tolist(), (GAPPY["close"] * GAPPY["volume"]).tolist()
    keys = list(zip(GAPPY["symbol"], day.tolist(), strict=True))
    traded = dict(zip(keys, worth, strict=True))
    for (symbol, at), close, shown in zip(keys, closed, got.tolist(), strict=True):
        last = [traded.get((symbol, back), 0.0) for back in range(at - TRAILING + 1, at + 1)]
        assert shown == (close >= price and median_low(last) >= least)


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 69), st.floats(1e6, 1e8))
def test_what_comes_later_changes_no_earlier_word(cut: int, least: float) -> None:
    past = (GAPPY["ts"] <= closes(70)[cut]).to_numpy()
    rules = Rules(35.0, least)
    known = members(("A", None, "2011-02-01"), ("B", "2011-01-20", None))
    then = GAPPY[past].reset_index(drop=True)
    assert np.array_equal(is_liquid(then, rules, CALENDAR), is_liquid(GAPPY, rules, CALENDAR)[past])
    assert np.array_equal(is_member(then, known, CALENDAR), is_member(GAPPY, known, CALENDAR)[past])
