"""Whatever comes later, a past night reads the same bars: corrections, actions, renames and kills in any order.

Beside the warehouse stands a model of it in dictionaries and plain Python (vendor.py): what was believed after each
delivery, and what each night makes of it. 25 stories of it are told in every run of the tests; for longer:

    STORIES=1000 python -m pytest tests/steps/test_replay.py -k past_night

What Great Expectations says costs a second a night, and is proved elsewhere. The stories do without it; the deliveries
that are struck at every statement ask it in earnest, once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ml.domain import Night
from ml.equity import sessions
from ml.errors import SuiteFailed, WarehouseUnavailable
from ml.io.market_data import Request
from ml.io.store import frame_digest
from ml.io.warehouse import Warehouse
from ml.settings import REPOSITORY, Settings, settings
from ml.stack.postgres import PostgresServer
from ml.steps import ingest, validate
from ml.steps.history import as_known
from ml.steps.night import parse
from tests.servers import WarehouseAddress
from tests.steps import vendor
from tests.steps.doom import counted, doomed, dying, losing
from tests.steps.shortcuts import lent_connections, remembered, unchecked
from tests.steps.tables import tables
from tests.steps.vendor import CALENDAR, COMPANIES, DAYS, HEIR, Belief, Source

STORIES = int(os.environ.get("STORIES", "25"))
STATEMENTS = 110
"""About as many as a night of these stories has."""


@dataclass(frozen=True)
class Order:
    """What is asked of the vendor: `night` as of a day (a later one than it has is its last), or `backfill` of days.

    lone: only one ticker, the first that the vendor has.
    """

    kind: str = "night"
    first: int = 0
    last: int = len(DAYS)
    lone: bool = False

    def span(self, source: Source) -> tuple[int, int]:
        """The first and the last of DAYS."""
        last = min(self.last, source.until - 1)
        return (0 if self.kind == "night" else min(self.first, last)), last

    def tickers(self, source: Source) -> tuple[str, ...]:
        return (source.tickers()[0],) if self.lone and self.kind == "backfill" else ()


@dataclass(frozen=True)
class Kill:
    """A blow before a statement, and who comes afterwards: the same attempt again, or another one."""

    at: int
    same_attempt: bool
    whole_process: bool = False


@dataclass(frozen=True)
class Chapter:
    change: Callable[[Source, str, int], None]
    company: str
    day: int
    order: Order = Order()
    kill: Kill | None = None


BACKFILLS = st.builds(
    lambda one, other, lone: Order("backfill", min(one, other), max(one, other), lone),
    st.integers(0, len(DAYS) - 1),
    st.integers(0, len(DAYS) - 1),
    st.booleans(),
)
ORDERS = st.just(Order()) | st.builds(Order, last=st.integers(0, len(DAYS))) | BACKFILLS
FIRST = Chapter(vendor.extend, "AAA", 0)
CHAPTERS = st.builds(
    Chapter,
    st.sampled_from(vendor.CHANGES),
    st.sampled_from((*COMPANIES, HEIR)),
    st.integers(0, len(DAYS) - 1),
    ORDERS,
    st.none() | st.builds(Kill, st.integers(0, STATEMENTS), st.booleans()),
)


def carry_out(first: int, last: int, kind: str, tickers: tuple[str, ...], attempt: str) -> Night:
    """One delivery from the vendor to the bars; the night of its last day, as known afterwards."""
    if kind == "night":
        landed = ingest.run(DAYS[last].isoformat(), attempt=attempt)
    else:
        request = Request(DAYS[first], DAYS[last], tickers)
        landed = ingest.land(settings(), kind, sessions.close_of(CALENDAR, DAYS[last]), request, attempt)
    return parse(**validate.run(landed["ingest_id"]))


@dataclass
class House:
    """A warehouse, its settings, and the folder where the vendor writes."""

    folder: Path
    server: PostgresServer
    config: Settings

    @property
    def warehouse(self) -> Warehouse:
        return Warehouse(self.config.require_warehouse_dsn())

    def deliver(self, source: Source, order: Order, kill: Kill | None) -> Night:
        """Carry an order out; killed first, if the delivery has so many statements."""
        source.write(self.folder)
        asked = (*order.span(source), order.kind, order.tickers(source))
        attempt = uuid4().hex
        if kill is None:
            return carry_out(*asked, attempt)
        if kill.whole_process:
            _die(kill.at, *asked, attempt)
        else:
            # What the kill looks like; what it left is what the rest of the test is about.
            with doomed(losing(self.server), kill.at), suppress(WarehouseUnavailable):
                carry_out(*asked, attempt)
        return carry_out(*asked, attempt if kill.same_attempt else uuid4().hex)

    def tables(self) -> dict[str, list[str]]:
        return tables(self.warehouse.dsn)

    def adjusted(self, as_of: int, known_at: datetime) -> pd.DataFrame:
        close = sessions.close_of(CALENDAR, DAYS[as_of]).to_pydatetime()
        return as_known(self.config, self.warehouse, Night("equity", close, known_at)).bars.adjusted


def _die(at: int, *asked: Any) -> None:
    """Begin a delivery in a process of its own that kills itself."""
    code = "import json, sys; from tests.steps.test_replay import die; die(*json.loads(sys.argv[1]))"
    process = subprocess.run([sys.executable, "-c", code, json.dumps([at, *asked])], cwd=REPOSITORY, check=False)
    assert process.returncode == -9


def die(at: int, first: int, last: int, kind: str, tickers: list[str], attempt: str) -> None:
    """The delivery of `_die`."""
    with unchecked(), doomed(dying, at):
        carry_out(first, last, kind, tuple(tickers), attempt)


@pytest.fixture
def new_house(
    postgres: PostgresServer, new_warehouse: Callable[[], WarehouseAddress], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., House]]:
    with pytest.MonkeyPatch.context() as patch:

        def make(**more: str) -> House:
            home = tmp_path_factory.mktemp("home")
            for name, value in {
                "HOME": str(home / "var"),
                "WAREHOUSE_DSN": new_warehouse().dsn,
                "PROVIDER": "files",
                "FILES_PATH": str(home / "bars"),
                "FILES_REFERENCE": str(home / "reference.csv"),
                "UNIVERSE_PATH": str(home / "universe.csv"),
                "HISTORY_START": DAYS[0].isoformat(),
                "RESTATEMENT_BUDGET": "1",
                "QUARANTINE_BUDGET": "1",
                "MIN_ROWS_RATIO": "0",
                **more,
            }.items():
                patch.setenv(f"AFTERBELL_{name}", value)
            settings.cache_clear()
            return House(home, postgres, settings())

        yield make


class Chronicle:
    """All pasts so far: what was believed at each instant, and what each night read of it."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._source = Source()
        self._believed = [Belief()]
        self._instants: list[datetime] = []
        self._days: set[int] = set()
        self._told: dict[tuple[int, int], str] = {}
        vendor.grow(self._source, 3)

    def live(self, chapter: Chapter) -> None:
        """Change, delivery, and its night; then the past that was looked at longest ago."""
        chapter.change(self._source, chapter.company, chapter.day)
        first, last = chapter.order.span(self._source)
        tickers = chapter.order.tickers(self._source)
        known = self._house.deliver(self._source, chapter.order, chapter.kill)
        self._believed.append(self._believed[-1].after(self._source, DAYS[first], DAYS[last], tickers))
        self._instants.append(known.known_at)
        self._days.add(last)
        self._compare(last, len(self._instants) - 1)
        self._compare(*next(iter(self._told)))

    def look_back(self) -> None:
        """Every as_of with every known_at: those that no night had, too."""
        for number in range(len(self._instants)):
            for day in sorted(self._days | {self._source.until - 1}):
                self._compare(day, number)

    def _compare(self, day: int, number: int) -> None:
        """With what was believed then, and, to the last byte, with what was read of it before."""
        found = self._house.adjusted(day, self._instants[number])
        expected = self._believed[number + 1].adjusted(DAYS[day])
        pd.testing.assert_frame_equal(found, expected, rtol=1e-12, atol=0)
        before = self._told.pop((day, number), None)
        self._told[day, number] = frame_digest(found)
        assert before in {None, self._told[day, number]}


@pytest.mark.timeout(1800 + 20 * STORIES)  # a story that fails is made shorter for five minutes
@hypothesis_settings(
    max_examples=STORIES,
    derandomize="STORIES" not in os.environ,  # the same stories in every run; other ones when asked for more
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(story=st.lists(CHAPTERS, min_size=2, max_size=4))
@example(
    story=[
        Chapter(vendor.reuse, "AAA", 3),
        Chapter(vendor.split, HEIR, 7, Order(), Kill(60, same_attempt=True, whole_process=True)),
        Chapter(vendor.pay, "BBB", 2, Order("backfill", 1, 4), Kill(20, same_attempt=True)),
    ]
)
def test_a_past_night_reads_the_same_whatever_comes_later(
    new_house: Callable[..., House], story: list[Chapter]
) -> None:
    with unchecked(), lent_connections():
        chronicle = Chronicle(new_house())
        for chapter in [FIRST, *story]:
            chronicle.live(chapter)
        chronicle.look_back()


def test_a_landing_killed_at_any_statement_is_whole_when_the_attempt_comes_again(
    new_house: Callable[..., House],
) -> None:
    undisturbed = new_house()
    with counted() as count:
        _land(undisturbed, _after(), "after")
    landed = undisturbed.tables()
    assert len(landed["landed_parts"]) == len(("reference", "2014", "members"))
    for at in range(count.statements + 1):
        house = new_house()
        # With the last number the delivery is there, and nobody hears of it.
        with suppress(WarehouseUnavailable), doomed(losing(house.server), at):
            _land(house, _after(), "after")
            assert at == count.statements
        _land(house, _after(), "after")
        assert house.tables() == landed, at


@pytest.mark.parametrize("budget", ["1", "0.01"], ids=["taken in", "refused"])
def test_a_delivery_killed_at_any_statement_leaves_nothing_half_done(
    new_house: Callable[..., House], budget: str
) -> None:
    def judge(ingest_id: str) -> None:
        with nullcontext() if budget == "1" else pytest.raises(SuiteFailed, match="known bars that changed"):
            validate.run(ingest_id)

    with remembered(), lent_connections():
        undisturbed = new_house(RESTATEMENT_BUDGET=budget)
        _tell(undisturbed, _before(), "before")
        before = undisturbed.tables()
        landed = _land(undisturbed, _after(), "after")
        seen_before = undisturbed.tables()
        with counted() as count:
            judge(landed)
        expected = undisturbed.tables()
        changed = {name for name in expected if expected[name] != before[name]}
        assert changed == (TAKEN_IN if budget == "1" else REFUSED)
        assert count.statements > 40

        house = new_house(RESTATEMENT_BUDGET=budget)
        _tell(house, _before(), "before")
        landed = _land(house, _after(), "after")
        for at in range(count.statements):
            with doomed(losing(house.server), at), pytest.raises(WarehouseUnavailable):
                validate.run(landed)
            assert house.tables() == seen_before, at
        for _ in range(2):  # the second time as if it had been killed after its commit
            judge(landed)
            assert house.tables() == expected


REFUSED = {"check_results", "ingest_runs", "landed_parts", "quarantine"}
TAKEN_IN = REFUSED | {
    "actions", "bar_revisions", "bars", "instrument_facts", "sessions", "symbols", "tickers", "universe_members",
    "instruments",
}  # fmt: skip


def _before() -> Source:
    """What the vendor says at first."""
    source = Source(members=[("AAA", None, None), ("BBB", None, DAYS[3])])
    vendor.grow(source, 4)
    vendor.split(source, "BBB", 2)
    vendor.pay(source, "AAA", 1)
    return source


def _after() -> Source:
    """What it says then: something else of everything that can be said."""
    source = replace(_before(), called="Corp.", members=[("AAA", None, DAYS[2]), ("CCC", DAYS[1], None)])
    vendor.take_back(source, "BBB", 0)
    vendor.extend(source, "AAA", 0)
    vendor.correct(source, "AAA", 1)
    vendor.pay(source, "AAA", 3)
    vendor.rename(source, "CCC", 2)
    vendor.reuse(source, "BBB", 3)
    vendor.extend(source, "AAA", 2)
    source.bars["AAA", DAYS[0]] = (20.0, 10.0, 30.0, 20.0, 1000.0)  # high below low
    return source


def _land(house: House, source: Source, attempt: str) -> str:
    source.write(house.folder)
    return ingest.run(attempt=attempt)["ingest_id"]


def _tell(house: House, source: Source, attempt: str) -> None:
    validate.run(_land(house, source, attempt))
