"""An invented vendor that changes its mind, and what a warehouse must believe of it: dictionaries and plain Python.

Nothing of the product computes here: tickers are told apart, and bars adjusted, by loops that follow
docs/corporate-actions.md, so that the product's arrays have something to be compared with.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from ml.equity import sessions
from ml.frames import ADJUSTED

CALENDAR = "XNYS"
DAYS = [day.date() for day in sessions.closes(CALENDAR, date(2013, 12, 17), date(2014, 1, 31)).index]
COMPANIES = ("AAA", "BBB", "CCC")
HEIR = "heir"
"""A company that is founded in some stories: it takes over a ticker that another company gave up."""
OHLCV = ("open", "high", "low", "close", "volume")
SPLITS = {"AAA": 2.0, "BBB": 3.0, "CCC": 0.5, HEIR: 1.5}
SPLITS_APART = 8
"""Sessions between two splits of one company: one that is told twice has a rule of its own, and tests."""

Values = tuple[float, ...]


@dataclass(frozen=True)
class Span:
    """A company's time under a ticker, from `start` until before `end`; None is open."""

    company: str
    ticker: str
    start: date | None = None
    end: date | None = None

    def holds(self, day: date) -> bool:
        return (self.start is None or self.start <= day) and (self.end is None or day < self.end)


@dataclass
class Belief:
    """What is believed: bars and actions under their tickers, and who was behind those."""

    bars: dict[tuple[str, date], Values] = field(default_factory=dict)
    actions: dict[tuple[str, date, str], float] = field(default_factory=dict)
    spans: list[Span] = field(default_factory=list)

    def after(self, source: Source, first: date, last: date, tickers: tuple[str, ...] = ()) -> Belief:
        """This, once a delivery of the span, of all tickers when none is named, was taken in."""
        now = copy.deepcopy(self)
        told = {
            (source.ticker(company, day), day): values
            for (company, day), values in source.bars.items()
            if first <= day <= last and (not tickers or source.ticker(company, day) in tickers)
        }
        spoken_of = {ticker for ticker, _ in told}
        now.bars |= told
        now.actions = {
            (t, day, kind): v
            for (t, day, kind), v in now.actions.items()
            if not (t in spoken_of and first <= day <= last)
        }
        for (company, day, kind), value in source.actions.items():
            if (source.ticker(company, day), day) in told:
                now.actions[source.ticker(company, day), day, kind] = value
        now.spans = list(source.spans)
        return now

    def adjusted(self, as_of: date) -> pd.DataFrame:
        """ADJUSTED up to `as_of`."""
        known = [span for span in self.spans if span.start is None or span.start <= as_of]
        bars: dict[str, dict[date, Values]] = {}
        for (ticker, day), values in self.bars.items():
            if day <= as_of and (name := _name(known, ticker, day)):
                bars.setdefault(name, {})[day] = values
        actions: dict[str, dict[date, dict[str, float]]] = {}
        for (ticker, day, kind), value in self.actions.items():
            if day <= as_of and (name := _name(known, ticker, day)):
                actions.setdefault(name, {}).setdefault(day, {})[kind] = value
        rows = [row for name in sorted(bars) for row in _forward(name, bars[name], actions.get(name, {}))]
        return ADJUSTED.cast(pd.DataFrame(rows, columns=list(ADJUSTED.columns)))


def _name(known: list[Span], ticker: str, day: date) -> str | None:
    """What the owner of a ticker on a day is called; None when nobody owned it."""
    for span in known:
        if span.ticker == ticker and span.holds(day):
            own = [other for other in known if other.company == span.company]
            return _label(known, max(own, key=lambda one: one.start or date.min))
    return None


def _label(known: list[Span], last: Span) -> str:
    """The last ticker of a company, with the time when it left where another took the ticker over."""
    sharing = [span for span in known if span.ticker == last.ticker]
    if all((span.start or date.min) <= (last.start or date.min) for span in sharing) or last.end is None:
        return last.ticker
    left = last.end - timedelta(days=1)
    months = Counter(f"{span.end - timedelta(days=1):%Y%m}" for span in sharing if span.end)
    return f"{last.ticker}-{left:%Y%m}" if months[f"{left:%Y%m}"] == 1 else f"{last.ticker}-{left:%Y%m%d}"


def _forward(name: str, bars: dict[date, Values], actions: dict[date, dict[str, float]]) -> Iterator[dict[str, Any]]:
    """The bars of one company, the first as it was traded; each later one in terms of what a share of it became."""
    price = shares = 1.0
    before: date | None = None
    for day in sorted(bars):
        opened, high, low, close, volume = bars[day]
        became, cash = 1.0, 0.0
        for ex_date in sorted(actions):
            if before is not None and before < ex_date <= day:
                cash += actions[ex_date].get("dividend", 0.0) * became
                became *= actions[ex_date].get("split", 1.0)
        price, shares, before = price * (became + cash / close), shares * became, day
        yield {
            "symbol": name,
            "ts": sessions.close_of(CALENDAR, day),
            **{column: value * price for column, value in zip(OHLCV, (opened, high, low, close), strict=False)},
            "volume": volume / shares,
            "raw_close": close,
        }


@dataclass
class Source:
    """What the vendor says today. `until` is how many of DAYS it has."""

    until: int = 0
    bars: dict[tuple[str, date], Values] = field(default_factory=dict)
    actions: dict[tuple[str, date, str], float] = field(default_factory=dict)
    spans: list[Span] = field(default_factory=lambda: [Span(company, company) for company in COMPANIES])
    acted: set[tuple[str, date, str]] = field(default_factory=set)
    """Every action that it ever told."""
    called: str = "Inc."
    """What it says of every company: a fact that may change."""
    members: list[tuple[str, date | None, date | None]] = field(default_factory=lambda: [("AAA", None, None)])
    """Who belongs to the universe."""

    def ticker(self, company: str, day: date) -> str:
        return next(span.ticker for span in self.spans if span.company == company and span.holds(day))

    def tickers(self) -> list[str]:
        return sorted({span.ticker for span in self.spans})

    def write(self, folder: Path) -> None:
        """What it delivers, in long form, to bars/bars.csv, reference.csv and universe.csv in a folder."""
        found = []
        for (company, day), values in self.bars.items():
            row = {"symbol": self.ticker(company, day), "date": day, **dict(zip(OHLCV, values, strict=True))}
            for kind, nothing in (("dividend", 0.0), ("split", 1.0)):
                row[kind] = self.actions.get((company, day, kind), nothing)
            found.append(row)
        (folder / "bars").mkdir(exist_ok=True)
        pd.DataFrame(found).to_csv(folder / "bars" / "bars.csv", index=False)
        owners = [(span.company, span.ticker, span.start, span.end, self.called) for span in self.spans]
        columns = ["instrument", "symbol", "valid_from", "valid_to", "name"]
        pd.DataFrame(owners, columns=columns).to_csv(folder / "reference.csv", index=False)
        universe = pd.DataFrame(self.members, columns=["symbol", "from", "to"])
        universe.to_csv(folder / "universe.csv", index=False)


def extend(source: Source, company: str, day: int) -> None:
    """One to three sessions more."""
    del company
    grow(source, min(source.until + 1 + day % 3, len(DAYS)))


def grow(source: Source, until: int) -> None:
    """The sessions up to number `until`."""
    source.until = max(until, source.until)
    for number, company in enumerate((*COMPANIES, HEIR)):
        for count, day in enumerate(DAYS[: source.until]):
            if any(span.company == company and span.holds(day) for span in source.spans):
                close = 20.0 + 7 * number + count
                source.bars.setdefault((company, day), (close, close + 1, close - 1, close, 1000.0))


def correct(source: Source, company: str, day: int) -> None:
    """A bar has other values."""
    key = (company, DAYS[day % source.until])
    if key in source.bars:
        opened, high, low, close, volume = source.bars[key]
        source.bars[key] = (opened, high + 1, low, close + 0.25, volume + 1)


def split(source: Source, company: str, day: int) -> None:
    """A split, unless another one is near."""
    near = DAYS[max(0, day % source.until - SPLITS_APART) : day % source.until + SPLITS_APART]
    if not any((company, each, "split") in source.acted for each in near):
        _act(source, company, DAYS[day % source.until], "split", SPLITS[company])


def pay(source: Source, company: str, day: int) -> None:
    """A dividend; of another value each time."""
    _act(source, company, DAYS[day % source.until], "dividend", 0.1 + len(source.acted) / 64)


def _act(source: Source, company: str, day: date, kind: str, value: float) -> None:
    if (company, day) in source.bars:
        source.actions[company, day, kind] = value
        source.acted.add((company, day, kind))


def take_back(source: Source, company: str, day: int) -> None:
    """The company's actions were mistakes."""
    del day
    source.actions = {key: value for key, value in source.actions.items() if key[0] != company}


def rename(source: Source, company: str, day: int) -> None:
    """The company has another ticker from a day on, past or to come."""
    _end(source, company, DAYS[day % len(DAYS)], f"{company}X")


def reuse(source: Source, company: str, day: int) -> None:
    """The company is gone, or its ticker was given up, and some sessions later the heir has that ticker."""
    if any(span.company == HEIR for span in source.spans):
        return
    if len([span for span in source.spans if span.company == company]) == 1:
        _end(source, company, DAYS[1 + day % (len(DAYS) - 4)], None)
    left = [span for span in source.spans if span.company == company and span.end]
    if left and left[0].end and left[0].end < DAYS[-3]:
        source.spans.append(Span(HEIR, left[0].ticker, DAYS[DAYS.index(left[0].end) + 2]))
        grow(source, source.until)


def _end(source: Source, company: str, day: date, then: str | None) -> bool:
    """End the company's last time under a ticker, unless it did before or ever acted from that day on.

    (What becomes of actions under a ticker that its owner had already lost is a question of its own.)
    """
    own = [span for span in source.spans if span.company == company]
    acted_later = any(one == company and on >= day for one, on, _ in source.acted)
    if len(own) != 1 or acted_later or own[0].end or (own[0].start or date.min) >= day:
        return False
    source.spans.remove(own[0])
    source.spans.append(Span(company, own[0].ticker, own[0].start, day))
    if then:
        source.spans.append(Span(company, then, day))
    source.bars = {(one, on): values for (one, on), values in source.bars.items() if one != company or on < day or then}
    return True


CHANGES = (extend, correct, split, pay, take_back, rename, reuse)
