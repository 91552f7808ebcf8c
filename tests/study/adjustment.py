"""python -m tests.study.adjustment FILE: do our adjusted returns agree with a source's adjusted closes?

Prints the comparison with every exception and its reason; exit status 1 when one is left unexplained.

FILE is Parquet in long form: symbol, date, open, high, low, close (raw), adj_close, volume, dividend, split.
Both sides are intervals: a number written with four decimals, and held in single precision where its
column is, stands for all numbers that are written so. Returns agree when the intervals meet. Nothing
else is tolerated, and every day on which they do not meet is given a reason by a rule, or printed as unexplained.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.equity import sessions
from ml.equity.adjustment import adjust, unusable_actions
from ml.frames import ACTIONS, BARS

Reals = npt.NDArray[np.float64]

CALENDAR = "XNYS"
TICKS = (1.0, 0.1, 0.01, 0.001, 0.0001, 0.00001, 0.000001)
RATIOS = tuple(sorted({n / d for n in range(1, 51) for d in range(1, 6)} - {1.0} | {1 / n for n in range(2, 51)}))
UNEXPLAINED = "unexplained"
_ARITHMETIC = 1e-12
_NEARBY = 5
_MOVE = 0.1


@dataclass(frozen=True)
class Study:
    """One row per symbol and session that follows another: both returns, and what is known of the day."""

    days: pd.DataFrame
    unusable: pd.DataFrame
    left_out: int

    @property
    def exceptions(self) -> pd.DataFrame:
        return self.days[~self.days["agrees"]]


def half_width(written: Reals) -> Reals:
    """How far from each number the one that was rounded to it may lie.

    Half the coarsest tick that all are multiples of; plus half a step of single precision when all are
    what single precision makes of a number.
    """
    tick = next((t for t in TICKS if np.allclose(written / t, np.round(written / t), rtol=0, atol=1e-4)), TICKS[-1])
    single = np.abs(np.round(written.astype(np.float32).astype(np.float64) / tick) * tick - written) < tick / 2
    return tick / 2 + written * (2.0**-24 if single.all() else 0.0)


def study(prices: pd.DataFrame, calendar: str = CALENDAR) -> Study:
    """The comparison, day by day; rows on dates without a session are left out and counted."""
    prices = prices.sort_values(["symbol", "date"]).astype({"symbol": "str", "date": "datetime64[us]"})
    prices = prices.assign(ts=sessions.sessions_to_closes(calendar, prices["date"]))
    left_out = int(prices["ts"].isna().sum())
    prices = prices[prices["ts"].notna()].reset_index(drop=True)
    bars, actions = BARS.cast(prices), actions_of(prices)
    total = adjust(bars, actions, calendar)["close"].to_numpy()
    splits = adjust(bars, actions, calendar, "splits")["close"].to_numpy()
    days = prices[["symbol", "date", "close", "adj_close", "dividend", "split"]].assign(
        cash=prices["dividend"].astype("float64"),
        ratio=prices["split"].astype("float64"),
        close_width=half_width(prices["close"].to_numpy()),
        adj_width=half_width(prices["adj_close"].to_numpy()),
        ours=_over_before(total),
        shares=_over_before(splits) / _over_before(prices["close"].to_numpy()),
    )
    before = days[["close", "adj_close", "close_width", "adj_width"]].shift().add_suffix("_before")
    days = pd.concat([days, before], axis=1)[(days["symbol"] == days["symbol"].shift()).to_numpy()]
    low, high = theirs(days)
    days = days.assign(theirs=days["adj_close"] / days["adj_close_before"], low=low, high=high)
    return Study(
        days.assign(agrees=meets(days, days["ours"], days["shares"])),
        unusable_actions(bars, actions, calendar),
        left_out,
    )


def actions_of(prices: pd.DataFrame) -> pd.DataFrame:
    """ACTIONS of the columns dividend and split."""
    parts = [
        prices.loc[prices[column] != nothing, ["symbol", "date"]].assign(
            kind=column, value=prices.loc[prices[column] != nothing, column].astype("float64")
        )
        for column, nothing in (("dividend", 0), ("split", 1))
    ]
    rows = pd.concat(parts).rename(columns={"date": "ex_date"})
    return ACTIONS.check(ACTIONS.cast(rows.sort_values(list(ACTIONS.key))))


def _over_before(values: Reals) -> Reals:
    return np.append(np.nan, values[1:] / values[:-1])


def theirs(days: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """The least and the greatest return that the source's adjusted closes may stand for."""
    low = (days["adj_close"] - days["adj_width"]) / (days["adj_close_before"] + days["adj_width_before"])
    high = (days["adj_close"] + days["adj_width"]) / (days["adj_close_before"] - days["adj_width_before"])
    return low, high


def meets(days: pd.DataFrame, mine: pd.Series, shares: pd.Series | float) -> pd.Series:
    """Whether `mine`, a return in which `shares` new shares count, meets the source's, given how closes are rounded."""
    worth, slack = mine * days["close_before"], shares * days["close_width"]
    low = (worth - slack) / (days["close_before"] + days["close_width_before"]) * (1 - _ARITHMETIC)
    high = (worth + slack) / (days["close_before"] - days["close_width_before"]) * (1 + _ARITHMETIC)
    return (low <= days["high"]) & (high >= days["low"])


def paid_per_new_share(day: pd.DataFrame, _: pd.DataFrame) -> str | None:
    """The source's return is (close + dividend) x split / close before."""
    if day["ratio"].item() == 1 or day["cash"].item() == 0 or not _explains(day, day["ratio"].item()):
        return None
    repeats = min(abs(day["cash"].item() - day["ratio"].item()), abs(day["cash"].item() + 1 - day["ratio"].item()))
    slip = ", and the two numbers repeat each other: a slip of the source" if repeats < 1e-6 else ""
    return f"a split and a payment on one date: the source counts the payment per new share, we per old share{slip}"


def split_not_listed(day: pd.DataFrame, _: pd.DataFrame) -> str | None:
    """A simple ratio that only adj_close knows, on the day on which the raw price shows it."""
    ratio = _missing_ratio(day)
    if ratio is None or abs(np.log(day["theirs"].item())) >= abs(np.log(day["ours"].item())):
        return None
    return "a split that the source's adj_close counts and its split column lacks"


def split_on_a_wrong_date(day: pd.DataFrame, around: pd.DataFrame) -> str | None:
    """A simple ratio that only adj_close knows; the raw price shows it on another day, without adjustment."""
    ratio = _missing_ratio(day)
    if ratio is None:
        return None
    raw = around["close"] / around["close_before"] * ratio
    moved = around[(np.abs(raw - 1) < _MOVE) & around["agrees"] & (around["ratio"] == 1)]
    if moved.empty:
        return None
    return "a split that the source's adj_close counts on a wrong date (the raw price moves some sessions away)"


def _missing_ratio(day: pd.DataFrame) -> float | None:
    if day["ratio"].item() != 1:
        return None
    return next((ratio for ratio in RATIOS if _explains(day, ratio)), None)


def _explains(day: pd.DataFrame, ratio: float) -> bool:
    mine = (day["close"] + day["cash"]) * ratio / day["close_before"]
    return bool(meets(day, mine, ratio).item())


RULES: tuple[Callable[[pd.DataFrame, pd.DataFrame], str | None], ...] = (
    paid_per_new_share,
    split_not_listed,
    split_on_a_wrong_date,
)


def reasons(result: Study) -> pd.Series:
    """For each exception the reason of the first rule that explains it, "unexplained" when none does."""
    found = {}
    for row in result.exceptions.index:
        day = result.days.loc[[row]]
        around = result.days.loc[row - _NEARBY : row + _NEARBY]
        around = around[(around["symbol"] == day["symbol"].item()) & (around.index != row)]
        found[row] = next((told for rule in RULES if (told := rule(day, around))), UNEXPLAINED)
    return pd.Series(found, index=result.exceptions.index, dtype="str")


def report(result: Study) -> str:
    """The study in words."""
    days, exceptions = result.days, result.exceptions
    why = reasons(result)
    scaled = days["close"] * days["ratio"] / (days["close_before"] - days["cash"])
    acted = days[(days["cash"] != 0) | (days["ratio"] != 1)]
    lines = [
        f"{days['symbol'].nunique()} symbols, {len(days):,} symbol-days with a day before them"
        f" ({result.left_out} rows on dates without a session left out)",
        f"{(days['cash'] != 0).sum():,} payments, {(days['ratio'] != 1).sum():,} splits, on {len(acted):,} symbol-days",
        f"rounding: close within {days['close_width'].min():.6f} to {days['close_width'].max():.6f},"
        f" adj_close within {days['adj_width'].min():.6f} to {days['adj_width'].max():.6f}",
        f"agree: {days['agrees'].sum():,} of {len(days):,}, with an action {acted['agrees'].sum():,} of {len(acted):,}",
        f"exceptions: {len(exceptions)}, of which unexplained: {(why == UNEXPLAINED).sum()}",
        f"(with 1 - cash / close before instead, {(~meets(days, scaled, days['ratio'])).sum():,} days would disagree)",
        f"actions that adjustment leaves out: {len(result.unusable)}",
    ]
    for reason, rows in exceptions.groupby(why.to_numpy()):
        shown = rows[["symbol", "date", "close_before", "close", "dividend", "split", "ours", "theirs"]]
        lines += ["", f"{reason}: {len(rows)}", shown.to_string(index=False)]
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """The exit status: 1 when an exception is left unexplained, 2 without one file to read."""
    if len(arguments) != 1 or not Path(arguments[0]).is_file():
        found = f"{arguments[0]}, which is no file" if len(arguments) == 1 else f"{len(arguments)} arguments"
        print(f"Found {found}; expected one Parquet file. Use: make study-adjustment data=FILE", file=sys.stderr)
        return 2
    result = study(pd.read_parquet(arguments[0]))
    print(report(result))
    return int((reasons(result) == UNEXPLAINED).any())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
