from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml.equity.checks import CheckResult, check_context
from ml.frames import ACTIONS, BARS
from tests.equity.panels import CALENDAR, actions_of, bars_of, closes, random_bars

# Sessions: Mon 2011-01-03, Tue 04, Wed 05, Thu 06, Fri 07, Mon 10, Tue 11, Wed 12...
JUMPS, STALE, EMPTY, OUTLIERS = (
    "unexplained jumps",
    "stale repeats",
    "runs without volume",
    "outliers against the cross-section",
)


def checked(bars: pd.DataFrame, actions: pd.DataFrame | None = None, first: int = 0) -> dict[str, CheckResult]:
    given = ACTIONS.empty() if actions is None else actions
    results = check_context(bars, closes(200)[first], given, CALENDAR)
    assert {result.severity for result in results} == {"warn"}
    return {result.check: result for result in results}


def moving(symbol: str, close: list[float], **columns: Any) -> pd.DataFrame:
    """BARS whose volume changes daily, so that no bar repeats another."""
    volume = np.arange(1.0, len(close) + 1)
    own = {"high": np.array(close) + 1, "low": np.array(close) - 1, "volume": volume} | columns
    return BARS.cast(bars_of(**{symbol: close}).assign(**own))


def test_ordinary_bars_raise_no_warning() -> None:
    results = checked(random_bars(["A"], 120), first=60)
    assert [result.check for result in results.values() if not result.passed] == []
    assert results[JUMPS].judged == 60


@pytest.mark.parametrize(
    ("after", "is_jump"),
    [
        (50.0, True),  # 2:1
        (51.2, True),  # 2:1 and 2.4 % off
        (52.0, False),  # 4 % off 2:1, and nothing else is near
        (14.3, True),  # 7:1
        (66.7, True),  # 3:2
        (75.0, False),  # 4:3, but less than a third
        (500.0, True),  # 1:5
        (136.0, True),  # 3:4, near enough
        (131.0, False),
        (145.0, False),  # nothing near
    ],
)
def test_a_move_that_looks_like_a_split_without_a_split_is_told(after: float, is_jump: bool) -> None:
    result = checked(moving("A", [100.0, 100.0, after]))[JUMPS]
    assert result.passed is not is_jump
    assert result.first == (f"A 2011-01-05 close 100 -> {after:g}" if is_jump else "")


def test_a_recorded_action_explains_its_move_and_no_other() -> None:
    bars = moving("A", [100.0, 100.0, 50.0, 50.0])
    assert checked(bars, actions_of(("A", "2011-01-05", "split", 2.0)))[JUMPS].passed
    assert checked(bars, actions_of(("B", "2011-01-05", "split", 2.0)))[JUMPS].unexpected == 1
    assert checked(bars, actions_of(("A", "2011-01-05", "special_dividend", 50.0)))[JUMPS].passed
    assert checked(bars, actions_of(("A", "2011-01-05", "dividend", 0.5)))[JUMPS].unexpected == 1


def test_a_split_on_record_without_its_move_is_a_jump_too() -> None:
    bars = moving("A", [100.0, 100.0, 100.0, 50.0])
    result = checked(bars, actions_of(("A", "2011-01-05", "split", 2.0)))[JUMPS]
    assert (result.unexpected, result.first) == (2, "A 2011-01-05 close 100 -> 100")


def test_context_is_compared_with_but_not_judged() -> None:
    bars = moving("A", [100.0, 50.0, 50.0, 25.0])
    assert checked(bars)[JUMPS].unexpected == 2
    result = checked(bars, first=3)[JUMPS]
    assert (result.unexpected, result.judged, result.first) == (1, 1, "A 2011-01-06 close 50 -> 25")


def test_one_symbols_first_bar_is_not_compared_with_anothers_last() -> None:
    results = checked(pd.concat([moving("A", [100.0] * 3), moving("B", [50.0] * 3)], ignore_index=True))
    assert results[JUMPS].passed


def test_a_bar_that_stands_still_for_five_sessions_is_stale() -> None:
    four = {"high": 12.0, "low": 9.0, "volume": 5.0}
    bars = [moving("A", [10.0] * 4, **four), moving("B", [10.0] * 6, **four), moving("C", [10.0] * 6, high=11.0)]
    result = checked(pd.concat(bars, ignore_index=True))[STALE]
    assert (result.unexpected, result.first) == (2, "B 2011-01-07 close 10 -> 10")


def test_a_close_alone_that_stands_still_is_stale_whatever_its_volume() -> None:
    flat = {"high": [10.0] * 5, "low": [10.0] * 5}
    assert checked(moving("A", [10.0] * 5, **flat))[STALE].unexpected == 1
    broken = {"high": [10.0, 10.0, 11.0, 10.0, 10.0], "low": [10.0] * 5}
    assert checked(moving("A", [10.0] * 5, **broken))[STALE].passed


def test_a_run_is_counted_from_its_context() -> None:
    bars = moving("A", [10.0] * 6, high=12.0, low=9.0, volume=5.0)
    assert checked(bars, first=5)[STALE].unexpected == 1


def test_three_sessions_without_volume_are_told_and_a_run_ends_with_its_symbol() -> None:
    a = moving("A", [10.0] * 5, volume=[1.0, 2.0, 3.0, 0.0, 0.0])
    b = moving("B", [10.0] * 5, volume=[0.0, 1.0, 0.0, 0.0, 0.0])
    result = checked(pd.concat([a, b], ignore_index=True))[EMPTY]
    assert (result.unexpected, result.first) == (1, "B 2011-01-07 volume 0 -> 0")


def crowd(symbols: int, **last: float) -> pd.DataFrame:
    """Symbols that move by 0, 1 or 2 % a day (one standard deviation: 1.48 %), but for the last moves given."""
    close = {f"S{i:02d}": [100.0, 100.0 + i % 3, 100.0] for i in range(symbols)}
    return bars_of(**close | {name: [*close[name][:2], value] for name, value in last.items()})


def test_a_move_far_from_all_others_of_the_session_is_an_outlier() -> None:
    # The last moves are 0, -0.99 and -1.96 %: median -0.99 %, robust deviation 1.44 %; 25 of them are 36.1 %.
    result = checked(crowd(30, S00=138.0, S03=132.0))[OUTLIERS]
    assert (result.unexpected, result.first) == (1, "S00 2011-01-05 close 100 -> 138")
    assert checked(crowd(29, S00=200.0))[OUTLIERS].passed


def test_a_split_on_record_is_no_outlier() -> None:
    bars = crowd(30, S00=20.0)
    assert checked(bars)[OUTLIERS].unexpected == 1
    assert checked(bars, actions_of(("S00", "2011-01-05", "split", 5.0)))[OUTLIERS].passed


def test_where_nothing_moves_a_small_move_is_no_outlier() -> None:
    bars = bars_of(**{f"S{i:02d}": [100.0, 100.0, 100.0] for i in range(29)}, Z=[100.0, 112.0, 112.0])
    assert checked(bars)[OUTLIERS].passed
    bars = bars_of(**{f"S{i:02d}": [100.0, 100.0, 100.0] for i in range(29)}, Z=[100.0, 113.0, 113.0])
    assert checked(bars)[OUTLIERS].unexpected == 1


def test_no_bars_give_no_results() -> None:
    assert check_context(BARS.empty(), closes(1)[0], ACTIONS.empty(), CALENDAR) == []


def slow_warnings(bars: pd.DataFrame, first: pd.Timestamp) -> dict[str, int]:
    """The same rules as plain loops, bar by bar."""
    found = {JUMPS: 0, STALE: 0, EMPTY: 0}
    simple = [*range(2, 31), *(1 / n for n in range(2, 51)), 1.25, 4 / 3, 1.5, 5 / 3, 2.5, 0.8, 0.75, 2 / 3, 0.6, 0.4]
    for _, own in bars.groupby("symbol"):
        rows = own.to_dict("records")
        same = empty = 0
        for i, row in enumerate(rows):
            before = rows[i - 1] if i else None
            values = [row[name] for name in ("open", "high", "low", "close", "volume")]
            still = len(set(values[:4])) == 1
            repeats = before is not None and (
                values == [before[name] for name in ("open", "high", "low", "close", "volume")]
                or (still and {before[name] for name in ("open", "high", "low", "close")} == {row["close"]})
            )
            same = same + 1 if repeats else 1
            empty = empty + 1 if row["volume"] == 0 else 0
            ratio = before["close"] / row["close"] if before else 1.0
            jump = abs(1 / ratio - 1) >= 0.32 and any(abs(s / ratio - 1) <= 0.025 for s in simple)
            if row["ts"] >= first:
                found[JUMPS] += jump
                found[STALE] += same >= 5
                found[EMPTY] += empty >= 3
    return found


@pytest.mark.parametrize("seed", range(3))
def test_counts_agree_with_plain_loops_on_wild_bars(seed: int) -> None:
    rng = np.random.default_rng(seed)
    size = 150
    close = rng.choice([10.0, 10.0, 10.0, 10.0, 20.0, 13.3], size)
    flat = rng.random(size) < 0.9
    rows = {
        "symbol": np.repeat(["A", "B", "C"], 50),
        "ts": [*closes(50)] * 3,
        "open": close,
        "high": np.where(flat, close, close + 1),
        "low": close,
        "close": close,
        "volume": rng.choice([0.0, 0.0, 7.0], size),
    }
    bars = BARS.cast(pd.DataFrame(rows))
    expected = slow_warnings(bars, closes(50)[20])
    assert all(expected.values())
    results = checked(bars, first=20)
    assert {name: results[name].unexpected for name in expected} == expected
