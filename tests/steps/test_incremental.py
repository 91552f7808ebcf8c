"""Night after night into one store leaves the same bytes as each night whole in a store of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from ml.domain import Night
from ml.equity.adjustment import adjust
from ml.equity.features.catalogue import DEFAULT_SET
from ml.equity.features.compute import compute
from ml.equity.features.feature import FeatureSet
from ml.errors import StoreError
from ml.io.store import Store
from ml.steps import features, history, keep, months
from ml.steps.history import History
from ml.steps.past import Month
from tests.equity.panels import CALENDAR, actions_of, random_bars

SYMBOLS = ["AAA", "BBB", "CCC", "DDD"]
PLACE = keep.features("equity", DEFAULT_SET.digest)


@dataclass(frozen=True)
class Story:
    """What is known one night: BARS up to it, ACTIONS, who does not belong, and since when AAA is of the first sector.

    BBB always is; CCC and DDD are of the second one, and so is AAA until then.
    """

    bars: pd.DataFrame
    actions: pd.DataFrame
    outside: tuple[str, ...] = ()
    moved: str = "2015-07-01"

    def history(self) -> History:
        adjusted = adjust(self.bars, self.actions, CALENDAR)
        member = ~self.bars["symbol"].isin(self.outside).to_numpy()
        return history.of(self.night, adjusted, member, CALENDAR, self.sector)

    @property
    def sector(self) -> pd.Categorical[str]:
        later = (self.bars["symbol"] == "AAA") & (self.bars["ts"] >= pd.Timestamp(self.moved, tz="UTC"))
        return pd.Categorical(np.where(later | (self.bars["symbol"] == "BBB"), "first", "second"))

    @property
    def night(self) -> Night:
        as_of = self.bars["ts"].max().to_pydatetime()
        return Night("equity", as_of, datetime(2026, 1, 1, tzinfo=UTC))


LONG = random_bars(SYMBOLS, 1321, seed=3)  # from 2011-01-03 to April 2016: past the longest memory
ALL = LONG[LONG["ts"] >= "2015-01-01"].reset_index(drop=True)
SPLIT = actions_of(("BBB", "2016-03-02", "split", 2.0), ("AAA", "2015-12-30", "dividend", 0.4))


def until(day: str, bars: pd.DataFrame = ALL) -> pd.DataFrame:
    return bars[bars["ts"] < pd.Timestamp(day, tz="UTC") + pd.Timedelta(days=1)].reset_index(drop=True)


def story(
    day: str,
    bars: pd.DataFrame = ALL,
    actions: pd.DataFrame = SPLIT,
    outside: tuple[str, ...] = (),
    moved: str = "2015-07-01",
) -> Story:
    known = until(day, bars)
    return Story(known, actions[actions["ex_date"] <= pd.Timestamp(day)].reset_index(drop=True), outside, moved)


def without(symbol: str, first: str, last: str, bars: pd.DataFrame = ALL) -> pd.DataFrame:
    inside = bars["ts"].between(pd.Timestamp(first, tz="UTC"), pd.Timestamp(last, tz="UTC"))
    return bars[~(inside & (bars["symbol"] == symbol))].reset_index(drop=True)


def corrected(symbol: str, day: str, bars: pd.DataFrame = ALL) -> pd.DataFrame:
    there = (bars["symbol"] == symbol) & (bars["ts"].dt.strftime("%Y-%m-%d") == day)
    assert there.sum() == 1
    return bars.assign(volume=bars["volume"].where(~there, bars["volume"] + 100.0))


HALTED = without("CCC", "2015-03-01", "2016-02-29")
LATE = without("DDD", "2015-01-01", "2016-01-11")

NIGHTS = {
    "session after session, over the turn of a year": [
        story("2015-12-30"), story("2015-12-31"), story("2016-01-04"), story("2016-01-05"),
    ],
    "a split": [story("2016-03-01"), story("2016-03-02"), story("2016-03-03")],
    "a symbol that trades again after a year": [story("2016-02-29", HALTED), story("2016-03-01", HALTED)],
    "a new symbol": [story("2016-01-11", LATE), story("2016-01-12", LATE), story("2016-01-13", LATE)],
    "an old bar corrected late": [story("2016-02-01"), story("2016-02-02", corrected("AAA", "2015-05-06"))],
    "yesterday's bar corrected": [story("2016-02-01"), story("2016-02-02", corrected("AAA", "2016-02-01"))],
    "a sector that changes tonight": [story("2016-02-02", moved="2016-02-03"), story("2016-02-03", moved="2016-02-03")],
    "a sector corrected late": [story("2016-02-01"), story("2016-02-02", moved="2015-11-16")],
    "another universe": [story("2016-02-01"), story("2016-02-02", outside=("BBB",)), story("2016-02-03")],
    "a night of the past": [story("2016-02-03"), story("2016-01-14")],
    "nights that were left out": [story("2015-11-09"), story("2016-02-01")],
}  # fmt: skip


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def kept(root: Path, nights: Sequence[Story], feature_set: FeatureSet = DEFAULT_SET) -> dict[str, bytes]:
    for each in nights:
        features.write(Store(root), each.night, each.history(), feature_set)
    return files(root)


@pytest.mark.parametrize("nights", NIGHTS.values(), ids=NIGHTS)
def test_incremental_and_whole_give_the_same_bytes(nights: list[Story], tmp_path: Path) -> None:
    grown = kept(tmp_path / "grown", nights)
    apart = [kept(tmp_path / f"whole-{number}", [night]) for number, night in enumerate(nights)]
    for number, whole in enumerate(apart):
        assert {name: grown[name] for name in whole} == whole, number
    assert set(grown) == set().union(*apart)


def test_a_history_longer_than_the_longest_memory_too(tmp_path: Path) -> None:
    long = FeatureSet("long", 1, tuple(one for one in DEFAULT_SET.features if sum(one.reach) > 250))
    nights = [story("2016-03-31", LONG), story("2016-04-01", LONG)]
    assert until("2016-03-31", LONG).groupby("symbol").size().max() > long.warm_up + 250
    whole = kept(tmp_path / "whole", nights[1:], long)
    grown = kept(tmp_path / "grown", nights, long)
    assert {name: grown[name] for name in whole} == whole


@pytest.mark.parametrize(
    ("nights", "made"),
    [
        ("session after session, over the turn of a year", [["2015-12"], ["2016-01"], ["2016-01"]]),
        ("a split", [["2016-03"], ["2016-03"]]),
        ("yesterday's bar corrected", [["2016-02"]]),
        ("a sector that changes tonight", [["2016-02"]]),
        ("a sector corrected late", [[f"2015-{month:02d}" for month in range(7, 13)] + ["2016-01", "2016-02"]]),
        ("a night of the past", [["2016-01"]]),
        ("nights that were left out", [["2015-11", "2015-12", "2016-01", "2016-02"]]),
    ],
)
def test_only_the_months_that_changed_are_computed(
    nights: str, made: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *later = NIGHTS[nights]
    kept(tmp_path, [first])
    computed = []

    def watched(missing: Sequence[Month]) -> list[list[Month]]:
        computed.append([month.name for month in missing])
        return [[month] for month in missing]

    monkeypatch.setattr(features, "_spans", watched)
    kept(tmp_path, later)
    assert computed == made
    kept(tmp_path, later)
    assert computed == [*made, *([] for _ in later)]


def test_a_changed_past_makes_all_months_anew_from_there_on(tmp_path: Path) -> None:
    before, after = (each.history().months for each in NIGHTS["an old bar corrected late"])
    kept_alike = [one.name for one, other in zip(before, after, strict=True) if one.digest == other.digest]
    assert kept_alike == [month.name for month in before if month.name < "2015-05"]


def test_another_definition_shares_the_bars_and_no_feature(tmp_path: Path) -> None:
    night = story("2016-02-01")
    one = kept(tmp_path, [night])
    other = FeatureSet("other", 1, DEFAULT_SET.features[:3])
    added = set(kept(tmp_path, [night], other)) - set(one)
    assert {name.split("/")[1] for name in added} == {"features", "tonight"}


def test_what_is_read_back_is_what_the_whole_history_gives(tmp_path: Path) -> None:
    told = story("2016-02-26", outside=("BBB",))
    kept(tmp_path, [told])
    store, snapshot = Store(tmp_path), told.history().digest
    adjusted = adjust(told.bars, told.actions, CALENDAR)
    pd.testing.assert_frame_equal(months.adjusted(store, "equity", snapshot), adjusted, check_exact=True)
    whole = compute(adjusted, DEFAULT_SET, CALENDAR, sector=told.sector)
    assert whole["beta_sector_60"].notna().any()
    expected = whole[whole["entity"] != "BBB"].reset_index(drop=True)
    pd.testing.assert_frame_equal(months.read(store, PLACE, snapshot), expected, check_exact=True)
    some = ["ts", "rsi_14", "entity"]
    pd.testing.assert_frame_equal(months.read(store, PLACE, snapshot, some), expected[some], check_exact=True)
    tonight = store.get(keep.tonight("equity", DEFAULT_SET.digest, snapshot))
    own = expected[expected["ts"] == told.night.as_of].drop(columns="ts").reset_index(drop=True)
    pd.testing.assert_frame_equal(tonight, own, check_exact=True)


def test_a_long_history_is_computed_in_spans_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = story("2016-02-01")
    at_once = kept(tmp_path / "at once", [night])
    monkeypatch.setattr(features, "SPAN_ROWS", 400)
    assert kept(tmp_path / "in spans", [night]) == at_once


def test_months_that_were_deleted_are_made_again(tmp_path: Path) -> None:
    night = story("2016-02-01")
    before = kept(tmp_path, [night])
    gone = [path for path in tmp_path.rglob("*") if path.is_file() and "/2015-0" in str(path)]
    assert len(gone) == 9 * 2 * 2
    for path in gone:
        path.unlink()
    assert kept(tmp_path, [night]) == before


def test_a_run_that_was_killed_at_any_write_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    night = story("2015-03-12")
    undisturbed = kept(tmp_path / "undisturbed", [night])
    writes = [path for path in undisturbed if path.endswith("manifest.json")]
    assert len(writes) == 10  # three months twice, what a snapshot has twice, tonight and its prices
    for number in range(len(writes)):
        root = tmp_path / str(number)
        with monkeypatch.context() as patch:
            patch.setattr(Store, "put", _killed_at(number))
            with pytest.raises(KeyboardInterrupt):
                kept(root, [night])
        assert len([path for path in files(root) if path.endswith("manifest.json")]) == number
        assert kept(root, [night]) == undisturbed


def _killed_at(number: int) -> Callable[..., None]:
    put, done = Store.put, iter(range(number))

    def doomed(self: Store, *arguments: Any) -> None:
        if next(done, None) is None:
            raise KeyboardInterrupt
        put(self, *arguments)

    return doomed


def test_a_month_that_is_not_the_listed_one_is_refused(tmp_path: Path) -> None:
    night = story("2016-02-01")
    kept(tmp_path, [night])
    store, known = Store(tmp_path), night.history()
    key = months.place(PLACE, known.months[3])
    altered = store.get(key).assign(rsi_14=np.float32(50))
    store.put(key, altered, {"month": known.months[3].name, "bars": known.months[3].digest})
    with pytest.raises(StoreError, match="other content than the snapshot was made of"):
        months.read(store, PLACE, known.digest)


def test_the_digest_of_a_month_sees_data_calendar_members_and_sectors_and_nothing_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def digests(told: Story) -> list[str]:
        return [month.digest for month in told.history().months]

    base = story("2015-06-30")
    expected = digests(base)
    assert digests(story("2015-07-31"))[: len(expected)] == expected
    for other in (
        replace(base, bars=corrected("AAA", "2015-01-05", base.bars)),
        replace(base, actions=actions_of(("AAA", "2015-01-12", "split", 2.0))),
        replace(base, outside=("AAA",)),
        replace(base, moved="2015-01-05"),
    ):
        assert not set(digests(other)) & set(expected)
    assert digests(replace(base, moved="2015-05-20"))[:4] == expected[:4]
    renamed = base.sector.rename_categories({"second": "third"})
    adjusted = adjust(base.bars, base.actions, CALENDAR)
    of_renamed = history.of(base.night, adjusted, np.ones(len(adjusted), dtype=np.bool_), CALENDAR, renamed)
    assert not {month.digest for month in of_renamed.months} & set(expected)
    besides = base.sector.add_categories(["another"]).reorder_categories(["second", "another", "first"])
    of_more = history.of(base.night, adjusted, np.ones(len(adjusted), dtype=np.bool_), CALENDAR, besides)
    assert [month.digest for month in of_more.months] == expected
    monkeypatch.setattr("ml.steps.history.sessions.VERSION", "another")
    assert not set(digests(base)) & set(expected)


def test_the_members_may_change_from_day_to_day(tmp_path: Path) -> None:
    told = story("2015-03-31")
    belongs: npt.NDArray[np.bool_] = np.random.default_rng(5).random(len(told.bars)) > 0.3
    adjusted = adjust(told.bars, told.actions, CALENDAR)
    known = history.of(told.night, adjusted, belongs, CALENDAR)
    features.write(Store(tmp_path), told.night, known, DEFAULT_SET)
    found = months.read(Store(tmp_path), PLACE, known.digest, ["entity", "ts"])
    expected = told.bars.loc[belongs, ["symbol", "ts"]].sort_values(["ts", "symbol"], ignore_index=True)
    pd.testing.assert_frame_equal(found, expected.rename(columns={"symbol": "entity"}))
