from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.equity.checks import CheckResult, check_rows, never_bars
from ml.errors import FrameError
from ml.frames import BARS, QUARANTINE, RECEIVED
from tests.equity.panels import CALENDAR, closes, random_bars

# The sessions of the panels: Mon 2011-01-03, Tue 04, Wed 05, Thu 06, Fri 07, Mon 10.
AS_OF = closes(3)[2]


def received(*rows: tuple[object, ...]) -> pd.DataFrame:
    """RECEIVED rows from (symbol, date, open, high, low, close, volume)."""
    return RECEIVED.cast(pd.DataFrame(list(rows), columns=list(RECEIVED.columns)))


def good(symbol: str = "A", date: str = "2011-01-04") -> tuple[object, ...]:
    return (symbol, date, 10.0, 12.0, 9.0, 11.0, 100.0)


def broken(**changes: object) -> tuple[object, ...]:
    return tuple((dict(zip(RECEIVED.columns, good("BAD"), strict=True)) | changes).values())


def failures(results: list[CheckResult]) -> dict[str, int]:
    return {result.check: result.unexpected for result in results if not result.passed}


def test_good_rows_become_bars_stamped_with_their_close() -> None:
    report = check_rows(received(good(), good(date="2011-01-05")), CALENDAR, AS_OF)
    assert BARS.check(report.accepted)["ts"].tolist() == list(closes(3)[1:])
    assert report.accepted.drop(columns=["symbol", "ts"]).to_numpy().tolist() == [[10.0, 12.0, 9.0, 11.0, 100.0]] * 2
    assert QUARANTINE.check(report.quarantined).empty
    assert failures(report.results) == {}


def test_a_bar_may_stand_still_and_trade_nothing() -> None:
    report = check_rows(received(("A", "2011-01-04", 5.0, 5.0, 5.0, 5.0, 0.0)), CALENDAR, AS_OF)
    assert len(report.accepted) == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"symbol": None}, "missing symbol"),
        ({"date": None}, "missing date"),
        ({"open": np.nan}, "missing open"),
        ({"high": np.nan}, "missing high"),
        ({"low": np.nan}, "missing low"),
        ({"close": np.nan}, "missing close"),
        ({"volume": np.nan}, "missing volume"),
        ({"low": 0.0}, "low that is no positive number"),
        ({"low": -3.0}, "low that is no positive number"),
        ({"high": np.inf}, "high that is no positive number"),
        ({"volume": -1.0}, "volume that is negative or infinite"),
        ({"volume": np.inf}, "volume that is negative or infinite"),
        ({"high": 10.5}, "high below close"),
        ({"open": 12.5}, "high below open"),
        ({"low": 10.5}, "low above open"),
        ({"open": 11.0, "low": 11.0, "close": 10.5}, "low above close"),
        ({"open": 0.0, "high": 0.0, "low": 0.0}, "halt row (open, high and low are 0)"),
        (
            {"open": 0.0, "high": 0.0, "low": 0.0, "volume": -1.0},
            "halt row (open, high and low are 0); volume that is negative or infinite",
        ),
        (
            {"open": 0.0, "high": 0.0, "low": 0.0, "close": 0.0},
            "open that is no positive number; high that is no positive number; low that is no positive number; "
            "close that is no positive number",
        ),
        ({"high": 8.0}, "high below open; high below close; high below low"),
        ({"open": -1.0}, "open that is no positive number; low above open"),
        ({"date": "2011-01-01"}, "date without a session"),
        ({"date": "2011-01-04 16:00"}, "date without a session"),
        ({"date": "2011-01-06"}, "date after the night's session"),
        ({"date": "2011-01-08"}, "date without a session; date after the night's session"),
        ({"close": np.nan, "volume": -2.0}, "missing close; volume that is negative or infinite"),
    ],
)
def test_a_bad_row_is_quarantined_with_all_its_reasons_and_the_rest_goes_on(
    changes: dict[str, object], reason: str
) -> None:
    report = check_rows(received(good("A"), broken(**changes), good("Z")), CALENDAR, AS_OF)
    assert report.accepted["symbol"].tolist() == ["A", "Z"]
    assert report.quarantined["reason"].tolist() == [reason]
    assert failures(report.results) == dict.fromkeys(reason.split("; "), 1)


def test_a_quarantined_row_is_kept_as_it_came() -> None:
    rows = received(broken(close=np.nan), good())
    report = check_rows(rows, CALENDAR, AS_OF)
    expected = rows.iloc[:1].assign(reason="missing close").astype({"reason": "str"})
    pd.testing.assert_frame_equal(report.quarantined, expected)


def test_exact_repeats_collapse_to_one_and_are_counted() -> None:
    report = check_rows(received(good(), good("B"), good(), good()), CALENDAR, AS_OF)
    assert report.accepted["symbol"].tolist() == ["A", "B"]
    assert report.quarantined.empty
    assert failures(report.results) == {"repeated rows": 2}


def test_rows_that_contradict_each_other_are_all_quarantined() -> None:
    other = (*good()[:-1], 999.0)
    report = check_rows(received(good(), good("B"), other), CALENDAR, AS_OF)
    assert report.accepted["symbol"].tolist() == ["B"]
    assert report.quarantined["reason"].tolist() == ["different rows for one symbol and date"] * 2
    assert report.quarantined["volume"].tolist() == [100.0, 999.0]


def test_rows_out_of_order_are_sorted_and_counted() -> None:
    rows = received(good("B", "2011-01-05"), good("B", "2011-01-03"), good("A", "2011-01-04"))
    report = check_rows(rows, CALENDAR, AS_OF)
    assert BARS.check(report.accepted)["symbol"].tolist() == ["A", "B", "B"]
    assert failures(report.results) == {"rows out of order": 1}


def test_each_result_tells_the_first_bad_row() -> None:
    report = check_rows(received(good(), broken(volume=-1.0)), CALENDAR, AS_OF)
    [result] = [r for r in report.results if not r.passed]
    assert result == CheckResult(
        "rows",
        "volume that is negative or infinite",
        "volume",
        "warn",
        False,
        "1 of 2 rows, first BAD 2011-01-04",
        "volume >= 0 and finite",
        1,
        2,
        "rows",
        "BAD 2011-01-04",
    )


def test_no_rows_at_all_are_fine_for_the_row_rules() -> None:
    report = check_rows(RECEIVED.empty(), CALENDAR, AS_OF, QUARANTINE.empty())
    assert report.accepted.empty
    assert failures(report.results) == {}


def test_only_bad_rows_leave_nothing() -> None:
    report = check_rows(received(broken(symbol=None, date=None)), CALENDAR, AS_OF)
    assert report.accepted.empty
    assert report.quarantined["reason"].tolist() == ["missing symbol; missing date"]


def test_an_as_of_that_is_no_close_is_refused() -> None:
    with pytest.raises(FrameError, match="no close of XNYS"):
        check_rows(received(good()), CALENDAR, AS_OF + pd.Timedelta(minutes=1))


CROOKED = {"high": 10.5}  # below the close, but a reviewer may know better


def released(*rows: tuple[object, ...]) -> pd.DataFrame:
    return QUARANTINE.cast(received(*rows).assign(reason="whatever it was then"))


def test_values_that_a_reviewer_released_are_accepted_and_counted_all_the_same() -> None:
    report = check_rows(received(good(), broken(**CROOKED)), CALENDAR, AS_OF, released(broken(**CROOKED)))
    assert report.accepted["symbol"].tolist() == ["A", "BAD"]
    assert report.quarantined.empty
    assert failures(report.results) == {"high below close": 1}


@pytest.mark.parametrize("change", [{"high": 10.4}, {"date": "2011-01-05"}, {"symbol": "OTHER"}, {"volume": 101.0}])
def test_a_release_is_for_the_very_same_values(change: dict[str, object]) -> None:
    report = check_rows(received(broken(**CROOKED)), CALENDAR, AS_OF, released(broken(**{**CROOKED, **change})))
    assert report.accepted.empty


@pytest.mark.parametrize(
    "fault",
    [{"close": np.nan}, {"low": 0.0}, {"high": 8.0}, {"volume": -1.0}, {"date": "2011-01-01"}, {"date": "2011-01-06"}],
)
def test_no_release_makes_a_bar_of_what_cannot_be_one(fault: dict[str, object]) -> None:
    rows = received(broken(**fault))
    assert check_rows(rows, CALENDAR, AS_OF, released(broken(**fault))).accepted.empty


def test_the_released_one_of_two_contradicting_rows_is_taken_and_the_other_stays_out() -> None:
    one, other = good(), (*good()[:-1], 999.0)
    report = check_rows(received(one, other), CALENDAR, AS_OF, released(other))
    assert report.accepted["volume"].tolist() == [999.0]
    assert report.quarantined["volume"].tolist() == [100.0]
    both = check_rows(received(one, other), CALENDAR, AS_OF, released(one, other))
    assert both.accepted.empty
    assert len(both.quarantined) == 2


def test_rows_that_can_never_be_bars_are_named_with_what_they_lack() -> None:
    rows = released(
        broken(**CROOKED),
        broken(symbol="HALT", open=0.0, high=0.0, low=0.0),
        broken(symbol="LACK", close=np.nan, volume=-1.0),
        broken(symbol="LATE", date="2011-01-06"),
        broken(symbol="MIX", low=20.0),
        broken(symbol="TWO", **CROOKED),
        broken(symbol="TWO", high=10.6),
    )
    never = never_bars(rows, CALENDAR, AS_OF)
    assert list(zip(never["symbol"], never["reason"], strict=True)) == [
        ("HALT", "halt row (open, high and low are 0)"),
        ("LACK", "missing close; volume that is negative or infinite"),
        ("LATE", "date after the night's session"),
        ("MIX", "high below low"),
        ("TWO", "different rows for one symbol and date"),
        ("TWO", "different rows for one symbol and date"),
    ]
    assert never_bars(rows.iloc[:1], CALENDAR, AS_OF).empty


OHLC = st.sampled_from([0.0, 1.0, 2.0, 3.0, -1.0, np.nan])
ROW = st.tuples(st.sampled_from("AB"), st.sampled_from(["2011-01-03", "2011-01-04"]), OHLC, OHLC, OHLC, OHLC, OHLC)


@settings(max_examples=12, deadline=None)
@given(st.lists(ROW, max_size=8), st.lists(st.booleans(), min_size=8, max_size=8))
def test_whatever_comes_and_whatever_was_released_only_bars_are_accepted_and_no_row_is_lost(
    rows: list[tuple[object, ...]], chosen: list[bool]
) -> None:
    frame = received(*rows)
    free = released(*(row for row, is_chosen in zip(rows, chosen, strict=False) if is_chosen))
    report = check_rows(frame, CALENDAR, AS_OF, free)
    bars = BARS.check(report.accepted)
    assert ((bars["high"] >= bars["low"]) & (bars["low"] > 0) & (bars["volume"] >= 0)).all()
    assert len(bars) + len(report.quarantined) == len(frame.drop_duplicates())
    without = check_rows(frame, CALENDAR, AS_OF)
    assert len(bars) >= len(without.accepted)


@contextmanager
def recorded_connections() -> Iterator[list[object]]:
    """Every address that this process tries to reach while inside."""
    seen: list[object] = []
    listening = True

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if listening and event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
            seen.append(arguments[1:])

    sys.addaudithook(hook)
    try:
        yield seen
    finally:
        listening = False


@pytest.mark.parametrize("rows", [lambda: received(good()), lambda: received(broken(close=np.nan))])
def test_nothing_is_sent_anywhere_and_nothing_printed(
    rows: Callable[[], pd.DataFrame], capfd: pytest.CaptureFixture[str]
) -> None:
    with recorded_connections() as seen:
        check_rows(rows(), CALENDAR, AS_OF)
    assert seen == []
    assert capfd.readouterr() == ("", "")


def test_every_row_of_a_larger_panel_is_accounted_for() -> None:
    bars = random_bars(["A", "B", "C"], 100)
    rows = RECEIVED.cast(bars.assign(date=bars["ts"].dt.tz_localize(None).dt.normalize()))
    rng = np.random.default_rng(1)
    hit = rng.choice(len(rows), 40, replace=False)
    rows.loc[hit[:20], "close"] = -1.0
    rows.loc[hit[20:], "high"] = rows.loc[hit[20:], "low"] - 0.01
    report = check_rows(rows.sample(frac=1, random_state=1).reset_index(drop=True), CALENDAR, closes(100)[99])
    kept = np.setdiff1d(np.arange(len(rows)), hit)
    pd.testing.assert_frame_equal(report.accepted, bars.iloc[kept].reset_index(drop=True))
    assert len(report.quarantined) == 40
