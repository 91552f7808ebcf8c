from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.equity.adjustment import Adjustment, adjust, unusable_actions
from ml.frames import ACTIONS, ADJUSTED, BARS
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


def test_a_dividend_adds_to_the_return_of_its_ex_date_and_not_to_the_volume() -> None:
    got = adjusted(bars_of(A=[10.0, 9.0, 9.9]), ("A", "2011-01-04", "dividend", 1.0))
    assert got["close"].tolist() == pytest.approx([10.0, 10.0, 11.0])
    assert got["volume"].tolist() == [1000.0] * 3


@pytest.mark.parametrize("kind", ["dividend", "special_dividend", "spin_off"])
def test_the_holder_of_a_share_gets_what_is_handed_out_whatever_its_kind(kind: str) -> None:
    # 65.50 before; a share of 32.05 and paper worth 34.65 after: 1.83 % more.
    got = adjusted(bars_of(A=[65.5, 32.05, 32.05]), ("A", "2011-01-04", kind, 34.65))
    assert got["close"].tolist() == pytest.approx([65.5, 66.7, 66.7])


def test_payments_of_one_date_add_up_and_splits_multiply() -> None:
    got = adjusted(
        bars_of(A=[10.0, 3.0, 3.0, 1.0]),
        ("A", "2011-01-04", "dividend", 2.0),
        ("A", "2011-01-04", "special_dividend", 1.5),
        ("A", "2011-01-04", "spin_off", 0.5),
        ("A", "2011-01-04", "split", 2.0),
        ("A", "2011-01-06", "split", 4.0),
    )
    # One share of 10 became two of 3 and 4 in cash.
    assert got["close"].tolist() == pytest.approx([10.0, 10.0, 10.0, 10 * 4 / 3])
    assert got["volume"].tolist() == [1000.0, 500.0, 500.0, 125.0]


def test_a_payment_after_a_split_in_a_halt_is_counted_per_share_of_the_last_bar() -> None:
    # No trade on the 4th and 5th: split 2:1 on the 4th, then 1 a share on the 5th, so 2 per old share.
    bars = bars_of(A=[10.0, None, None, 4.0])
    split_first = adjusted(bars, ("A", "2011-01-04", "split", 2.0), ("A", "2011-01-05", "dividend", 1.0))
    paid_first = adjusted(bars, ("A", "2011-01-04", "dividend", 1.0), ("A", "2011-01-05", "split", 2.0))
    assert split_first["close"].tolist() == pytest.approx([10.0, 2 * 4 + 2])
    assert paid_first["close"].tolist() == pytest.approx([10.0, 2 * 4 + 1])


def test_splits_alone_and_nothing_at_all_can_be_asked_for() -> None:
    bars = bars_of(A=[10.0, 4.0, 4.0])
    actions = actions_of(("A", "2011-01-04", "dividend", 2.0), ("A", "2011-01-04", "split", 2.0))
    splits = ADJUSTED.check(adjust(bars, actions, CALENDAR, "splits"))
    none = ADJUSTED.check(adjust(bars, actions, CALENDAR, "none"))
    assert splits["close"].tolist() == [10.0, 8.0, 8.0]
    assert splits["volume"].tolist() == [1000.0, 500.0, 500.0]
    assert none["close"].tolist() == none["raw_close"].tolist() == [10.0, 4.0, 4.0]
    assert none["volume"].tolist() == [1000.0] * 3


HALF = ("A", "2011-01-04", "split", 2.0)


@pytest.mark.parametrize(
    ("close", "again", "expected"),
    [
        ([10.0, 5.0, 5.1, 5.2], "2011-01-05", [10.0, 10.0, 10.2, 10.4]),  # the first date was right
        ([10.0, 10.0, 5.1, 5.2], "2011-01-05", [10.0, 20.0, 10.2, 10.4]),  # the second: right again from there on
        ([10.0, None, 5.1, 5.2], "2011-01-05", [10.0, 10.2, 10.4]),  # both take effect with one bar
        ([10.0, 5.0, 2.5, 2.6], "2011-01-05", [10.0, 10.0, 10.0, 10.4]),  # two splits
        ([10.0, 5.0, *[5.0] * 5, 5.0], "2011-01-11", [10.0] * 7 + [10.0]),  # five bars later
        ([10.0, 5.0, *[5.0] * 5, 5.0], "2011-01-12", [10.0] * 7 + [20.0]),  # six: no repeat any more, and it shows
    ],
)
def test_a_split_recorded_under_two_dates_counts_once_unless_the_price_moved_twice(
    close: list[float | None], again: str, expected: list[float]
) -> None:
    got = adjusted(bars_of(A=close), HALF, ("A", again, "split", 2.0))
    assert got["close"].tolist() == pytest.approx(expected)


def test_a_reverse_split_recorded_twice_counts_once_and_is_told() -> None:
    bars = bars_of(A=[1.0, 10.0, 10.5], B=[10.0, 5.0, 5.0])
    actions = [("A", "2011-01-04", "split", 0.1), ("A", "2011-01-05", "split", 0.1), ("B", "2011-01-04", "split", 2.0)]
    assert adjusted(bars, *actions)["close"].tolist() == pytest.approx([1.0, 1.0, 1.05, 10.0, 10.0, 10.0])
    told = unusable_actions(bars, actions_of(*actions), CALENDAR)
    assert told["reason"].tolist() == ["equal to one of at most 5 bars before, and the price moved once"]
    assert told["ex_date"].tolist() == [pd.Timestamp("2011-01-05")]


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
    bars = bars_of(A=[10.0, 10.0, 10.0, 10.0, 10.0, 10.0])
    bad = [
        ("A", "2011-01-04", "dividend", 10.0),
        ("A", "2011-01-05", "split", 0.0),
        ("A", "2011-01-06", "dividend", -1.0),
        ("A", "2011-01-07", "merger", 2.0),
        ("A", "2011-01-10", "dividend", 6.0),
        ("A", "2011-01-10", "spin_off", 5.0),
    ]
    assert adjusted(bars, *bad)["close"].tolist() == [10.0] * 6
    listed = unusable_actions(bars, actions_of(*bad), CALENDAR)
    assert listed["reason"].tolist() == [
        "not below the close of the evening before",
        "not a positive number",
        "not a positive number",
        "none of split, dividend, special_dividend, spin_off",
        "together not below the close of the evening before",
        "together not below the close of the evening before",
    ]
    assert list(listed.columns) == [*ACTIONS.columns, "reason"]


def test_an_unusable_payment_does_not_spoil_the_sound_ones_of_its_date() -> None:
    got = adjusted(
        bars_of(A=[10.0, 9.0]), ("A", "2011-01-04", "dividend", 1.0), ("A", "2011-01-04", "special_dividend", 50.0)
    )
    assert got["close"].tolist() == pytest.approx([10.0, 10.0])


def test_no_actions_and_no_bars_are_fine() -> None:
    bars = random_bars(["A", "B"], 30)
    assert adjust(bars, ACTIONS.empty(), CALENDAR)["close"].tolist() == bars["close"].tolist()
    nothing = bars.iloc[:0].reset_index(drop=True)
    assert ADJUSTED.check(adjust(nothing, actions_of(("A", "2011-01-04", "split", 2.0)), CALENDAR)).empty


def by_the_loop(bars: pd.DataFrame, actions: pd.DataFrame, adjustment: Adjustment) -> list[float]:
    """What one share bought at the first bar is worth, its payments put into shares at the close."""
    result = []
    for symbol, own in bars.groupby("symbol"):
        days, raw = own["ts"].dt.tz_convert("America/New_York").dt.date.tolist(), own["close"].tolist()
        theirs = actions[actions["symbol"] == symbol]
        held, last = 1.0, None
        when: dict[float, int] = {}
        for day, close in zip(days, raw, strict=True):
            if last is not None:
                before, shares, cash = raw[days.index(last)], 1.0, []
                span = theirs[(theirs["ex_date"].dt.date > last) & (theirs["ex_date"].dt.date <= day)]
                for _, on_date in span.groupby("ex_date"):
                    paid = on_date.loc[on_date["kind"] != "split", "value"] * shares
                    cash += [value for value in paid if value < before]
                    for ratio in on_date.loc[on_date["kind"] == "split", "value"]:
                        shares *= 1.0 if _once_too_often(ratio, when.get(ratio), days.index(day), raw) else ratio
                        when[ratio] = days.index(day)
                total = sum(cash) if sum(cash) < before else 0.0
                shares = shares if adjustment != "none" else 1.0
                held *= shares + (total / close if adjustment == "total_return" else 0.0)
            last = day
            result.append(close * held)
    return result


def _once_too_often(ratio: float, before: int | None, bar: int, raw: list[float]) -> bool:
    """Whether one such split tells better than two what became of the price since the bar before the first."""
    if before is None or bar - before > 5:
        return False
    kept = np.log(raw[bar] / raw[before - 1])
    return bool(abs(kept + np.log(ratio)) < abs(kept + 2 * np.log(ratio)))


ALL_40 = random_bars(["A", "B"], 40, seed=5)
BARS_40 = BARS.cast(ALL_40[ALL_40.index % 5 < 3])  # sessions without a bar, two in a row
DAYS = closes(40).tz_localize(None).normalize()
ACTION = st.tuples(
    st.sampled_from(["A", "B"]),
    st.sampled_from([str(day.date()) for day in DAYS]),
    st.sampled_from(["split", "dividend", "special_dividend", "spin_off"]),
    st.sampled_from([0.05, 0.3, 0.5, 1.5, 2.0, 3.0, 21.0]),
)
SOME_ACTIONS = st.lists(ACTION, max_size=8, unique_by=lambda action: action[:3])


@settings(deadline=None)
@given(SOME_ACTIONS, st.sampled_from(["none", "splits", "total_return"]))
def test_adjustment_agrees_with_its_definition(rows: list[Any], adjustment: Adjustment) -> None:
    actions = actions_of(*rows)
    got = adjust(BARS_40, actions, CALENDAR, adjustment)
    assert got["close"].tolist() == pytest.approx(by_the_loop(BARS_40, actions, adjustment), rel=1e-12)


@settings(deadline=None)
@given(SOME_ACTIONS, st.integers(1, 39))
def test_a_later_action_never_changes_an_earlier_value_by_one_bit(rows: list[Any], cut: int) -> None:
    known = actions_of(*[row for row in rows if pd.Timestamp(row[1]) <= DAYS[cut]])
    past = (BARS_40["ts"] <= closes(40)[cut]).to_numpy()
    then = adjust(BARS_40[past].reset_index(drop=True), known, CALENDAR)
    now = adjust(BARS_40, actions_of(*rows), CALENDAR)[past]
    for column in ("open", "high", "low", "close", "volume", "raw_close"):
        assert np.array_equal(then[column].to_numpy().view(np.int64), now[column].to_numpy().view(np.int64))
