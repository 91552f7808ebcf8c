"""Three nights of two symbols: a row in every view, small enough to check every answer of the SQL guide by hand."""

from __future__ import annotations

from datetime import date

from psycopg2.extensions import connection as Connection
from psycopg2.extras import execute_values

from ml.equity import sessions
from tests.sql.seed import PAST, at, close, insert, prediction


def story(connection: Connection) -> None:
    """Write all of it."""
    _bars(connection)
    _reference(connection)
    _checks(connection)
    _models(connection)
    _nights(connection)
    _features(connection)
    _shadows(connection)
    upkeep = {"task": "backup", "succeeded": True, "result": "afterbell.dump, 1.0 MB", "started_at": PAST}
    insert(connection, "lifecycle.maintenance", upkeep)


CORRECTED = ("2024-04-26", "AAPL")
"""The bar that was believed to close at 103 until the night of 2024-05-01."""


def _bars(connection: Connection) -> None:
    insert(
        connection,
        "market.ingest_runs",
        {"ingest_id": 1, "as_of": close("2024-04-24"), "quarantined_rows": 0},
        {"ingest_id": 2, "as_of": close("2024-04-25"), "quarantined_rows": 2},
        {"ingest_id": 3, "as_of": close("2024-05-01"), "inserted_rows": 2, "restated_rows": 1, "quarantined_rows": 1},
    )
    closes = {
        "2024-04-24": {"AAPL": 100.0, "IBM": 200.0},
        "2024-04-25": {"AAPL": 102.0, "IBM": 101.0},
        "2024-04-26": {"AAPL": 101.0, "IBM": 100.0},
        "2024-05-01": {"AAPL": 105.0, "IBM": 110.0},
    }
    for day, prices in closes.items():
        for symbol, price in prices.items():
            ohlc = dict.fromkeys(("open", "high", "low", "close"), price)
            corrected = {"known_at": at("2024-05-01 22:00")} if (day, symbol) == CORRECTED else {}
            insert(connection, "market.bars", {"symbol": symbol, "ts": close(day), **ohlc, **corrected})
    first_word = {"ts": close(CORRECTED[0]), "symbol": CORRECTED[1], "superseded_at": at("2024-05-01 22:00")}
    insert(connection, "market.bar_revisions", {**first_word, "high": 103.0, "close": 103.0})
    insert(
        connection,
        "market.actions",
        {"symbol": "IBM", "ex_date": date(2024, 4, 25), "kind": "split", "value": 2.0},
        {"symbol": "AAPL", "ex_date": date(2024, 4, 26), "kind": "dividend", "value": 1.0},
    )


def _reference(connection: Connection) -> None:
    insert(connection, "market.instruments", {"instrument_id": 1, "vendor_id": "A-1"}, {"instrument_id": 2})
    insert(connection, "market.tickers", {"symbol": "AAPL", "instrument_id": 1}, {"symbol": "IBM", "instrument_id": 2})
    insert(connection, "market.instrument_facts", {"instrument_id": 1, "name": "Apple", "type": "stock"})
    insert(connection, "market.universe_members", {"symbol": "AAPL"}, {"symbol": "IBM"})
    calendar = sessions.table("XNYS", date(2024, 4, 24), date(2024, 5, 1))
    with connection.cursor() as cursor:
        rows = list(calendar.itertuples(index=False, name=None))
        execute_values(cursor, "insert into market.sessions values %s", rows)


def _checks(connection: Connection) -> None:
    saturday = {"session": date(2024, 4, 20), "reason": "no such session", "last_ingest_id": 2}
    negative = {"reason": "negative price", "last_ingest_id": 3}
    insert(
        connection,
        "market.quarantine",
        {"quarantine_id": 1, "symbol": "AAPL", **saturday},
        {"quarantine_id": 2, "symbol": "IBM", **saturday},
        {"quarantine_id": 3, "symbol": "IBM", "session": date(2024, 4, 30), "close": -1.0, **negative},
    )
    insert(
        connection,
        "market.quarantine_reviews",
        {"quarantine_id": 1, "verdict": "reject", "reviewed_by": "ann", "why": "a Saturday"},
    )
    insert(
        connection,
        "market.check_results",
        {"ingest_id": 2, "check_name": "prices are positive", "passed": False, "unexpected_rows": 7},
        {"ingest_id": 3, "check_name": "keys are unique"},
        {
            "ingest_id": 3,
            "check_name": "prices are positive",
            "column_name": "close",
            "passed": False,
            "severity": "warn",
            "observed": "1 row",
            "unexpected_rows": 1,
        },
    )


def _models(connection: Connection) -> None:
    change = {"name": "log_return_1", "category": "price", "formula": "change(log(close), 1)", "lookback": 2}
    ratio = {"name": "mine", "category": "custom", "formula": "close / open", "lookback": 1}
    insert(connection, "market.feature_definitions", {"position": 1, **change}, {"position": 2, **ratio})
    insert(
        connection,
        "lifecycle.model_versions",
        {
            "target": "1d",
            "version": 1,
            "training_key": "1d/1",
            "scores": {"log_loss": 0.690, "baseline_log_loss": 0.692},
        },
        {
            "target": "5d",
            "version": 1,
            "training_key": "5d/1",
            "scores": {"log_loss": 0.691, "baseline_log_loss": 0.693},
        },
        {
            "target": "5d",
            "version": 2,
            "training_key": "5d/2",
            "scores": {"log_loss": 0.683, "baseline_log_loss": 0.693},
            "as_of": close("2024-05-01"),
            "code_commit": "commit two",
        },
        {
            "target": "20d",
            "version": 1,
            "training_key": "20d/1",
            "scores": {"log_loss": 0.695, "baseline_log_loss": 0.693},
        },
    )
    insert(
        connection,
        "lifecycle.decisions",
        {"decision_id": 1, "target": "1d", "candidate_version": 1, "has_skill": True},
        {"decision_id": 2, "target": "5d", "candidate_version": 1},
        {"decision_id": 3, "target": "20d", "candidate_version": 1},
        {
            "decision_id": 4,
            "target": "5d",
            "candidate_version": 2,
            "champion_version": 1,
            "as_of": close("2024-05-01"),
            "door": "replace",
            "look": 1,
            "reason": "better by more than chance allows",
            "alpha_spent": 0.0002,
            "has_skill": True,
            "evidence": {
                "skill": {"mean": 0.01, "statistic": 3.0, "p_value": 0.002},
                "test": {"mean": 0.008, "statistic": 4.1, "critical": 3.6, "p_value": 0.0001, "n_dates": 504},
            },
        },
    )
    insert(
        connection,
        "lifecycle.promotions",
        {"promotion_id": 1, "target": "1d", "to_version": 1, "decision_id": 1},
        {"promotion_id": 2, "target": "5d", "to_version": 1, "decision_id": 2},
        {"promotion_id": 3, "target": "20d", "to_version": 1, "decision_id": 3},
        {
            "promotion_id": 4,
            "target": "5d",
            "from_version": 1,
            "to_version": 2,
            "decision_id": 4,
            "promoted_at": at("2024-05-01 23:00"),
        },
    )
    held = {"target": "20d", "decided_by": "ann", "why": "while the data are looked at"}
    insert(connection, "lifecycle.freezes", {**held, "is_frozen": True})
    _people(connection)


def _people(connection: Connection) -> None:
    """Words of people besides the freeze and the review of a row; of one decision nobody said anything in time."""
    by_hand = {"target": "1d", "candidate_version": 1, "door": "by_hand", "decided_by": "ann", "reason": "too bold"}
    by_hand |= {"has_skill": True}
    insert(connection, "lifecycle.decisions", {"decision_id": 5, **by_hand, "evidence": {"action": "roll_back"}})
    word = {"decision_id": 4, "approved": True, "decided_by": "bob", "note": "it is winter"}
    nobody = {"decision_id": 2, "approved": False, "decided_by": None, "note": ""}
    insert(connection, "lifecycle.approvals", word, nobody)
    insert(connection, "lifecycle.retrain_requests", {"request": "equity_retrain/manual__1", "horizons": "{1d,5d}"})


def _features(connection: Connection) -> None:
    night = {"as_of": close("2024-05-01"), "names": "{rsi_14,vol_cc_20}"}
    insert(connection, "market.latest_feature_nights", night)
    insert(
        connection,
        "market.latest_features",
        {"entity": "AAPL", "feature_values": "{71.5,0.012}"},
        {"entity": "IBM", "feature_values": "{28.25,null}"},
    )


def _nights(connection: Connection) -> None:
    first, second, third = close("2024-04-24"), close("2024-04-25"), close("2024-05-01")
    insert(
        connection,
        "lifecycle.publications",
        {"publication_id": 1, "as_of": first, "published_at": at("2024-04-24 22:30"), "row_count": 4},
        {"publication_id": 2, "as_of": second, "published_at": at("2024-04-25 22:30"), "row_count": 4},
        {"publication_id": 3, "as_of": third, "published_at": at("2024-05-01 22:30"), "row_count": 6},
        {"publication_id": 4, "as_of": third, "published_at": at("2024-05-01 23:10"), "row_count": 6},
    )
    insert(
        connection,
        "lifecycle.predictions",
        prediction(1, "AAPL", "1d", first, 0.60, matures_at=second),
        prediction(1, "IBM", "1d", first, 0.60, matures_at=second),
        prediction(1, "AAPL", "5d", first, 0.55, matures_at=third, has_skill=False),
        prediction(1, "IBM", "5d", first, 0.45, matures_at=third, has_skill=False),
        prediction(2, "AAPL", "1d", second, 0.40, matures_at=close("2024-04-26")),
        prediction(2, "IBM", "1d", second, 0.60, matures_at=close("2024-04-26")),
        prediction(2, "AAPL", "5d", second, 0.50, matures_at=close("2024-05-02"), has_skill=False),
        prediction(2, "IBM", "5d", second, 0.50, matures_at=close("2024-05-02"), has_skill=False),
    )
    for publication_id, aapl_5d, version, has_skill in ((3, 0.52, 1, False), (4, 0.66, 2, True)):
        five = {"model_version": version, "has_skill": has_skill, "matures_at": close("2024-05-08")}
        insert(
            connection,
            "lifecycle.predictions",
            prediction(publication_id, "AAPL", "1d", third, 0.58, matures_at=close("2024-05-02")),
            prediction(publication_id, "IBM", "1d", third, 0.50, matures_at=close("2024-05-02")),
            prediction(publication_id, "AAPL", "5d", third, aapl_5d, **five),
            prediction(publication_id, "IBM", "5d", third, 0.57, **five),
            prediction(publication_id, "AAPL", "20d", third, 0.30, matures_at=close("2024-05-30"), has_skill=False),
            prediction(publication_id, "IBM", "20d", third, 0.70, matures_at=close("2024-05-30"), has_skill=False),
        )


def _shadows(connection: Connection) -> None:
    """The former champion of 5d goes on in shadow, and serves AAPL in a canary of the first night."""
    first, third = close("2024-04-24"), close("2024-05-01")
    insert(
        connection,
        "lifecycle.predictions",
        prediction(1, "AAPL", "5d", first, 0.70, matures_at=third, model_version=2, role="challenger"),
    )
    previous = {"target": "5d", "model_version": 1, "as_of": third, "role": "previous"}
    insert(connection, "lifecycle.shadow_predictions", {**previous, "entity": "AAPL", "p_up": 0.52})
    compared = {"target": "5d", "as_of": first, "matures_at": third, "champion_version": 1}
    insert(connection, "lifecycle.shadow_scores", {**compared, "model_version": 2, "role": "canary", "n": 1})
