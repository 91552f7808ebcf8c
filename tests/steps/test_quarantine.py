"""Reviewing refused rows: what is released becomes bars, once and for good; what is rejected stays out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ml.errors import FrameError, SettingsError
from ml.io.store import Store
from ml.io.warehouse import Warehouse, deliveries
from ml.io.warehouse import quarantine as kept
from ml.settings import Settings, settings
from ml.stack.waiting import wait_until
from ml.steps import features, ingest, months, quarantine, validate
from ml.steps.night import asked_for
from tests.steps.market import invented, seen, write

SYMBOLS = ("AAA", "BBB", "CCC")
FIRST, LAST = pd.Timestamp("2014-05-01"), pd.Timestamp("2014-08-29")
CROOKED, HALTED = pd.Timestamp("2014-06-02"), pd.Timestamp("2014-06-03")
STATES = "select symbol, session::text, state, reviewed_by, why from serving.quarantine order by 1, 2, close"
BARS = "select symbol, ts::date::text, high, close from serving.bars where symbol = 'AAA' and ts::date = '2014-06-02'"
WAITING = (
    "select count(*) from pg_locks where locktype = 'advisory' and not granted"
    " and database = (select oid from pg_database where datname = current_database())"
)
ANN: dict[str, Any] = {"why": "the exchange confirms it", "reviewed_by": "ann"}


def market_with_faults() -> pd.DataFrame:
    """One bar whose high is below its close, and one halt row, both of AAA."""
    frame = invented(SYMBOLS, FIRST.date(), LAST.date())
    own = frame["symbol"] == "AAA"
    crooked = own & (frame["date"] == CROOKED)
    frame.loc[crooked, ["open", "high", "low", "close"]] = [50.0, 50.5, 49.0, 51.0]
    frame.loc[own & (frame["date"] == HALTED), ["open", "high", "low", "volume"]] = 0.0
    return frame


@pytest.fixture
def folder(market: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the provider finds the market with its faults; so few rows make a large share of it."""
    monkeypatch.setenv("AFTERBELL_QUARANTINE_BUDGET", "0.1")
    settings.cache_clear()
    write(market, market_with_faults())
    return market


def night() -> dict[str, str]:
    return validate.run(ingest.run()["ingest_id"])


def test_a_released_row_becomes_a_bar_at_once_and_is_never_refused_again(folder: Path, reader_dsn: str) -> None:
    before = night()
    assert seen(reader_dsn, BARS) == []
    assert quarantine.review("release", symbols=["AAA"], reason="high below close", **ANN)["rows"] == "1"
    after = quarantine.take_in()
    assert after is not None
    assert after["as_of"] == before["as_of"]
    assert after["known_at"] > before["known_at"]
    assert seen(reader_dsn, BARS) == [("AAA", "2014-06-02", 50.5, 51.0)]
    assert seen(reader_dsn, STATES) == [
        ("AAA", "2014-06-02", "released", "ann", "the exchange confirms it"),
        ("AAA", "2014-06-03", "open", None, None),
    ]
    night()
    assert seen(reader_dsn, "select quarantined_rows, inserted_rows, restated_rows from serving.ingest_runs "
                            "order by ingest_id") == [(2, 3 * 85 - 2, 0), (0, 1, 0), (1, 0, 0)]  # fmt: skip


def test_the_night_that_is_computed_anew_sees_the_released_row_and_the_old_one_is_replayed_without_it(
    folder: Path, stack_settings: Settings
) -> None:
    before = features.run(**night())
    quarantine.review("release", symbols=["AAA"], reason="high below close", **ANN)
    announced = quarantine.take_in()
    assert announced is not None
    # As a run of equity_features finds it that the announcement has started.
    after = features.run(**asked_for("equity", announced["as_of"], None))
    assert (after["as_of"], after["known_at"]) == (before["as_of"], announced["known_at"])
    assert after["snapshot"] != before["snapshot"]
    assert _sessions_of_aaa(after) == _sessions_of_aaa(before) | {CROOKED.date()}
    replayed = asked_for("equity", announced["as_of"], before["known_at"])
    assert features.run(**replayed)["snapshot"] == before["snapshot"]


def _sessions_of_aaa(keys: dict[str, str]) -> set[date]:
    adjusted = months.adjusted(Store(settings().store_root), "equity", keys["snapshot"])
    return set(adjusted.loc[adjusted["symbol"] == "AAA", "ts"].dt.date)


def test_taking_in_twice_or_with_nothing_to_take_in_changes_nothing(folder: Path, reader_dsn: str) -> None:
    assert quarantine.take_in() is None
    night()
    assert quarantine.take_in() is None
    quarantine.review("release", symbols=["AAA"], reason="high below close", **ANN)
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: quarantine.take_in(), range(2)))
    assert any(answers)
    assert quarantine.take_in() is None
    assert quarantine.review("release", symbols=["AAA"], reason="high below close", **ANN)["rows"] == "0"
    assert seen(reader_dsn, BARS) == [("AAA", "2014-06-02", 50.5, 51.0)]


def test_a_release_that_was_killed_before_it_was_noted_is_not_landed_again(
    folder: Path, reader_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    night()
    quarantine.review("release", symbols=["AAA"], reason="high below close", **ANN)
    with monkeypatch.context() as patch:
        patch.setattr(kept, "taken_in", _killed)
        with pytest.raises(KeyboardInterrupt):
            quarantine.take_in()
    assert quarantine.take_in() is not None
    assert seen(reader_dsn, "select count(*) from serving.ingest_runs where kind = 'release'") == [(1,)]
    assert quarantine.take_in() is None


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_release_keeps_the_actions_that_are_believed(folder: Path, reader_dsn: str) -> None:
    night()
    warehouse = Warehouse(settings().require_warehouse_dsn())
    with warehouse.transaction() as transaction:
        ingest_row = deliveries.find(warehouse, 1)
        transaction.execute("incoming_actions")
        transaction.copy(
            "incoming_actions_copy",
            pd.DataFrame([{"symbol": "AAA", "ex_date": "2014-06-02", "kind": "dividend", "value": 0.5}]),
        )
        transaction.execute("actions_insert", {"known_at": ingest_row["known_at"], "ingest_id": 1, "yields": False})
    quarantine.review("release", symbols=["AAA"], reason="high below close", **ANN)
    quarantine.take_in()
    assert seen(reader_dsn, "select ex_date::text, kind, value from serving.actions") == [
        ("2014-06-02", "dividend", 0.5)
    ]


def test_an_action_that_a_night_brings_while_a_release_is_on_its_way_is_kept(folder: Path, reader_dsn: str) -> None:
    night()
    quarantine.review("release", symbols=["AAA"], reason="high below close", **ANN)
    warehouse = Warehouse(settings().require_warehouse_dsn())
    with ThreadPoolExecutor(1) as pool:
        with (
            warehouse.transaction() as transaction
        ):  # stands for the night, which holds the bars' lock as it is taken in
            transaction.lock("market.bars")
            release = pool.submit(quarantine.take_in)
            assert wait_until(lambda: seen(reader_dsn, WAITING) == [(1,)], 60)
            transaction.execute("incoming_actions")
            paid = pd.DataFrame([{"symbol": "AAA", "ex_date": "2014-06-02", "kind": "dividend", "value": 0.5}])
            transaction.copy("incoming_actions_copy", paid)
            known_at = transaction.one("knowledge_instant")["known_at"]
            transaction.execute("actions_insert", {"known_at": known_at, "ingest_id": 1, "yields": False})
        assert release.result() is not None
    assert seen(reader_dsn, BARS) == [("AAA", "2014-06-02", 50.5, 51.0)]
    assert seen(reader_dsn, "select ex_date::text, value from serving.actions") == [("2014-06-02", 0.5)]


def test_a_release_may_change_a_bar_that_was_believed(folder: Path, reader_dsn: str) -> None:
    """A person vouches for it: the budget for what a source rewrites by itself does not hold here."""
    frame = market_with_faults()
    crooked = (frame["symbol"] == "AAA") & (frame["date"] == CROOKED)
    write(folder, frame.assign(high=frame["high"].where(~crooked, 51.5)))
    night()
    write(folder, frame)
    night()
    assert seen(reader_dsn, BARS) == [("AAA", "2014-06-02", 51.5, 51.0)]
    quarantine.review("release", symbols=["AAA"], reason="high below close", **ANN)
    assert quarantine.take_in() is not None
    assert seen(reader_dsn, BARS) == [("AAA", "2014-06-02", 50.5, 51.0)]


def test_rows_that_can_never_be_bars_are_refused_by_name_and_nothing_is_released(folder: Path, reader_dsn: str) -> None:
    night()
    with pytest.raises(FrameError, match=r"AAA 2014-06-03 \(halt row") as caught:
        quarantine.review("release", symbols=["AAA"], **ANN)
    assert "2014-06-02" not in str(caught.value)
    assert {row[2] for row in seen(reader_dsn, STATES)} == {"open"}
    assert quarantine.review("reject", symbols=["AAA"], reason="halt", **ANN)["rows"] == "1"
    night()
    assert [row[2] for row in seen(reader_dsn, STATES)] == ["open", "rejected"]


def test_of_two_rows_for_one_bar_only_one_may_be_released(folder: Path, reader_dsn: str) -> None:
    frame = market_with_faults()
    other = frame[(frame["symbol"] == "BBB") & (frame["date"] == CROOKED)]
    write(folder, pd.concat([frame, other.assign(close=other["close"] + 0.01, high=other["high"] + 1)]))
    night()
    with pytest.raises(FrameError, match=r"BBB 2014-06-02 \(different rows for one symbol and date"):
        quarantine.review("release", symbols=["BBB"], **ANN)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"verdict": "release", "why": "because"}, "whole quarantine"),
        ({"verdict": "release", "why": "  ", "symbols": ["AAA"]}, "no word on why"),
        ({"verdict": "forget", "why": "because", "symbols": ["AAA"]}, "one of release, reject"),
        ({"verdict": "reject", "why": "because", "first_session": "June"}, "first_session 'June'"),
    ],
)
def test_a_form_that_cannot_be_used_is_refused(form: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        quarantine.review(**form)


def test_rows_of_a_night_that_was_stopped_wait_for_it(
    folder: Path, reader_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Released rows of a night that never came in are taken in by that night itself."""
    monkeypatch.setenv("AFTERBELL_QUARANTINE_BUDGET", "0.004")
    settings.cache_clear()
    with pytest.raises(Exception, match="share of rows in quarantine"):
        night()
    quarantine.review("release", symbols=["AAA"], reason="high below close", **ANN)
    assert quarantine.take_in() is None
    night()
    assert seen(reader_dsn, BARS) == [("AAA", "2014-06-02", 50.5, 51.0)]
