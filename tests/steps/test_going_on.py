"""A history that goes on leaves the same bytes as one that is read whole, and is read whole when its past changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml.domain import Night
from ml.equity.features.catalogue import DEFAULT_SET
from ml.equity.features.feature import FeatureSet
from ml.frames import ACTIONS, BARS, MEMBERS, SECTORS, TICKERS
from ml.io.store import Store
from ml.io.warehouse import Warehouse, bars
from ml.io.warehouse.bars import Known
from ml.settings import Settings
from ml.steps import decided, features, going_on, keep
from tests.equity.panels import actions_of, random_bars

SHORT = [one for one in DEFAULT_SET.features if sum(one.reach) <= 511]
SET = FeatureSet("some", 1, tuple(one for n, one in enumerate(SHORT) if n % 4 == 0 or len(one.reach) > 1))
ALL = random_bars(["AAA", "BBB", "CCC", "DDD", "EEE"], 830, seed=5)  # 2011-01-03 to April 2014
ALL = ALL[ALL["ts"] >= "2011-10-01"].reset_index(drop=True)  # SET looks back on 511 bars
ACTS = actions_of(
    ("BBB", "2013-05-02", "split", 2.0), ("AAA", "2013-12-30", "dividend", 0.4), ("EEE", "2012-03-05", "split", 3.0)
)
NOBODY = Warehouse("")


@dataclass(frozen=True)
class Story:
    """What a night knows; `as_of` a day. learned: the number of the instant from which on it is known."""

    as_of: str
    bars: pd.DataFrame = field(default_factory=lambda: ALL)
    actions: pd.DataFrame = field(default_factory=lambda: ACTS)
    tickers: tuple[tuple[Any, ...], ...] = tuple((name, number, None, None) for number, name in enumerate("ABCDE"))
    sectors: tuple[tuple[Any, ...], ...] = (("AAA", "first", None, None), ("BBB", "second", None, None))
    members: tuple[tuple[Any, ...], ...] = ()
    settings: dict[str, float] = field(default_factory=dict)
    learned: int | None = None

    @property
    def known(self) -> Known:
        """All up to the night."""
        day = pd.Timestamp(self.as_of)
        until = self.bars["ts"] < day.tz_localize("UTC") + timedelta(days=1)
        return Known(
            BARS.check(self.bars[until].reset_index(drop=True)),
            ACTIONS.check(ACTIONS.cast(self.actions[self.actions["ex_date"] <= day].sort_values(list(ACTIONS.key)))),
            TICKERS.cast(pd.DataFrame([(name * 3 if len(name) == 1 else name, *rest) for name, *rest in self.tickers],
                                      columns=list(TICKERS.columns))),
            SECTORS.cast(pd.DataFrame(self.sectors, columns=list(SECTORS.columns))),
            MEMBERS.cast(pd.DataFrame(self.members, columns=list(MEMBERS.columns))),
        )  # fmt: skip


def instant(number: int) -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=number)


class Nights:
    """Plays the warehouse: what each of the stories knows is known from its own instant on."""

    def __init__(self, stories: list[Story], monkeypatch: pytest.MonkeyPatch) -> None:
        self.stories = stories
        self.went_on: list[bool] = []
        monkeypatch.setattr(bars, "as_known", lambda _, night, __: self.known(night.known_at))
        monkeypatch.setattr(bars, "as_known_since", self._since)
        monkeypatch.setattr(bars, "versions_between", self._versions)
        monkeypatch.setattr(bars, "years_in_use", lambda _, last: list(range(2011, last + 1)))

    def known(self, at: datetime) -> Known:
        return next(s for n, s in enumerate(self.stories) if instant(n if s.learned is None else s.learned) == at).known

    def run(self, number: int, root: Path) -> None:
        story = self.stories[number]
        known = story.known.bars["ts"].max().to_pydatetime()
        night = Night("equity", known, instant(number if story.learned is None else story.learned))
        config = Settings(store=str(root), **story.settings)  # type: ignore[arg-type]
        self.went_on.append(going_on.as_known(config, NOBODY, night, SET) is not None)
        features.write(Store(root), night, features.known(config, NOBODY, night, SET), SET)

    def _since(self, _: Warehouse, night: Night, since: datetime) -> Known:
        known = self.known(night.known_at)
        return replace(known, bars=known.bars[known.bars["ts"] >= since].reset_index(drop=True))

    def _versions(self, _: Warehouse, after: datetime, at: datetime, before: datetime) -> int:
        then, now = (self.known(one).bars for one in (after, at))
        both = then[then["ts"] < before].merge(now[now["ts"] < before], how="outer", indicator=True)
        return int((both["_merge"] == "right_only").sum())


def without(symbol: str, first: str, last: str, frame: pd.DataFrame = ALL) -> pd.DataFrame:
    inside = frame["ts"].between(pd.Timestamp(first, tz="UTC"), pd.Timestamp(last, tz="UTC"))
    return frame[~(inside & (frame["symbol"] == symbol))].reset_index(drop=True)


def corrected(symbol: str, day: str) -> pd.DataFrame:
    there = (ALL["symbol"] == symbol) & (ALL["ts"].dt.strftime("%Y-%m-%d") == day)
    assert there.sum() == 1
    return ALL.assign(volume=ALL["volume"].where(~there, ALL["volume"] + 100.0))


def acted(*more: tuple[str, str, str, float]) -> pd.DataFrame:
    return pd.concat([ACTS, actions_of(*more)], ignore_index=True)


def renamed(symbol: str, new: str, day: str) -> pd.DataFrame:
    late = (ALL["symbol"] == symbol) & (ALL["ts"] >= pd.Timestamp(day, tz="UTC"))
    return ALL.assign(symbol=ALL["symbol"].where(~late, new)).sort_values(["symbol", "ts"], ignore_index=True)


OTHERS = tuple((name, number, None, None) for number, name in enumerate("ABCD"))
MONDAY, NEXT = "2014-02-10", "2014-02-11"
LATE = without("EEE", "2011-01-01", "2014-02-11")
HALTED = without("CCC", "2013-12-10", "2014-02-10")
LONG_HALTED = without("CCC", "2012-09-01", "2014-02-10")
LISTED = (("AAA", None, None), ("BBB", None, "2013-01-02"), ("CCC", None, None))
FROM_NOW: dict[str, Any] = {"actions": acted(("CCC", NEXT, "split", 4.0), ("AAA", NEXT, "dividend", 1.0))}
TWICE: dict[str, Any] = {"actions": acted(("CCC", "2014-01-30", "split", 1.5), ("CCC", "2014-02-04", "split", 1.5))}
LIQUID: dict[str, Any] = {
    "settings": {"min_dollar_volume": float((ALL["close"] * ALL["volume"]).median()), "min_price": 20.0}
}

GOES_ON = {
    "the next session": [Story(MONDAY), Story(NEXT), Story("2014-02-12")],
    "the next month and its second session": [Story("2014-01-31"), Story("2014-02-03"), Story("2014-02-04")],
    "nights that were left out": [Story("2013-11-20"), Story("2014-02-03")],
    "an earlier night of the month": [Story(NEXT), Story(MONDAY, learned=0)],
    "a split and a dividend tonight": [Story(MONDAY), Story(NEXT, **FROM_NOW), Story("2014-02-12", **FROM_NOW)],
    "a split told twice, before the month and in it": [Story("2014-02-03", **TWICE), Story("2014-02-04", **TWICE)],
    "an action that waits for the next bar": [
        Story("2014-02-03", HALTED, acted(("CCC", "2014-01-15", "split", 2.0))),
        Story(NEXT, HALTED, acted(("CCC", "2014-01-15", "split", 2.0))),
    ],
    "a symbol that trades again": [Story(MONDAY, HALTED), Story(NEXT, HALTED), Story("2014-03-03", HALTED)],
    "a new symbol": [
        Story(MONDAY, LATE, tickers=OTHERS),
        Story("2014-02-12", LATE, tickers=(*OTHERS, ("EEE", 9, "2014-02-12", None))),
        Story("2014-03-03", LATE, tickers=(*OTHERS, ("EEE", 9, "2014-02-12", None))),
    ],
    "a bar of the month corrected": [Story(MONDAY), Story(NEXT, corrected("AAA", "2014-02-04"))],
    "a member that leaves tonight": [
        Story(MONDAY, members=LISTED), Story(NEXT, members=(("AAA", None, NEXT), *LISTED[1:])),
    ],
    "a sector that changes tonight": [
        Story(MONDAY), Story(NEXT, sectors=(("AAA", "first", None, NEXT), ("AAA", "third", NEXT, None),
                                            ("BBB", "second", None, None))),
    ],
    "rules of the universe": [Story(MONDAY, **LIQUID), Story(NEXT, **LIQUID), Story("2014-03-03", **LIQUID)],
    "renames that were known": [
        Story(day, renamed("BBB", "GGG", "2013-03-04"),
              tickers=(("A", 0, None, None), ("BBB", 1, None, "2013-03-04"), ("GGG", 1, "2013-03-04", None)))
        for day in (MONDAY, NEXT)
    ],
}  # fmt: skip

IS_READ = {
    "half a year later": [Story("2013-08-20"), Story("2014-02-03")],
    "an old bar corrected": [Story(MONDAY), Story(NEXT, corrected("AAA", "2012-05-08"))],
    "old bars learned late": [Story(MONDAY, HALTED), Story(NEXT)],
    "an old action learned late": [Story(MONDAY), Story(NEXT, actions=acted(("AAA", "2012-05-08", "split", 2.0)))],
    "an old action taken back": [Story(MONDAY), Story(NEXT, actions=ACTS.iloc[:1])],
    "a rename tonight": [
        Story(MONDAY),
        Story(NEXT, renamed("BBB", "GGG", NEXT), tickers=(*OTHERS[:1], *OTHERS[2:], ("BBB", 1, None, NEXT),
                                                          ("GGG", 1, NEXT, None))),
    ],
    "a ticker that is used again": [
        Story(MONDAY), Story(NEXT, tickers=(*OTHERS[1:], ("AAA", 0, None, NEXT), ("AAA", 9, NEXT, None))),
    ],
    "a member of old times": [
        Story(MONDAY, members=LISTED), Story(NEXT, members=(LISTED[0], ("BBB", None, None), LISTED[2])),
    ],
    "a list where there was none": [Story(MONDAY), Story(NEXT, members=LISTED)],
    "a sector corrected late": [Story(MONDAY), Story(NEXT, sectors=(("AAA", "second", None, None),))],
    "other rules of the universe": [Story(MONDAY), Story(NEXT, **LIQUID)],
    "a symbol that trades again after long": [Story(MONDAY, LONG_HALTED), Story(NEXT, LONG_HALTED)],
    "knowledge of before": [Story(MONDAY), Story(NEXT), Story(MONDAY, corrected("AAA", "2013-05-08"), learned=-1)],
}  # fmt: skip


def files(root: Path) -> dict[str, bytes]:
    found = {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    return {name: content for name, content in found.items() if not name.startswith("equity/past/")}


def pasts(root: Path, month: str) -> dict[str, bytes]:
    place = root / keep.past("equity", SET.digest, month)
    return {str(path.relative_to(root)): path.read_bytes() for path in place.rglob("*") if path.is_file()}


def told(stories: list[Story], root: Path, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each night went on, and the proof that it left what a store of its own has."""
    nights = Nights(stories, monkeypatch)
    for number in range(len(stories)):
        nights.run(number, root / "grown")
    went_on, grown = nights.went_on.copy(), files(root / "grown")
    for number in range(len(stories)):
        nights.run(number, root / str(number))
        whole = files(root / str(number))
        assert {name: grown[name] for name in whole} == whole, number
    return went_on


@pytest.mark.parametrize("stories", GOES_ON.values(), ids=GOES_ON)
def test_a_history_that_goes_on_has_the_bytes_of_the_whole(
    stories: list[Story], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert told(stories, tmp_path, monkeypatch) == [False, *(True for _ in stories[1:])]


@pytest.mark.parametrize("stories", IS_READ.values(), ids=IS_READ)
def test_a_history_whose_past_changed_is_read_whole(
    stories: list[Story], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not told(stories, tmp_path, monkeypatch)[-1]


@pytest.mark.parametrize("bars_of", [ALL, LONG_HALTED, LATE], ids=["all", "one long silent", "one new"])
def test_what_is_kept_of_a_month_by_a_night_that_went_on_is_what_the_whole_gives(
    bars_of: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stories = [
        Story("2014-01-31", bars_of[bars_of["symbol"] != "EEE"].reset_index(drop=True)),
        Story("2014-02-06", bars_of),
    ]
    stories = [replace(story, bars=without("CCC", "2014-02-01", "2014-12-31", story.bars)) for story in stories]
    if (bars_of["symbol"] == "EEE").sum() == (ALL["symbol"] == "EEE").sum():
        stories[0] = replace(stories[0], bars=stories[1].bars)
    nights = Nights(stories, monkeypatch)
    nights.run(0, tmp_path / "grown")
    nights.run(1, tmp_path / "grown")
    nights.run(1, tmp_path / "whole")
    assert nights.went_on == [False, True, False]
    assert len(pasts(tmp_path / "grown", "2014-02")) == 10
    assert pasts(tmp_path / "grown", "2014-02") == pasts(tmp_path / "whole", "2014-02")


def test_the_store_holds_the_past_of_two_months_and_what_was_replaced_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = ("2013-12-02", "2014-01-06", "2014-02-03", NEXT)
    nights = Nights([*map(Story, days[:3]), Story(NEXT, corrected("AAA", "2013-05-08"))], monkeypatch)
    for number in range(len(days)):
        nights.run(number, tmp_path)
    assert nights.went_on == [False, True, True, False]
    assert [len(pasts(tmp_path, month)) for month in ("2013-12", "2014-01", "2014-02")] == [0, 10, 10]


def _deleted(root: Path, _: pytest.MonkeyPatch) -> None:
    next((root / keep.features("equity", SET.digest) / "2012-07").rglob("*.parquet")).unlink()


def _damaged(root: Path, _: pytest.MonkeyPatch) -> None:
    path = next((root / "equity/past").rglob("tail/*.parquet"))
    path.write_bytes(path.read_bytes()[:-1] + b"x")


def _other_code(_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decided, "_code", lambda: "another")


def _archived(_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bars, "years_in_use", lambda _, last: list(range(2012, last + 1)))


def _other_calendar(_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ml.equity.sessions.VERSION", "another")


@pytest.mark.parametrize("happened", [_deleted, _damaged, _other_code, _archived, _other_calendar])
def test_whatever_else_is_not_as_it_was_has_the_history_read(
    happened: Callable[[Path, pytest.MonkeyPatch], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nights = Nights([Story(MONDAY), Story(NEXT), Story("2014-02-12")], monkeypatch)
    nights.run(0, tmp_path)
    happened(tmp_path, monkeypatch)
    nights.run(1, tmp_path)
    nights.run(2, tmp_path)
    assert nights.went_on == [False, False, True]


def test_code_that_makes_a_history_is_all_there() -> None:
    assert len(decided._code().split()[0]) == 64
    assert np.all([(Path(decided.__file__).parent.parent / name).is_file() for name in decided._CODE])
