"""docs/sql.md stays true: its columns are the views' columns, and each of its queries is run on known rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection
from psycopg2.extras import RealDictCursor

from ml.settings import REPOSITORY, settings
from tests.servers import WarehouseAddress
from tests.sql.seed import at, close

PAGE = (REPOSITORY / "docs" / "sql.md").read_text(encoding="utf-8")
QUERIES = dict(re.findall(r"^### (\d+)\. .*?```sql\n(.*?)```", PAGE, flags=re.DOTALL | re.MULTILINE))
SHORT_TYPES = {"timestamp with time zone": "timestamptz"}

Answer = list[dict[str, Any]]


@pytest.fixture
def reader(told: WarehouseAddress) -> Iterator[Connection]:
    with closing(psycopg2.connect(told.reader_dsn, cursor_factory=RealDictCursor)) as connection:
        yield connection


def answer(reader: Connection, text: str) -> Answer:
    with reader.cursor() as cursor:
        cursor.execute(text)
        return [dict(row) for row in cursor.fetchall()]


def only(rows: Answer, *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row[column] for column in columns) for row in rows]


def documented_columns() -> dict[str, dict[str, str]]:
    """Type by column by view, as the page lists them."""
    sections = re.findall(r"^### serving\.(\w+)\n(.*?)(?=^##)", PAGE, flags=re.DOTALL | re.MULTILINE)
    row = re.compile(r"^\| `(\w+)` \| ([^|]+?) \|", flags=re.MULTILINE)
    found: dict[str, dict[str, str]] = {view: dict(row.findall(text)) for view, text in sections}
    for view, text in sections:
        for other in re.findall(r"the columns of `(\w+)`, and", text):
            found[view] = {**found[other], **found[view]}
    return found


def test_the_page_lists_every_column_of_every_view(reader: Connection) -> None:
    columns = answer(
        reader,
        """
        select table_name, column_name, data_type
        from information_schema.columns
        where table_schema = 'serving'
        """,
    )
    real: dict[str, dict[str, str]] = {}
    for row in columns:
        data_type = str(row["data_type"])
        real.setdefault(row["table_name"], {})[row["column_name"]] = SHORT_TYPES.get(data_type, data_type)
    assert documented_columns() == real


def test_the_page_has_its_queries() -> None:
    assert sorted(map(int, QUERIES)) == list(range(1, 21))
    assert len(re.findall("```sql", PAGE)) == len(QUERIES)


@pytest.mark.parametrize("number", QUERIES)
def test_every_query_of_the_page_answers(reader: Connection, number: str) -> None:
    assert answer(reader, QUERIES[number])


def test_the_page_tells_the_readers_limits(reader: Connection) -> None:
    limits = {name: answer(reader, f"show {name}")[0][name] for name in ("statement_timeout", "search_path")}
    assert limits == {"statement_timeout": "15s", "search_path": "serving"}
    assert "a statement ends after 15 seconds" in PAGE
    assert answer(reader, "show default_transaction_read_only") == [{"default_transaction_read_only": "on"}]


def test_the_python_example_runs(told: WarehouseAddress, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    monkeypatch.setenv("AFTERBELL_READER_DSN", told.reader_dsn)
    settings.cache_clear()
    names: dict[str, Any] = {}
    try:
        exec(example, names)
    finally:
        settings.cache_clear()
    assert len(names["latest"]) == 6


# The answers below were worked out by hand from tests/sql/story.py.


def test_strongest_calls_leave_out_unproven_models(reader: Connection) -> None:
    assert only(answer(reader, QUERIES["1"]), "symbol", "horizon", "p_up") == [
        ("AAPL", "5d", 0.66),
        ("AAPL", "1d", 0.58),
        ("IBM", "5d", 0.57),
    ]


def test_freshness_shows_the_night_and_the_last_attempt(reader: Connection) -> None:
    columns = (
        "as_of",
        "published_at",
        "row_count",
        "is_stale",
        "is_replay",
        "last_attempt",
        "last_status",
        "failed_checks",
    )
    night = close("2024-05-01")
    assert only(answer(reader, QUERIES["2"]), *columns) == [
        (night, at("2024-05-01 23:10"), 6, False, False, night, "accepted", 1)
    ]


def test_the_view_on_a_symbol_follows_the_final_words(reader: Connection) -> None:
    rows = answer(reader, QUERIES["3"])
    assert only(rows, "as_of", "p_up", "model_version") == [
        (close("2024-05-01"), 0.66, 2),
        (close("2024-04-25"), 0.50, 1),
        (close("2024-04-24"), 0.55, 1),
    ]
    assert [row["change"] for row in rows] == [pytest.approx(0.16), pytest.approx(-0.05), None]


def test_hit_rates_mind_the_split(reader: Connection) -> None:
    """1d: AAPL 100 to 102 (0.60, hit), IBM 200 to 101 after 2:1 (0.60, hit), AAPL 102 to 101 (0.40, hit),
    IBM 101 to 100 (0.60, miss). 5d: AAPL 100 to 105 (0.55, hit), IBM 200 to 110 after 2:1 (0.45, miss)."""
    assert only(answer(reader, QUERIES["4"]), "horizon", "matured", "hit_rate", "always_up") == [
        ("1d", 4, 0.75, 0.5),
        ("5d", 2, 0.5, 1.0),
    ]


def test_failed_checks_are_those_of_the_last_delivery(reader: Connection) -> None:
    columns = ("severity", "check_name", "column_name", "observed", "unexpected_rows")
    assert only(answer(reader, QUERIES["5"]), *columns) == [("warn", "prices are positive", "close", "1 row", 1)]


def test_quarantine_counts_by_reason(reader: Connection) -> None:
    assert only(answer(reader, QUERIES["6"]), "reason", "rows", "symbols") == [
        ("no such session", 2, 2),
        ("negative price", 1, 1),
    ]


def test_champions_are_set_beside_the_baseline(reader: Connection) -> None:
    rows = answer(reader, QUERIES["7"])
    assert only(rows, "horizon", "model_version", "has_skill") == [("1d", 1, True), ("5d", 2, True), ("20d", 1, False)]
    assert [row["ahead"] for row in rows] == pytest.approx([0.002, 0.010, -0.002])


def test_the_last_decision_comes_with_its_reason_and_evidence(reader: Connection) -> None:
    (five,) = [row for row in answer(reader, QUERIES["8"]) if row["horizon"] == "5d"]
    assert (five["candidate_version"], five["champion_version"], five["verdict"]) == (2, 1, "promote")
    assert five["reason"] == "better by more than chance allows"
    assert (five["statistic"], five["critical_value"], five["test"]["n_dates"]) == (4.1, 3.6, 504)


def test_first_and_final_words_differ_where_the_model_changed(reader: Connection) -> None:
    rows = answer(reader, QUERIES["9"])
    columns = ("symbol", "horizon", "first_p_up", "final_p_up", "first_model", "final_model")
    assert only(rows, *columns)[0] == ("AAPL", "5d", 0.52, 0.66, 1, 2)
    assert len(rows) == 6


def test_disagreeing_horizons_are_listed_in_order_of_maturity(reader: Connection) -> None:
    assert only(answer(reader, QUERIES["10"]), "symbol", "calls") == [("AAPL", "1d up, 5d up, 20d down")]


def test_a_prediction_leads_back_to_model_data_code_and_decision(reader: Connection) -> None:
    columns = ("p_up", "model_version", "code_commit", "mlflow_run_id", "door", "reason", "promoted_at")
    assert only(answer(reader, QUERIES["11"]), *columns) == [
        (0.66, 2, "commit two", "run", "replace", "better by more than chance allows", at("2024-05-01 23:00"))
    ]
    columns = ("ingest_id", "provider", "checks", "failed_checks", "statistic", "critical_value", "p_value")
    assert only(answer(reader, QUERIES["11"]), *columns) == [(3, "files", 2, 1, 4.1, 3.6, 0.0001)]


def test_payments_are_put_into_shares(reader: Connection) -> None:
    """AAPL pays 1 and closes at 101 on 2024-04-26: closes before are scaled by 101 / 102."""
    rows = answer(reader, QUERIES["12"])
    assert [row["raw_close"] for row in rows] == [100.0, 102.0, 101.0, 105.0]
    assert [row["close"] for row in rows] == pytest.approx([100 * 101 / 102, 101.0, 101.0, 105.0])


def test_a_corrected_bar_was_believed_otherwise(reader: Connection) -> None:
    columns = ("ts", "believed_then", "believed_now")
    assert only(answer(reader, QUERIES["13"]), *columns) == [(close("2024-04-26"), 103.0, 101.0)]


def test_the_last_nights_bars_are_counted(reader: Connection) -> None:
    columns = ("as_of", "status", "inserted_rows", "restated_rows", "quarantined_rows", "failed", "warned")
    assert only(answer(reader, QUERIES["14"]), *columns) == [(close("2024-05-01"), "accepted", 2, 1, 1, 0, 1)]


def test_missing_sessions_are_counted(reader: Connection) -> None:
    """2024-04-29 and 2024-04-30 are sessions without bars, the 27th and 28th a weekend."""
    days = (date(2024, 4, 29), date(2024, 4, 30))
    assert only(answer(reader, QUERIES["15"]), "symbol", "missing", "first", "last") == [
        ("AAPL", 2, *days),
        ("IBM", 2, *days),
    ]


def test_the_features_of_the_champions_are_told(reader: Connection) -> None:
    columns = ("horizon", "model_version", "position", "name", "formula")
    assert only(answer(reader, QUERIES["16"]), *columns) == [
        ("1d", 1, 1, "log_return_1", "change(log(close), 1)"),
        ("1d", 1, 2, "mine", "close / open"),
        ("5d", 2, 1, "log_return_1", "change(log(close), 1)"),
        ("5d", 2, 2, "mine", "close / open"),
        ("20d", 1, 1, "log_return_1", "change(log(close), 1)"),
        ("20d", 1, 2, "mine", "close / open"),
    ]


def test_features_stand_beside_predictions_by_symbol(reader: Connection) -> None:
    columns = ("symbol", "rsi_14", "p_up", "has_skill")
    assert only(answer(reader, QUERIES["17"]), *columns) == [("IBM", 28.25, 0.57, True), ("AAPL", 71.5, 0.66, True)]


def test_features_stand_side_by_side(reader: Connection) -> None:
    assert only(answer(reader, QUERIES["18"]), "symbol", "rsi_14", "vol_cc_20") == [("IBM", 28.25, None)]
    (example,) = re.findall(r"`(select features from [^`]*)`", PAGE)
    assert answer(reader, example) == [{"features": {"rsi_14": 71.5, "vol_cc_20": 0.012}}]


def test_the_reasons_of_a_call_are_told(reader: Connection) -> None:
    told = [row for row in answer(reader, QUERIES["19"]) if row["horizon"] == "5d"]
    assert only(told, "factor", "words") == [("key", "RSI: pushes up"), ("risk", "vol: pushes down")]


def test_query_20_tells_what_people_did_and_nothing_that_the_gate_or_the_clock_did(reader: Connection) -> None:
    rows = answer(reader, QUERIES["20"])
    assert rows == sorted(rows, key=lambda row: row["happened_at"], reverse=True)
    columns = ("who", "what", "target", "why", "decision_id")
    assert sorted(only(rows, *columns), key=str) == [
        ("ann", "freeze", "20d", "while the data are looked at", None),
        ("ann", "reject row", "AAPL 2024-04-20", "a Saturday", None),
        ("ann", "retrain", "1d, 5d", "drift_detected", None),
        ("ann", "roll_back", "1d version 1", "too bold", 5),
        ("bob", "approve", "5d version 2", "it is winter", 4),
    ]
