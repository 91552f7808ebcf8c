from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.equity.gaps import GAPS, gaps, why_no_bar
from ml.frames import BARS, QUARANTINE
from tests.equity.panels import CALENDAR, bars_of, closes, random_bars

# The sessions of the panels: Mon 2011-01-03, Tue 04, Wed 05, Thu 06, Fri 07, Mon 10.
NONE = QUARANTINE.empty()


def quarantined(*rows: tuple[str, str, Sequence[float]]) -> pd.DataFrame:
    """QUARANTINE from (symbol, date, [open, high, low, close, volume])."""
    frame = pd.DataFrame([(symbol, day, *numbers, "a reason") for symbol, day, numbers in rows])
    frame.columns = pd.Index(QUARANTINE.columns)
    return QUARANTINE.cast(frame)


def told(found: pd.DataFrame) -> list[tuple[str, str, str]]:
    assert GAPS.check(found) is found
    return [(s, str(day.date()), kind) for s, day, kind in found.to_numpy()]


def test_only_sessions_between_the_first_and_the_last_bar_are_gaps() -> None:
    bars = bars_of(A=[None, 1.0, None, None, 1.0, 1.0], B=[1.0, 1.0, None, None, None, None], C=[1.0] * 6)
    assert told(gaps(bars, NONE, CALENDAR)) == [("A", "2011-01-05", "missing"), ("A", "2011-01-06", "missing")]
    assert gaps(bars.iloc[:0], NONE, CALENDAR).empty
    assert told(gaps(bars[bars["symbol"] == "C"], NONE, CALENDAR)) == []


def test_a_row_without_trading_is_the_evidence_of_a_halt() -> None:
    bars = bars_of(A=[1.0, None, None, None, None, 1.0], B=[1.0, None, 1.0])
    seen = quarantined(
        ("A", "2011-01-04", [0, 0, 0, 10.0, 0]),
        ("A", "2011-01-05", [np.nan, np.nan, np.nan, 10.0, np.nan]),
        ("A", "2011-01-06", [10.0, 10.0, 10.0, 10.0, 0]),
        ("A", "2011-01-07", [10.0, 9.0, 11.0, 10.0, 500]),
        ("B", "2011-01-05", [0, 0, 0, 0, 0]),
    )
    assert told(gaps(bars, seen, CALENDAR)) == [
        ("A", "2011-01-04", "halt"),
        ("A", "2011-01-05", "halt"),
        ("A", "2011-01-06", "halt"),
        ("A", "2011-01-07", "missing"),
        ("B", "2011-01-04", "missing"),
    ]


def test_a_session_on_which_nearly_nobody_traded_is_the_markets() -> None:
    panel = {f"S{i}": [1.0, None, 1.0] for i in range(11)}
    found = gaps(bars_of(**panel, T=[1.0, 1.0, 1.0], U=[1.0, None, 1.0]), NONE, CALENDAR)
    assert {kind for _, _, kind in told(found)} == {"market"}
    few = gaps(bars_of(A=[1.0, None, 1.0], B=[1.0, None, 1.0]), NONE, CALENDAR)
    assert {kind for _, _, kind in told(few)} == {"missing"}


@pytest.mark.parametrize(
    ("day", "why"),
    [
        (date(2011, 1, 4), "halt"),
        (date(2011, 1, 5), "missing"),
        (date(2011, 1, 8), "weekend"),
        (date(2011, 1, 17), "holiday"),
        (date(2011, 1, 6), None),
        (date(2010, 12, 31), None),
    ],
)
def test_every_day_without_a_bar_has_a_reason(day: date, why: str | None) -> None:
    bars = bars_of(A=[1.0, None, None, 1.0])
    found = gaps(bars, quarantined(("A", "2011-01-04", [0, 0, 0, 1.0, 0])), CALENDAR)
    assert why_no_bar(CALENDAR, day, "A", found) == why


PANEL = random_bars(["A", "B"], 40, seed=2)


@settings(deadline=None, max_examples=50)
@given(st.sets(st.integers(0, len(PANEL) - 1)))
def test_bars_and_gaps_together_are_every_session_of_a_symbols_life(lost: set[int]) -> None:
    bars = BARS.cast(PANEL.drop(index=list(lost)))
    found = gaps(bars, NONE, CALENDAR)
    days = closes(40).tz_localize(None).normalize()
    for symbol, own in bars.groupby("symbol"):
        seen = pd.DatetimeIndex(own["ts"].dt.tz_localize(None).dt.normalize())
        lacking = pd.DatetimeIndex(found.loc[found["symbol"] == symbol, "session"])
        assert seen.intersection(lacking).empty
        assert sorted([*seen, *lacking]) == [day for day in days if seen[0] <= day <= seen[-1]]


def test_markets_that_never_close_have_gaps_on_sundays() -> None:
    days = pd.date_range("2024-02-09", "2024-02-13", tz="UTC").as_unit("us")  # closes of the 8th to the 12th
    bars = BARS.cast(
        pd.DataFrame({"symbol": "BTC", "ts": days, **dict.fromkeys("ohlcv", 1.0)}).rename(
            columns={"o": "open", "h": "high", "l": "low", "c": "close", "v": "volume"}
        )
    )
    found = gaps(BARS.cast(bars.drop(index=3)), NONE, "24/7")
    assert told(found) == [("BTC", "2024-02-11", "missing")]
