"""History on demand: chunks end with sessions, may be killed, repeated and doubled, and come to the same bars."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg2
import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from ml.equity import sessions
from ml.errors import FrameError, NotRecorded, SettingsError, SuiteFailed
from ml.frames import RECEIVED, REFERENCE
from ml.io.market_data import Part, Request
from ml.io.store import Store
from ml.io.warehouse import Warehouse, deliveries
from ml.settings import REPOSITORY, settings
from ml.stack.waiting import wait_until
from ml.steps import backfill, ingest
from tests.servers import WarehouseAddress
from tests.steps.market import SYMBOLS, bars, seen, write

BARS = "select symbol, ts, open, high, low, close, volume from serving.bars order by symbol, ts"
RUNS = "select ingest_id, inserted_rows, restated_rows from serving.ingest_runs where status = 'accepted' order by 1"


def spans(chunks: list[dict[str, str]]) -> list[tuple[str, str]]:
    return [(chunk["start"], chunk["end"]) for chunk in chunks]


def test_chunks_begin_and_end_with_sessions_and_carry_the_last_close(market: Path) -> None:
    chunks = backfill.plan("2013-03-02", "2013-05-31", chunk="month")  # a Saturday; Good Friday is the 29th
    assert spans(chunks) == [("2013-03-04", "2013-03-28"), ("2013-04-01", "2013-04-30"), ("2013-05-01", "2013-05-31")]
    assert [chunk["as_of"] for chunk in chunks] == [
        "2013-03-28T20:00:00+00:00",
        "2013-04-30T20:00:00+00:00",
        "2013-05-31T20:00:00+00:00",
    ]


def test_without_an_end_the_last_session_of_the_source_is_the_end(market: Path) -> None:
    assert backfill.plan("2014-08-01")[-1]["end"] == "2014-08-29"


def test_the_whole_market_goes_by_the_month_and_few_symbols_by_the_year(
    market: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(backfill.plan("2013-01-01", "2013-12-31")) == 12
    assert len(backfill.plan("2013-01-01", "2013-12-31", [f"S{n}" for n in range(101)])) == 12
    assert len(backfill.plan("2013-01-01", "2013-12-31", ["AAA"], chunk="quarter")) == 4
    (chunk,) = backfill.plan("2013-01-01", "2013-12-31", ["BBB", " AAA ", "AAA", ""])
    assert chunk["symbols"] == "AAA,BBB"
    monkeypatch.setenv("AFTERBELL_SYMBOLS", "CCC,DDD")
    settings.cache_clear()
    assert [chunk["symbols"] for chunk in backfill.plan("2013-01-01", "2013-12-31")] == ["CCC,DDD"]


def test_the_universe_is_everybody_who_belonged_on_a_day_of_the_span(
    market: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SettingsError, match="no AFTERBELL_UNIVERSE_PATH"):
        backfill.plan("2013-03-01", universe=True)
    listed = market.parent / "universe.csv"
    ends = "AAA,,\nBBB,,2013-03-01\nCCC,,2013-03-02\nDDD,2013-03-28,\nEEE,2013-03-29,\nFFF,2013-01-02,2013-02-01\n"
    listed.write_text(f"symbol,from,to\n{ends}FFF,2013-03-04,2013-03-05\n")
    monkeypatch.setenv("AFTERBELL_UNIVERSE_PATH", str(listed))
    monkeypatch.setenv("AFTERBELL_SYMBOLS", "AAA")
    settings.cache_clear()
    (chunk,) = backfill.plan("2013-03-01", "2013-03-28", universe=True)
    assert chunk["symbols"] == "AAA,CCC,DDD,FFF"
    assert backfill.plan("2013-03-01", "2013-03-28")[0]["symbols"] == "AAA"
    with pytest.raises(SettingsError, match="symbols and the universe"):
        backfill.plan("2013-03-01", "2013-03-28", ["AAA"], universe=True)


DAYS = st.dates(date(2013, 1, 2), date(2014, 8, 29))


@effort(deadline=None, max_examples=40)
@given(DAYS, DAYS, st.sampled_from(sorted(backfill.CHUNKS)))
def test_chunks_hold_every_session_of_the_span_once(one: date, other: date, size: str) -> None:
    first, last = min(one, other), max(one, other)
    expected = list(sessions.closes("XNYS", first, last).index)
    found = []
    for start, end, as_of in backfill._chunks("XNYS", first, last, size):
        assert as_of == sessions.close_of("XNYS", end)
        found += list(sessions.closes("XNYS", start, end).index)
    assert found == expected


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"start": "2013-03-01", "end": "2014-09-02"}, "the last session that the source has"),
        ({"start": "2013-03-02", "end": "2013-03-03"}, "no session of XNYS"),
        ({"start": "2013-05-01", "end": "2013-04-01"}, "no session of XNYS"),
        ({"start": "yesterday"}, "the start 'yesterday'"),
        ({"start": "2013-03-01", "provider_name": "polygon"}, "AFTERBELL_PROVIDER files"),
        ({"start": "2013-03-01", "timeframe": "1h"}, "the timeframe '1h'"),
        ({"start": "2013-03-01", "chunk": "day"}, "one of month, quarter, year"),
    ],
)
def test_what_cannot_be_filled_in_is_refused_before_anything_is_asked_for(
    market: Path, asked: dict[str, Any], told: str
) -> None:
    with pytest.raises(SettingsError, match=told):
        backfill.plan(**asked)


def filled(chunks: list[dict[str, str]], attempt: str) -> list[dict[str, str]]:
    return [backfill.run(**chunk, attempt=attempt) for chunk in chunks]


def test_a_backfill_takes_in_its_span_and_counts_it(market: Path, reader_dsn: str) -> None:
    chunks = backfill.plan("2013-03-01", "2013-04-30")
    done = filled(chunks, "one")
    assert [each["inserted"] for each in done] == [str(20 * len(SYMBOLS)), str(22 * len(SYMBOLS))]
    assert backfill.summary(chunks, done) == [
        "2013-03-01 to 2013-03-28: 120 received, 120 inserted, 0 restated, 0 unchanged, 0 quarantined",
        "2013-04-01 to 2013-04-30: 132 received, 132 inserted, 0 restated, 0 unchanged, 0 quarantined",
        "in all: 252 received, 252 inserted, 0 restated, 0 unchanged, 0 quarantined",
    ]
    wanted = bars()
    wanted = wanted[wanted["date"].between(pd.Timestamp("2013-03-01"), pd.Timestamp("2013-04-30"))]
    assert [(symbol, close) for symbol, _, _, _, _, close, _ in seen(reader_dsn, BARS)] == list(
        wanted.sort_values(["symbol", "date"])[["symbol", "close"]].itertuples(index=False, name=None)
    )


def test_named_symbols_alone_are_taken_in(market: Path, reader_dsn: str) -> None:
    filled(backfill.plan("2013-03-01", "2013-04-30", ["CCC", "AAA"]), "one")
    assert seen(reader_dsn, "select distinct symbol from serving.bars order by 1") == [("AAA",), ("CCC",)]


def test_the_same_attempt_does_nothing_again_and_a_new_one_sees_corrections(market: Path, reader_dsn: str) -> None:
    chunks = backfill.plan("2013-03-01", "2013-03-28")
    first = filled(chunks, "one")
    corrected = bars()
    corrected.loc[(corrected["symbol"] == "AAA") & (corrected["date"] == pd.Timestamp("2013-03-04")), "volume"] += 1
    write(market, corrected)
    before = seen(reader_dsn, BARS)
    assert filled(chunks, "one") == first
    assert seen(reader_dsn, BARS) == before
    (again,) = filled(chunks, "two")
    assert (again["inserted"], again["restated"], again["unchanged"]) == ("0", "1", "119")


def test_the_summary_fails_while_a_chunk_is_missing_and_names_it(market: Path) -> None:
    chunks = backfill.plan("2013-03-01", "2013-04-30")
    done = filled(chunks[:1], "one")
    with pytest.raises(NotRecorded, match=r"1 of 2 chunks taken in; missing: 2013-04-01 to 2013-04-30"):
        backfill.summary(chunks, done)
    with pytest.raises(NotRecorded, match="the plan itself"):
        backfill.summary([], [])


def start(first: str, last: str, warehouse: WarehouseAddress, *more: str) -> subprocess.Popen[str]:
    """A backfill in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "ml", "backfill", "--start", first, "--end", last, "--chunk", "month", *more],
        cwd=REPOSITORY,
        env={**os.environ, "AFTERBELL_WAREHOUSE_DSN": warehouse.dsn, "GX_ANALYTICS_ENABLED": "false"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process: subprocess.Popen[str]) -> list[str]:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    told: list[str] = json.loads(out)["summary"]
    return told


def accepted(reader_dsn: str) -> list[tuple[object, ...]]:
    return seen(reader_dsn, RUNS)


def test_a_killed_backfill_goes_on_where_it_was(market: Path, warehouse: WarehouseAddress) -> None:
    name = ("--attempt", "mine")
    process = start("2013-02-01", "2013-05-31", warehouse, *name)
    assert wait_until(lambda: bool(accepted(warehouse.reader_dsn)), 60)
    process.kill()
    process.communicate()
    before = accepted(warehouse.reader_dsn)
    assert len(before) < 4
    assert len(finished(start("2013-02-01", "2013-05-31", warehouse, *name))) == 4 + 1
    after = accepted(warehouse.reader_dsn)
    assert after[: len(before)] == before
    assert [inserted for _, inserted, _ in after] == [days * len(SYMBOLS) for days in (19, 20, 22, 22)]


def test_a_backfill_killed_when_all_had_come_and_nothing_was_judged_asks_for_nothing(
    market: Path, warehouse: WarehouseAddress
) -> None:
    with closing(psycopg2.connect(warehouse.dsn)) as writer, writer.cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock(hashtext('market.bars'))")
        process = start("2013-02-01", "2013-02-28", warehouse, "--attempt", "mine")
        assert wait_until(lambda: states(warehouse) == [("landed", 19 * len(SYMBOLS))], 60)
        process.kill()
        process.communicate()
    other = bars()
    write(market, other.assign(volume=other["volume"] + 1))
    finished(start("2013-02-01", "2013-02-28", warehouse, "--attempt", "mine"))
    assert states(warehouse) == [("accepted", 19 * len(SYMBOLS))]
    landed = other[other["date"].between(pd.Timestamp("2013-02-01"), pd.Timestamp("2013-02-28"))]
    assert seen(warehouse.reader_dsn, "select sum(volume) from serving.bars") == [(landed["volume"].sum(),)]


def states(warehouse: WarehouseAddress) -> list[tuple[object, ...]]:
    return seen(warehouse.reader_dsn, "select status, received_rows from serving.ingest_runs order by ingest_id")


def test_a_chunk_that_was_refused_is_asked_for_again_by_the_same_attempt(
    market: Path, monkeypatch: pytest.MonkeyPatch, reader_dsn: str
) -> None:
    chunks = backfill.plan("2013-03-01", "2013-03-28")
    write(market, bars().assign(close=0.0))
    with pytest.raises(SuiteFailed):
        filled(chunks, "one")
    write(market, bars())
    (done,) = filled(chunks, "one")
    assert done["inserted"] == str(20 * len(SYMBOLS))


def test_what_landed_and_contradicts_itself_is_refused_and_asked_for_again_by_the_same_attempt(
    market: Path, warehouse: WarehouseAddress
) -> None:
    config, (chunk,) = settings(), backfill.plan("2013-03-01", "2013-03-28")
    span = Request(date.fromisoformat(chunk["start"]), date.fromisoformat(chunk["end"]))
    landed = ingest.land(config, "backfill", pd.Timestamp(chunk["as_of"]), span, f"one/{span.start}/{span.end}")
    two = pd.DataFrame({"symbol": "AAA", "instrument": ["one", "two"]}).reindex(columns=list(REFERENCE.columns))
    part = Part("reference", RECEIVED.empty(), reference=REFERENCE.cast(two))
    kept = ingest._kept(Store(config.store_root), "files", part)
    deliveries.land(Warehouse(warehouse.dsn), int(landed["ingest_id"]), kept)
    with pytest.raises(FrameError, match="two owners"):
        filled([chunk], "one")
    filled([chunk], "one")
    assert [status for status, _ in states(warehouse)] == ["failed", "accepted"]


def test_two_overlapping_backfills_at_once_come_to_the_bars_of_one_alone(
    market: Path, warehouse: WarehouseAddress, new_warehouse: Callable[[], WarehouseAddress]
) -> None:
    alone = new_warehouse()
    finished(start("2013-02-01", "2013-06-28", alone))
    expected = seen(alone.reader_dsn, BARS)
    assert len(expected) == 103 * len(SYMBOLS)
    both = [start("2013-02-01", "2013-05-31", warehouse), start("2013-03-01", "2013-06-28", warehouse)]
    for process in both:
        finished(process)
    assert seen(warehouse.reader_dsn, BARS) == expected
    done = accepted(warehouse.reader_dsn)
    assert sum(int(str(inserted)) for _, inserted, _ in done) == len(expected)
    assert {restated for _, _, restated in done} == {0}
