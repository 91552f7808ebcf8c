"""Whatever comes later, a past night reads the same bars: corrections, actions, renames and kills in any order.

Beside the warehouse stands a model of it in a few dictionaries: what the source said at each delivery.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ml.domain import Night
from ml.equity import checks, sessions
from ml.errors import WarehouseUnavailable
from ml.frames import ACTIONS, BARS, QUARANTINE
from ml.io.store import Store, frame_digest
from ml.io.warehouse import Warehouse, acceptance, bars, deliveries
from ml.settings import Settings, settings
from ml.stack.postgres import PostgresServer
from ml.steps import ingest, validate
from ml.steps.history import History, as_known
from ml.steps.night import parse
from tests.servers import WarehouseAddress
from tests.steps.doom import doomed

CALENDAR = "XNYS"
DAYS = [day.date() for day in sessions.closes(CALENDAR, date(2014, 1, 2), date(2014, 2, 14)).index]
SYMBOLS = ("AAA", "BBB", "CCC")
OHLCV = ("open", "high", "low", "close", "volume")
Values = tuple[float, ...]


@dataclass
class Source:
    """What a vendor says today. `until` is how many of DAYS it has."""

    until: int = 3
    bars: dict[tuple[str, date], Values] = field(default_factory=dict)
    actions: dict[tuple[str, date, str], float] = field(default_factory=dict)
    renamed: dict[str, date] = field(default_factory=dict)

    def ticker(self, symbol: str, day: date) -> str:
        return f"{symbol}X" if symbol in self.renamed and day >= self.renamed[symbol] else symbol

    def rows(self) -> pd.DataFrame:
        """What it delivers, in long form."""
        found = []
        for (symbol, day), values in self.bars.items():
            acted = {kind: v for (s, d, kind), v in self.actions.items() if (s, d) == (symbol, day)}
            row = {"symbol": self.ticker(symbol, day), "date": day, **dict(zip(OHLCV, values, strict=True))}
            found.append({**row, "dividend": acted.get("dividend", 0.0), "split": acted.get("split", 1.0)})
        return pd.DataFrame(found)

    def reference(self) -> pd.DataFrame:
        """Who is behind the tickers; each symbol is one company whatever it is called."""
        found = []
        for symbol in SYMBOLS:
            day = self.renamed.get(symbol)
            found.append({"instrument": symbol, "symbol": symbol, "valid_from": None, "valid_to": day})
            if day:
                found.append({"instrument": symbol, "symbol": f"{symbol}X", "valid_from": day, "valid_to": None})
        return pd.DataFrame(found)


def _begin(source: Source, until: int) -> None:
    for day in range(until):
        for number, symbol in enumerate(SYMBOLS):
            close = 20.0 + 7 * number + day
            source.bars.setdefault((symbol, DAYS[day]), (close, close + 1, close - 1, close, 1000.0))
    source.until = until


def _extend(source: Source, symbol: str, day: int) -> None:
    _begin(source, min(source.until + 1 + day % 3, len(DAYS)))


def _correct(source: Source, symbol: str, day: int) -> None:
    key = (symbol, DAYS[day % source.until])
    opened, high, low, close, volume = source.bars[key]
    source.bars[key] = (opened, high + 1, low, close + 0.25, volume)


def _split(source: Source, symbol: str, day: int) -> None:
    source.actions[symbol, DAYS[day % source.until], "split"] = 2.0


def _pay(source: Source, symbol: str, day: int) -> None:
    source.actions[symbol, DAYS[day % source.until], "dividend"] = 0.5 + day


def _take_back(source: Source, symbol: str, day: int) -> None:
    for key in [key for key in source.actions if key[0] == symbol]:
        del source.actions[key]


def _rename(source: Source, symbol: str, day: int) -> None:
    source.renamed.setdefault(symbol, DAYS[day % len(DAYS)])


CHANGES: list[Callable[[Source, str, int], None]] = [_extend, _correct, _split, _pay, _take_back, _rename]
STORY = st.lists(
    st.tuples(
        st.sampled_from(CHANGES),
        st.sampled_from(SYMBOLS),
        st.integers(0, len(DAYS) - 1),
        st.none() | st.integers(0, 40),
    ),
    min_size=3,
    max_size=5,
)


@dataclass
class House:
    """A fresh warehouse, its settings, and the vendor's folder."""

    folder: Path
    server: PostgresServer
    config: Settings

    @property
    def warehouse(self) -> Warehouse:
        return Warehouse(self.config.require_warehouse_dsn())

    def deliver(self, source: Source, killed_at: int | None) -> Night:
        """One night of what the source says; killed before a statement first, if it has that many."""
        self._write(source)
        if killed_at is not None:
            # What the kill looks like; what it left is what the rest of the test is about.
            with doomed(self.server, killed_at), suppress(WarehouseUnavailable):
                self._night()
        return self._night()

    def _night(self) -> Night:
        return parse(**validate.run(ingest.run()["ingest_id"]))

    def take_in(self, source: Source) -> None:
        """Land what the source says and take it in without the checks, which write nothing: each costs a second."""
        self._write(source)
        ingest_id = int(ingest.run()["ingest_id"])
        parts = {part.part: part.store_key for part in deliveries.parts(self.warehouse, ingest_id)}
        store = Store(self.config.store_root)
        with acceptance.accepting(self.warehouse, deliveries.find(self.warehouse, ingest_id)) as taking:
            reference = store.get(f"{parts['reference']}/reference")
            taking.reference(reference)
            taking.take(checks.to_bars(store.get(f"{parts['2014']}/bars"), CALENDAR))
            taking.actions(store.get(f"{parts['2014']}/actions"), list(SYMBOLS))
            taking.finish(QUARANTINE.empty(), [])

    def _write(self, source: Source) -> None:
        source.rows().to_csv(self.folder / "bars.csv", index=False)
        source.reference().to_csv(self.folder.parent / "reference.csv", index=False)

    def read(self, night: Night) -> History:
        return as_known(self.config, self.warehouse, night)


@pytest.fixture
def new_house(
    postgres: PostgresServer, new_warehouse: Callable[[], WarehouseAddress], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], House]]:
    with pytest.MonkeyPatch.context() as patch:

        def make() -> House:
            home = tmp_path_factory.mktemp("home")
            (home / "bars").mkdir()
            for name, value in {
                "HOME": str(home / "var"),
                "WAREHOUSE_DSN": new_warehouse().dsn,
                "PROVIDER": "files",
                "FILES_PATH": str(home / "bars"),
                "FILES_REFERENCE": str(home / "reference.csv"),
                "RESTATEMENT_BUDGET": "1",
            }.items():
                patch.setenv(f"AFTERBELL_{name}", value)
            settings.cache_clear()
            return House(home / "bars", postgres, settings())

        yield make


def _digest(history: History) -> str:
    return frame_digest(history.adjusted())


def _believed(source: Source) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The model's BARS and ACTIONS, under the tickers of today."""
    last = DAYS[source.until - 1]

    def label(symbol: str) -> str:
        return source.ticker(symbol, last)

    rows = [
        {"symbol": label(s), "ts": sessions.close_of(CALENDAR, day), **dict(zip(OHLCV, values, strict=True))}
        for (s, day), values in source.bars.items()
    ]
    acted = [
        {"symbol": label(s), "ex_date": pd.Timestamp(day), "kind": kind, "value": value}
        for (s, day, kind), value in source.actions.items()
    ]
    actions = ACTIONS.cast(pd.DataFrame(acted, columns=list(ACTIONS.columns)))
    return (
        BARS.cast(pd.DataFrame(rows).sort_values(["symbol", "ts"])),
        actions.sort_values(list(ACTIONS.key), ignore_index=True),
    )


@hypothesis_settings(
    max_examples=5,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
    phases=[Phase.generate],
)
@given(story=STORY)
def test_a_past_night_reads_the_same_whatever_comes_later(new_house: Callable[[], House], story: list[Any]) -> None:
    house, source = new_house(), Source()
    _begin(source, 3)
    nights = [house.deliver(source, None)]
    told: dict[Night, str] = {nights[0]: _digest(house.read(nights[0]))}
    for change, symbol, day, killed_at in story:
        change(source, symbol, day)
        night = house.deliver(copy.deepcopy(source), killed_at)
        nights.append(night)

        expected_bars, expected_actions = _believed(source)
        seen = house.read(night)
        pd.testing.assert_frame_equal(seen.bars, expected_bars)
        pd.testing.assert_frame_equal(seen.actions, expected_actions)
        for past in nights:  # every as_of with what was known at every instant since
            replayed = Night(past.domain, past.as_of, night.known_at)
            told.setdefault(replayed, _digest(house.read(replayed)))
        for past_night, digest in told.items():
            assert _digest(house.read(past_night)) == digest


def test_a_kill_at_any_statement_leaves_nothing_half_done(new_house: Callable[[], House]) -> None:
    before, after = Source(), Source()
    for source in (before, after):
        _begin(source, 4)
    _change_everything(after)
    undisturbed = new_house()
    undisturbed.take_in(before)
    with doomed(undisturbed.server, None) as counted:
        undisturbed.take_in(after)
    expected = _tables(undisturbed)
    assert counted.statements > 25

    house = new_house()
    house.take_in(before)
    seen_before = _tables(house)
    assert seen_before != expected
    for at in range(counted.statements):
        with doomed(house.server, at), pytest.raises(WarehouseUnavailable):
            house.take_in(after)
        assert _tables(house) == seen_before, at
    house.take_in(after)
    assert _tables(house) == expected
    house.take_in(after)
    assert _tables(house) == expected


def _change_everything(source: Source) -> None:
    """One delivery that writes to every table: new bars, restated ones, actions come and gone, a rename."""
    _extend(source, "AAA", 0)
    _correct(source, "AAA", 1)
    _split(source, "BBB", 2)
    _rename(source, "CCC", 2)


def _tables(house: House) -> list[Any]:
    """All that is believed and was believed, without the instants at which it was learned."""
    for_ever = Night("equity", datetime(2100, 1, 1, tzinfo=UTC), datetime.now(UTC))
    known = bars.as_known(house.warehouse, for_ever)
    tickers = known.tickers.drop(columns="instrument_id")
    return [frame_digest(frame) for frame in (known.bars, known.actions, tickers)]
