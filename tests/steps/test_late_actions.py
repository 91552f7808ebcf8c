"""Actions that are read back from adjusted closes, recorded late, corrected or taken back: what is believed of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ml.settings import Settings, settings
from ml.steps import backfill, ingest, validate
from tests.steps.market import LAST, invented, seen, write

NOW = "select symbol, ex_date::text, kind, value from serving.actions order by 1, 2, 3"
APPLE = ("AAPL", "2005-02-28", "split", 2.0)
FEW = ("AAA", "BBB")
PRICES = ["open", "high", "low", "close"]


def settled(monkeypatch: pytest.MonkeyPatch, **changed: str) -> None:
    for name, value in changed.items():
        monkeypatch.setenv(f"AFTERBELL_{name}", value)
    settings.cache_clear()


def night(as_of: str | None = None) -> None:
    validate.run(ingest.run(as_of)["ingest_id"])


def filled(start: str, end: str, chunk: str, symbols: tuple[str, ...] = ()) -> None:
    for each in backfill.plan(start, end, symbols, chunk):
        backfill.run(**each, attempt=f"{start} {chunk}")


def dated(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [row[:3] for row in rows]


@pytest.fixture
def sample(stack_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settled(monkeypatch, PROVIDER="sample", SYMBOLS="AAPL,IBM", HISTORY_START="2004-01-01")


@pytest.mark.usefixtures("sample")
def test_a_backfill_by_the_month_leaves_the_actions_of_the_nights_alone(reader_dsn: str) -> None:
    night("2006-12-29")
    before = seen(reader_dsn, NOW)
    assert APPLE in before
    assert len(before) > 10
    filled("2004-06-01", "2005-05-31", "month")
    filled("2005-02-28", "2005-02-28", "year")
    assert seen(reader_dsn, NOW) == before


@pytest.mark.usefixtures("sample")
def test_a_backfill_of_what_no_night_spoke_of_finds_the_action_on_the_first_session_of_a_chunk(
    reader_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled(monkeypatch, HISTORY_START="2006-01-03")
    night("2006-12-29")
    filled("2005-02-28", "2005-03-31", "month")
    assert seen(reader_dsn, NOW)[0] == APPLE
    early = len(seen(reader_dsn, NOW))
    filled("2004-06-01", "2005-12-30", "month")
    by_month = seen(reader_dsn, NOW)
    assert early < len(by_month)
    settled(monkeypatch, HISTORY_START="2004-06-01")
    night("2006-12-29")
    assert dated(by_month) == dated(seen(reader_dsn, NOW))  # the very days of the whole history


def test_what_cannot_be_derived_is_not_taken_back(market: Path, reader_dsn: str) -> None:
    """A file that was cut right before a split says nothing about that split."""
    halved = invented(FEW, pd.Timestamp("2014-06-02").date(), LAST.date()).assign(adj_close=lambda rows: rows["close"])
    old = (halved["symbol"] == "AAA") & (halved["date"] < "2014-07-01")
    halved.loc[old, PRICES] *= 2
    write(market, halved)
    night()
    expected = [("AAA", "2014-07-01", "split", 2.0)]
    assert seen(reader_dsn, NOW) == expected
    write(market, halved[halved["date"] >= "2014-07-01"])
    night()
    assert seen(reader_dsn, NOW) == expected


@pytest.mark.usefixtures("sample")
def test_a_shorter_history_keeps_the_action_on_its_first_session(
    reader_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    night("2006-12-29")
    before = seen(reader_dsn, NOW)
    settled(monkeypatch, HISTORY_START="2005-02-28")
    night("2006-12-29")
    assert APPLE in seen(reader_dsn, NOW)
    assert dated(seen(reader_dsn, NOW)) == dated(before)
