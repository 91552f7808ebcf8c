from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.equity.adjustment import adjust, unusable_actions
from ml.frames import ACTIONS, ADJUSTED
from tests.equity.panels import CALENDAR, actions_of, bars_of, closes, random_bars

# The sessions of the panels: Mon 2011-01-03, Tue 04, Wed 05, Thu 06, Fri 07, Mon 10.


def adjusted(bars: pd.DataFrame, *actions: tuple[str, str, str, float]) -> pd.DataFrame:
    return ADJUSTED.check(adjust(bars, actions_of(*actions), CALENDAR))


def test_a_split_scales_what_follows_and_leaves_the_past() -> None:
    got = adjusted(bars_of(A=[10.0, 12.0, 6.5, 7.0]), ("A", "2011-01-05", "split", 2.0))
    for column in ("open", "high", "low", "close"):
        assert got[column].tolist() == [10.0, 12.0, 13.0, 14.0]
    assert got["volume"].tolist() == [1000.0, 1000.0, 500.0, 500.0]
    assert got["raw_close"].tolist() == [10.0, 12.0, 6.5, 7.0]


def test_a_dividend_counts_against_the_close_of_the_evening_before_and_not_in_the_volume() -> None:
    got = adjusted(bars_of(A=[10.0, 9.0, 9.9]), ("A", "2011-01-04", "dividend", 1.0))
    assert got["close"].tolist() == pytest.approx([10.0, 10.0, 11.0])
    assert got["volume"].tolist() == [1000.0] * 3


def test_several_actions_multiply_also_on_one_date() -> None:
    got = adjusted(
        bars_of(A=[10.0, 4.0, 4.0, 1.0]),
        ("A", "2011-01-04", "dividend", 2.0),
        ("A", "2011-01-04", "split", 2.0),
        ("A", "2011-01-06", "split", 4.0),
    )
    assert got["close"].tolist() == pytest.approx([10.0, 4 * 2 / 0.8, 4 * 2 / 0.8, 1 * 2 / 0.8 * 4])
    assert got["volume"].tolist() == [1000.0, 500.0, 500.0, 125.0]


def test_an_action_on_a_day_without_a_bar_counts_from_the_next_bar() -> None:
    missing = adjusted(bars_of(A=[10.0, None, 5.0]), ("A", "2011-01-04", "split", 2.0))
    weekend = adjusted(bars_of(A=[8.0, 8.0, 8.0, 8.0, 8.0, 4.0]), ("A", "2011-01-08", "dividend", 4.0))
    assert missing["close"].tolist() == [10.0, 10.0]
    assert weekend["close"].tolist() == [8.0] * 6


def test_actions_at_the_first_bar_after_the_last_and_of_others_change_nothing() -> None:
    bars = bars_of(A=[10.0, 11.0], B=[3.0, 4.0])
    got = adjusted(
        bars,
        ("0", "2011-01-04", "split", 7.0),
        ("A", "2010-12-31", "split", 3.0),
        ("A", "2011-01-03", "dividend", 1.0),
        ("A", "2011-01-05", "split", 5.0),
        ("AA", "2011-01-04", "split", 7.0),
        ("B", "2011-01-03", "split", 9.0),
        ("C", "2011-01-04", "split", 7.0),
    )
    assert got["close"].tolist() == bars["close"].tolist()
    assert got["volume"].tolist() == bars["volume"].tolist()


def test_actions_of_one_symbol_leave_the_next_symbol_alone() -> None:
    got = adjusted(bars_of(A=[10.0, 5.0], B=[3.0, 4.0]), ("A", "2011-01-04", "split", 2.0))
    assert got["close"].tolist() == [10.0, 10.0, 3.0, 4.0]


def test_unusable_actions_are_left_out_and_listed_with_their_reason() -> None:
    bars = bars_of(A=[10.0, 10.0, 10.0, 10.0, 10.0])
    bad = [
        ("A", "2011-01-04", "dividend", 10.0),
        ("A", "2011-01-05", "split", 0.0),
        ("A", "2011-01-06", "dividend", -1.0),
        ("A", "2011-01-07", "spin-off", 2.0),
    ]
    assert adjusted(bars, *bad)["close"].tolist() == [10.0] * 5
    listed = unusable_actions(bars, actions_of(*bad), CALENDAR)
    assert listed["reason"].tolist() == [
        "not below the close of the evening before",
        "not a positive number",
        "not a positive number",
        "neither split nor dividend",
    ]
    assert list(listed.columns) == [*ACTIONS.columns, "reason"]


def test_no_actions_and_no_bars_are_fine() -> None:
    bars = random_bars(["A", "B"], 30)
    assert adjust(bars, ACTIONS.empty(), CALENDAR)["close"].tolist() == bars["close"].tolist()
    nothing = bars.iloc[:0].reset_index(drop=True)
    assert ADJUSTED.check(adjust(nothing, actions_of(("A", "2011-01-04", "split", 2.0)), CALENDAR)).empty


def by_the_loop(bars: pd.DataFrame, actions: pd.DataFrame) -> list[float]:
    """The definition, word by word."""
    result = []
    for symbol, own in bars.groupby("symbol"):
        days, raw = own["ts"].dt.tz_convert("America/New_York").dt.date.tolist(), own["close"].tolist()
        for t, day in enumerate(days):
            factor = 1.0
            for _, (_, ex_date, kind, value) in actions[actions["symbol"] == symbol].iterrows():
                before = [c for c, d in zip(raw, days, strict=True) if d < ex_date.date()]
                if before and ex_date.date() <= day:
                    m = 1 / value if kind == "split" else 1 - value / before[-1]
                    factor *= 1 / m
            result.append(raw[t] * factor)
    return result


BARS_40 = random_bars(["A", "B"], 40, seed=5)
DAYS = closes(40).tz_localize(None).normalize()
ACTION = st.tuples(
    st.sampled_from(["A", "B"]),
    st.sampled_from([str(day.date()) for day in DAYS]),
    st.sampled_from(["split", "dividend"]),
    st.sampled_from([0.05, 0.3, 0.5, 1.5, 2.0, 3.0]),
)
SOME_ACTIONS = st.lists(ACTION, max_size=8, unique_by=lambda action: action[:3])


@settings(deadline=None)
@given(SOME_ACTIONS)
def test_adjustment_agrees_with_its_definition(rows: list[Any]) -> None:
    actions = actions_of(*rows)
    got = adjust(BARS_40, actions, CALENDAR)
    assert got["close"].tolist() == pytest.approx(by_the_loop(BARS_40, actions), rel=1e-12)


@settings(deadline=None)
@given(SOME_ACTIONS, st.integers(1, 39))
def test_a_later_action_never_changes_an_earlier_value_by_one_bit(rows: list[Any], cut: int) -> None:
    known = actions_of(*[row for row in rows if pd.Timestamp(row[1]) <= DAYS[cut]])
    past = (BARS_40["ts"] <= closes(40)[cut]).to_numpy()
    then = adjust(BARS_40[past].reset_index(drop=True), known, CALENDAR)
    now = adjust(BARS_40, actions_of(*rows), CALENDAR)[past]
    for column in ("open", "high", "low", "close", "volume", "raw_close"):
        assert np.array_equal(then[column].to_numpy().view(np.int64), now[column].to_numpy().view(np.int64))
