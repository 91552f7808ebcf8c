"""What the page and the API read: rows given by hand, and the answers that must come out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection

from ml.errors import WarehouseUnavailable
from ml.io import serving
from ml.settings import settings
from tests.sql.seed import PAST, at, close, insert, prediction

THU, FRI, MON, TUE = close("2024-04-25"), close("2024-04-26"), close("2024-04-29"), close("2024-04-30")


@pytest.fixture
def book(warehouse_dsn: str, reader_dsn: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """The write role's connection to seed with; the settings name the reader's address."""
    monkeypatch.setenv("AFTERBELL_READER_DSN", reader_dsn)
    settings.cache_clear()
    with closing(psycopg2.connect(warehouse_dsn)) as connection:
        connection.autocommit = True
        yield connection


def given_models(book: Connection) -> None:
    scores = {"log_loss": 0.69, "baseline_log_loss": 0.7}
    versions = [("1d", 1), ("1d", 2), ("5d", 1), ("20d", 1)]
    rows = [{"target": t, "version": v, "training_key": f"{t} {v}", "scores": scores} for t, v in versions]
    insert(book, "lifecycle.model_versions", *rows)


def given_bars(book: Connection, symbol: str, closes: dict[Any, float]) -> None:
    for ts, price in closes.items():
        ohlc = dict.fromkeys(("open", "high", "low", "close"), price)
        insert(book, "market.bars", {"symbol": symbol, "ts": ts, **ohlc})


def given_night(book: Connection, publication_id: int, as_of: Any, *rows: Any, **more: Any) -> None:
    insert(book, "lifecycle.publications", {"publication_id": publication_id, "as_of": as_of, **more})
    insert(book, "lifecycle.predictions", *rows)


def test_latest_predictions_are_the_last_nights_filtered_by_symbol_and_horizon(book: Connection) -> None:
    given_models(book)
    given_night(book, 1, THU, prediction(1, "AAPL", "1d", THU, 0.9))
    given_night(
        book,
        2,
        FRI,
        prediction(2, "IBM", "1d", FRI, 0.4, matures_at=MON),
        prediction(2, "AAPL", "20d", FRI, 0.6, matures_at=close("2024-05-24")),
        prediction(2, "AAPL", "5d", FRI, 0.5, matures_at=close("2024-05-03")),
    )

    def keys(**filters: str) -> list[tuple[str, str]]:
        return [(row["symbol"], row["horizon"]) for row in serving.latest_predictions(**filters)]

    assert keys() == [("AAPL", "5d"), ("AAPL", "20d"), ("IBM", "1d")]
    assert keys(symbol="AAPL") == [("AAPL", "5d"), ("AAPL", "20d")]
    assert keys(horizon="1d") == [("IBM", "1d")]
    assert keys(symbol="AAPL", horizon="20d") == [("AAPL", "20d")]
    assert keys(symbol="' or 1 = 1 --") == []


def test_rows_are_ready_for_json_with_instants_in_utc_and_no_nan(book: Connection) -> None:
    given_models(book)
    given_night(
        book,
        1,
        FRI,
        prediction(1, "AAPL", "1d", FRI, 0.6, matures_at=MON, price_target=float("nan"), price_lower=None),
        known_at=at("2024-04-26 22:15"),
    )
    (row,) = json.loads(json.dumps(serving.latest_predictions(), allow_nan=False))
    assert row["as_of"] == "2024-04-26T20:00:00Z"
    assert row["matures_at"] == "2024-04-29T20:00:00Z"
    assert row["data_cutoff"] == "2024-04-26T22:15:00Z"
    assert (row["price_target"], row["price_lower"], row["price_upper"]) == (None, None, 110.0)
    assert (row["p_up"], row["direction"], row["has_skill"], row["model_version"]) == (0.6, "up", True, 1)


def test_freshness_tells_fresh_stale_and_replayed_publications_apart(book: Connection) -> None:
    def shown() -> tuple[int, bool, bool]:
        (row,) = serving.freshness()
        return row["publication_id"], row["is_stale"], row["is_replay"]

    assert serving.freshness() == []
    insert(book, "lifecycle.publications", {"publication_id": 1, "as_of": THU, "expires_at": None})
    assert shown() == (1, False, True)
    insert(book, "lifecycle.publications", {"publication_id": 2, "as_of": FRI, "row_count": 15})
    assert shown() == (2, False, False)
    insert(book, "lifecycle.publications", {"publication_id": 3, "as_of": MON, "expires_at": PAST})
    assert shown() == (3, True, False)
    insert(book, "lifecycle.publications", {"publication_id": 4, "as_of": TUE})
    insert(book, "market.ingest_runs", {"ingest_id": 1, "as_of": close("2024-05-01"), "status": "failed"})
    assert shown() == (4, True, False)


def test_champions_are_the_last_promoted_versions_shortest_horizon_first(book: Connection) -> None:
    given_models(book)
    assert serving.champions() == []
    for number, (target, version) in enumerate([("1d", 1), ("20d", 1), ("5d", 1), ("1d", 2)], start=1):
        insert(book, "lifecycle.decisions", {"decision_id": number, "target": target, "candidate_version": version})
        insert(book, "lifecycle.promotions", {"decision_id": number, "target": target, "to_version": version})
    champions = serving.champions()
    assert [(row["horizon"], row["model_version"]) for row in champions] == [("1d", 2), ("5d", 1), ("20d", 1)]
    assert (champions[0]["log_loss"], champions[0]["baseline_log_loss"]) == (0.69, 0.7)
    assert champions[0]["has_skill"] is False


def test_prices_before_a_split_are_shown_in_the_shares_of_the_last_bar(book: Connection) -> None:
    insert(book, "market.ingest_runs", {"ingest_id": 1, "as_of": TUE})
    given_bars(book, "IBM", {THU: 600.0, FRI: 300.0, MON: 310.0, TUE: 155.0})
    given_bars(book, "AAPL", {TUE: 1.0})
    insert(
        book,
        "market.actions",
        {"symbol": "IBM", "ex_date": date(2024, 4, 26), "kind": "split", "value": 2.0},
        {"symbol": "IBM", "ex_date": date(2024, 4, 30), "kind": "split", "value": 2.0},
        {"symbol": "IBM", "ex_date": date(2024, 5, 1), "kind": "split", "value": 10.0},
        {"symbol": "IBM", "ex_date": date(2024, 4, 29), "kind": "dividend", "value": 1.5},
        {"symbol": "AAPL", "ex_date": date(2024, 4, 29), "kind": "split", "value": 7.0},
    )
    series = serving.price_series("IBM")
    assert [row["session"] for row in series] == ["2024-04-25", "2024-04-26", "2024-04-29", "2024-04-30"]
    assert [row["close"] for row in series] == [600.0, 300.0, 310.0, 155.0]
    assert [row["split_factor"] for row in series] == pytest.approx([4.0, 2.0, 2.0, 1.0])
    assert [row["adjusted_close"] for row in series] == pytest.approx([150.0, 150.0, 155.0, 155.0])
    assert [(row["ex_date"], row["kind"], row["value"]) for row in serving.actions("IBM")] == [
        ("2024-04-26", "split", 2.0),
        ("2024-04-29", "dividend", 1.5),
        ("2024-04-30", "split", 2.0),
    ]


def test_sessions_of_a_market_that_closes_at_midnight_are_the_days_before(book: Connection) -> None:
    """Bars of the 9th, 10th and 11th of March, a split on the 11th: the close of the 10th is dated the 11th."""
    ninth, tenth, eleventh = (at(f"2024-03-{day} 00:00") for day in (10, 11, 12))
    given_models(book)
    insert(book, "market.ingest_runs", {"ingest_id": 1, "as_of": eleventh})
    given_bars(book, "BTC", {ninth: 200.0, tenth: 200.0, eleventh: 100.0})
    insert(
        book,
        "market.actions",
        {"symbol": "BTC", "ex_date": date(2024, 3, 11), "kind": "split", "value": 2.0},
        {"symbol": "BTC", "ex_date": date(2024, 3, 12), "kind": "split", "value": 10.0},
    )
    insert(
        book,
        "market.quarantine",
        {"symbol": "BTC", "session": date(2024, 3, 11), "reason": "a reason"},
        {"symbol": "BTC", "session": date(2024, 3, 12), "reason": "a reason"},
    )
    series = serving.price_series("BTC")
    assert [row["session"] for row in series] == ["2024-03-09", "2024-03-10", "2024-03-11"]
    assert [row["adjusted_close"] for row in series] == pytest.approx([100.0, 100.0, 100.0])
    assert [row["ex_date"] for row in serving.actions("BTC")] == ["2024-03-11"]
    given_night(book, 1, tenth, prediction(1, "BTC", "5d", tenth, 0.6, price=200.0))
    given_night(book, 2, eleventh, prediction(2, "BTC", "5d", eleventh, 0.6, price=100.0))
    assert [row["adjusted_price"] for row in serving.prediction_series("BTC", "5d")] == pytest.approx([100.0, 100.0])
    counts = serving.session_counts("2024-03-12T00:00:00Z")
    assert [(row["session"], row["bars"], row["quarantined"]) for row in counts] == [
        ("2024-03-09", 1, 0),
        ("2024-03-10", 1, 0),
        ("2024-03-11", 1, 1),
    ]


def test_a_series_holds_the_last_sessions_that_were_asked_for_oldest_first(book: Connection) -> None:
    insert(book, "market.ingest_runs", {"ingest_id": 1, "as_of": TUE})
    given_bars(book, "IBM", {THU: 1.0, FRI: 2.0, MON: 3.0, TUE: 4.0})
    assert [row["close"] for row in serving.price_series("IBM", sessions=2)] == [3.0, 4.0]
    assert serving.price_series("nobody") == []
    assert serving.actions("nobody") == []


def test_prediction_series_is_the_last_word_of_each_night_in_the_shares_of_the_last_bar(book: Connection) -> None:
    given_models(book)
    insert(book, "market.ingest_runs", {"ingest_id": 1, "as_of": MON})
    given_bars(book, "IBM", {THU: 200.0, FRI: 100.0, MON: 100.0})
    insert(book, "market.actions", {"symbol": "IBM", "ex_date": date(2024, 4, 26), "kind": "split", "value": 2.0})
    before = {"price": 200.0, "price_target": 220.0, "price_lower": 180.0, "price_upper": 240.0}
    given_night(book, 1, THU, prediction(1, "IBM", "5d", THU, 0.1, **before))
    given_night(book, 2, THU, prediction(2, "IBM", "5d", THU, 0.6, **before), prediction(2, "IBM", "1d", THU, 0.6))
    given_night(book, 3, FRI, prediction(3, "IBM", "5d", FRI, 0.5), prediction(3, "AAPL", "5d", FRI, 0.7))
    series = serving.prediction_series("IBM", "5d")
    assert [(row["as_of"], row["p_up"]) for row in series] == [
        ("2024-04-25T20:00:00Z", 0.6),
        ("2024-04-26T20:00:00Z", 0.5),
    ]
    assert [row["price_target"] for row in series] == [220.0, 100.0]
    adjusted = [[row[f"adjusted_{name}"] for name in ("price", "target", "lower", "upper")] for row in series]
    assert adjusted == [pytest.approx([100.0, 110.0, 90.0, 120.0]), pytest.approx([100.0, 100.0, 90.0, 110.0])]
    assert [row["p_up"] for row in serving.prediction_series("IBM", "5d", nights=1)] == [0.5]


def test_a_server_that_is_not_there_is_named_without_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFTERBELL_READER_DSN", "postgresql://afterbell_reader:hush@127.0.0.1:9/afterbell")
    settings.cache_clear()
    with pytest.raises(WarehouseUnavailable, match="AFTERBELL_READER_DSN") as caught:
        serving.freshness()
    assert "hush" not in str(caught.value)
