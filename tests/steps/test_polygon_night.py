"""Nights from the vendor `polygon`: its wire format, its real client, and every step of ours."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from ml.__main__ import main
from ml.domain import Target
from ml.equity import sessions
from ml.equity.features.catalogue import DEFAULT_SET
from ml.errors import ProviderRejected
from ml.frames import ACTIONS
from ml.io.store import Store
from ml.settings import REPOSITORY, Settings, settings
from ml.stack.waiting import wait_until
from ml.steps import backfill, features, ingest, keep, labels, months, predict, validate
from ml.steps.night import Keys
from tests.io.polygon_server import KEY, Vendor, serve
from tests.steps.market import FIRST, LAST, SYMBOLS, bars, seen

EVE = pd.Timestamp("2014-08-28")
LATELY = pd.Timestamp("2014-08-22")  # five sessions before LAST
RESTATED = pd.Timestamp("2014-08-27")
BARS = "select symbol, ts::date::text, close from serving.bars order by symbol, ts"
OWNERS = "select label, valid_from::text, valid_to::text from serving.tickers where symbol = 'AAA' order by 2"
BOTH_OWNERS = [("AAA-201405", "2005-01-03", "2014-05-31"), ("AAA", "2014-06-02", "infinity")]
LANDS = "import sys; from ml.steps import ingest; ingest.run(attempt=sys.argv[1])"


def listing(symbol: str, **more: str) -> dict[str, object]:
    return {"ticker": symbol, "active": True, "composite_figi": f"FIGI-{symbol}", "list_date": "2010-01-04", **more}


@pytest.fixture
def vendor(stack_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Vendor]:
    """The vendor on the evening of EVE, with the invented market; the settings ask it for all of SYMBOLS."""
    with serve(bars()) as running:
        running.tickers = [listing(symbol) for symbol in SYMBOLS]
        for name, value in {
            "POLYGON_API_KEY": KEY,
            "AFTERBELL_PROVIDER": "polygon",
            "AFTERBELL_POLYGON_BASE_URL": running.url,
            "AFTERBELL_POLYGON_REQUESTS_PER_MINUTE": "0",
            "AFTERBELL_SYMBOLS": ",".join(SYMBOLS),
            "AFTERBELL_HISTORY_START": str(FIRST.date()),
            "AFTERBELL_HORIZONS": "1d",
            "AFTERBELL_THREADS": "1",
        }.items():
            monkeypatch.setenv(name, value)
        settings.cache_clear()
        evening(running, EVE, bars())
        yield running


def evening(vendor: Vendor, session: pd.Timestamp, frame: pd.DataFrame) -> None:
    """The vendor after the close of `session`, with the bars of `frame` up to then; nobody has asked it yet."""
    vendor.bars = frame[frame["date"] <= session]
    vendor.now = session.to_pydatetime().replace(hour=20, tzinfo=ZoneInfo("America/New_York"))
    vendor.requests.clear()


def asked(vendor: Vendor, path: str) -> list[str]:
    """The requests for something, without their queries."""
    return [request.partition("?")[0] for request in vendor.requests if path in request]


def settled(monkeypatch: pytest.MonkeyPatch, **changed: str) -> None:
    for name, value in changed.items():
        monkeypatch.setenv(f"AFTERBELL_{name}", value)
    settings.cache_clear()


def night(attempt: str | None = None) -> Keys:
    return validate.run(ingest.run(attempt=attempt)["ingest_id"])


@pytest.mark.xdist_group("mlflow")
@pytest.mark.usefixtures("registry")
def test_a_night_from_the_vendor_publishes_and_shows_the_key_to_nobody(
    vendor: Vendor, warehouse_dsn: str, reader_dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    vendor.plant("/ticker/CCC/range", 429, b'{"status": "ERROR"}', times=1, headers={"Retry-After": "1"})
    assert main(["night", "--trials", "2"]) == 0
    span = f"{FIRST.date()}/{EVE.date()}"
    wanted = [f"/v2/aggs/ticker/{symbol}/range/1/day/{span}" for symbol in SYMBOLS]
    assert asked(vendor, "/range/") == [*wanted[:3], *wanted[2:]]  # CCC again, after the pause it asked for
    assert all("adjusted=false" in request for request in vendor.requests if "/aggs/" in request)
    assert "asked again (1 of 3): status 429" in caplog.text
    first = seen(reader_dsn, "select symbol, as_of::date, price from serving.latest_predictions order by symbol")
    closes = bars().query("date == @EVE")["close"]
    assert first == [(symbol, EVE.date(), close) for symbol, close in zip(SYMBOLS, closes, strict=True)]

    evening(vendor, LAST, bars())
    predict.run(**features.run(**night()))
    assert asked(vendor, "/range/") == [
        f"/v2/aggs/ticker/{symbol}/range/1/day/{LATELY.date()}/{LAST.date()}" for symbol in SYMBOLS
    ]
    as_of = "select distinct as_of::date, is_stale from serving.latest_predictions"
    assert seen(reader_dsn, as_of) == [(LAST.date(), False)]

    assert not [line for line in caplog.text.splitlines() if KEY in line]
    assert not [table for table, row in rows_of(warehouse_dsn) if KEY in row]
    files = [path for path in settings().home.rglob("*") if path.is_file()]
    assert [path for path in files if path.name == "manifest.json"]
    assert not [path for path in files if KEY.encode() in path.read_bytes()]


def rows_of(warehouse_dsn: str) -> Iterator[tuple[str, str]]:
    """Every row of the warehouse but the bars, as text."""
    tables = seen(
        warehouse_dsn,
        "select format('%I.%I', schemaname, tablename) from pg_tables"
        " where schemaname in ('market', 'lifecycle') and tablename !~ '^bars'",
    )
    assert {("market.ingest_runs",), ("market.check_results",), ("market.throttles",)} <= set(tables)
    for (table,) in tables:
        yield from ((table, row) for (row,) in seen(warehouse_dsn, f"select t::text from {table} t"))


def test_the_next_night_asks_for_the_last_sessions_and_restates_what_the_vendor_corrected(
    vendor: Vendor, reader_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled(monkeypatch, HISTORY_START="2014-05-01", RESTATEMENT_BUDGET="0.1")
    known = night()
    assert len(asked(vendor, "/2014-05-01/2014-08-28")) == len(SYMBOLS)
    corrected = bars()
    touched = (corrected["symbol"] == "AAA") & (corrected["date"] == RESTATED)
    before = corrected.loc[touched, "close"].item()
    corrected.loc[touched, ["close", "high"]] = before + 1
    evening(vendor, LAST, corrected)
    night()
    assert len(asked(vendor, "/range/")) == len(asked(vendor, "/2014-08-22/2014-08-29")) == len(SYMBOLS)
    counts = "select inserted_rows, restated_rows, unchanged_rows from serving.ingest_runs order by ingest_id"
    assert seen(reader_dsn, counts)[1:] == [(len(SYMBOLS), 1, 5 * len(SYMBOLS) - 1)]
    close = "select close from {} where symbol = 'AAA' and ts::date = '2014-08-27'"
    assert seen(reader_dsn, close.format("serving.bars")) == [(before + 1,)]
    assert seen(reader_dsn, close.format(f"serving.bars_as_known('{known['known_at']}')")) == [(before,)]


def test_a_symbol_that_is_missing_in_the_whole_delivery_is_told_to_be_silent(
    vendor: Vendor, reader_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled(monkeypatch, HISTORY_START="2014-05-01")
    quiet = bars()
    quiet = quiet[(quiet["symbol"] != "CCC") | (quiet["date"] < LATELY)]
    for session in (EVE, LAST):
        evening(vendor, session, quiet)
        night()
    assert len(asked(vendor, "/2014-08-22/2014-08-29")) == len(SYMBOLS)
    told = dict(
        seen(
            reader_dsn,
            "select check_name, observed from serving.data_quality where not passed"
            " and ingest_id = (select max(ingest_id) from serving.ingest_runs)",
        )
    )
    assert told["silent symbols"] == "1 of 6 symbols, first CCC, last seen 2014-08-21"
    assert told["coverage of the universe"] == "1 of 6 symbols of AFTERBELL_SYMBOLS, first CCC"


def test_a_ticker_renamed_between_two_nights_keeps_its_history(
    vendor: Vendor, stack_settings: Settings, reader_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled(monkeypatch, HISTORY_START="2014-05-01", SYMBOLS="AAA,BBB")
    before = night()
    renamed = bars()
    renamed.loc[(renamed["symbol"] == "AAA") & (renamed["date"] == LAST), "symbol"] = "AAAX"
    evening(vendor, LAST, renamed)
    vendor.tickers = [listing("AAAX", composite_figi="FIGI-AAA"), listing("BBB")]
    vendor.events = {"FIGI-AAA": [("2010-01-04", "AAA"), (str(LAST.date()), "AAAX")]}
    settled(monkeypatch, SYMBOLS="AAAX,BBB")
    after = night()
    assert len(asked(vendor, "/2014-08-22/2014-08-29")) == 2
    assert seen(
        reader_dsn, "select symbol, label, valid_from::text, valid_to::text from serving.tickers order by 1"
    ) == [
        ("AAA", "AAAX", "2010-01-04", "2014-08-29"),
        ("AAAX", "AAAX", "2014-08-29", "infinity"),
        ("BBB", "BBB", "2010-01-04", "infinity"),
    ]
    sessions = len(bars().query("symbol == 'AAA' and date >= '2014-05-01'"))
    store = Store(stack_settings.store_root)
    for keys, expected in [
        (before, {"AAA": sessions - 1, "BBB": sessions - 1}),
        (after, {"AAAX": sessions, "BBB": sessions}),
    ]:
        snapshot = labels.run(**features.run(**keys))["snapshot"]
        computed = months.read(store, keep.features("equity", DEFAULT_SET.digest), snapshot)
        assert computed["entity"].value_counts().to_dict() == expected
        outcomes = store.get(keep.labels(Target("equity", "1d", 1), snapshot))
        assert outcomes["entity"].value_counts().to_dict() == {name: count - 1 for name, count in expected.items()}


@pytest.mark.parametrize("symbols", ["AAA,BBB", ""])
def test_a_split_that_the_vendor_records_a_month_late_is_learned_by_a_night(
    vendor: Vendor, stack_settings: Settings, reader_dsn: str, monkeypatch: pytest.MonkeyPatch, symbols: str
) -> None:
    settled(monkeypatch, HISTORY_START="2014-07-01", SYMBOLS=symbols)
    halved = bars()
    after = (halved["symbol"] == "AAA") & (halved["date"] >= "2014-07-15")
    halved.loc[after, ["open", "high", "low", "close"]] /= 2
    evening(vendor, EVE, halved)
    vendor.actions = recorded(("BBB", "2014-07-10", "dividend", 0.5), ("BBB", "2014-08-05", "dividend", 0.25))
    if not symbols:  # of nobody who trades: no bar of theirs ever comes
        others = recorded(("YYY", "2014-07-10", "split", 2.0), ("ZZZ", "2014-07-10", "split", 2.0))
        vendor.actions = pd.concat([vendor.actions, others])
    before = features.run(**night())
    evening(vendor, LAST, halved)
    vendor.actions = recorded(("AAA", "2014-07-15", "split", 2.0), ("BBB", "2014-07-10", "dividend", 0.75))
    if not symbols:
        vendor.actions = pd.concat([vendor.actions, recorded(("ZZZ", "2014-07-10", "split", 3.0))])
    later = features.run(**night())
    assert not asked(vendor, "2014-07-15")  # the bars of then are not asked for again
    believed = [("AAA", "2014-07-15", "split", 2.0), ("BBB", "2014-07-10", "dividend", 0.75)]
    believed += [] if symbols else [("ZZZ", "2014-07-10", "split", 3.0)]
    assert seen(reader_dsn, "select symbol, ex_date::text, kind, value from serving.actions order by 1") == believed
    adjusted = months.adjusted(Store(stack_settings.store_root), "equity", later["snapshot"])
    plain = bars().query("symbol == 'AAA' and date >= '2014-07-01'")["close"]
    assert adjusted.loc[adjusted["symbol"] == "AAA", "close"].tolist() == pytest.approx(plain.tolist(), rel=1e-12)
    assert features.run("equity", before["as_of"], before["known_at"]) == before


def recorded(*rows: tuple[str, str, str, float]) -> pd.DataFrame:
    return ACTIONS.cast(pd.DataFrame(rows, columns=list(ACTIONS.columns)))


def test_a_backfill_of_a_past_owner_and_the_nights_leave_each_others_owner_alone(
    vendor: Vendor, stack_settings: Settings, reader_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled(monkeypatch, HISTORY_START="2014-08-11", SYMBOLS="AAA,BBB")
    vendor.tickers = [
        listing("AAA", composite_figi="TWO", list_date="2014-06-02"),
        {
            "ticker": "AAA",
            "active": False,
            "composite_figi": "ONE",
            "list_date": "2005-01-03",
            "delisted_utc": "2014-05-30",
        },
        listing("BBB"),
    ]
    assert set(entities(stack_settings, night())) == {"AAA", "BBB"}
    for chunk in backfill.plan("2014-04-01", "2014-05-23", chunk="month"):
        backfill.run(**chunk, attempt="mine")
        assert seen(reader_dsn, OWNERS) == BOTH_OWNERS
    evening(vendor, LAST, bars())
    after = entities(stack_settings, night())
    assert seen(reader_dsn, OWNERS) == BOTH_OWNERS
    early, late = len(sessions.closes("XNYS", date(2014, 4, 1), date(2014, 5, 23))), 15
    assert after == {"AAA": late, "AAA-201405": early, "BBB": early + late}


def entities(config: Settings, keys: Keys) -> dict[str, int]:
    """How many sessions of features each entity has."""
    snapshot = features.run(**keys)["snapshot"]
    computed = months.read(Store(config.store_root), keep.features("equity", DEFAULT_SET.digest), snapshot)
    return {str(entity): int(count) for entity, count in computed["entity"].value_counts().items()}


def test_the_listings_of_the_whole_market_keep_a_renamed_history_together(
    vendor: Vendor, stack_settings: Settings, reader_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The vendor lists the old ticker as delisted on its last day, under the same FIGI."""
    settled(monkeypatch, HISTORY_START="2014-08-11", SYMBOLS="")
    renamed = bars().query("symbol in ['BBB', 'CCC']").copy()
    renamed.loc[(renamed["symbol"] == "BBB") & (renamed["date"] >= "2014-08-20"), "symbol"] = "AAA"
    evening(vendor, LAST, renamed)
    old = {"ticker": "BBB", "active": False, "composite_figi": "FIGI-AAA", "delisted_utc": "2014-08-19T00:00:00Z"}
    vendor.tickers = [listing("AAA"), old, listing("CCC")]
    assert entities(stack_settings, night()) == {"AAA": 15, "CCC": 15}
    counted = "select symbol, count(*) from serving.bars_total_return group by 1 order by 1"
    assert seen(reader_dsn, counted) == [("AAA", 15), ("CCC", 15)]


def test_a_killed_delivery_asks_only_for_what_is_missing(
    vendor: Vendor, reader_dsn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settled(monkeypatch, HISTORY_START="2014-08-11", SYMBOLS="")
    vendor.plant("/stocks/2014-08-19", seconds=600, times=1)
    with (tmp_path / "said").open("w") as said:
        process = subprocess.Popen([sys.executable, "-c", LANDS, "mine"], cwd=REPOSITORY, env=os.environ, stderr=said)
        assert wait_until(lambda: bool(asked(vendor, "/stocks/2014-08-19")), 60), (tmp_path / "said").read_text()
        process.kill()
        process.wait()
    days = [f"2014-08-{day}" for day in (11, 12, 13, 14, 15, 18, 19, 20, 21, 22, 25, 26, 27, 28)]
    assert days_asked(vendor) == ["2014-08-28", *days[:7]]  # first of all, which session is the last

    vendor.requests.clear()
    keys = night("mine")
    assert days_asked(vendor) == ["2014-08-28", *days[6:]]
    assert seen(reader_dsn, "select status, received_rows from serving.ingest_runs") == [
        ("accepted", len(days) * len(SYMBOLS))
    ]
    expected = bars()[bars()["date"].between(pd.Timestamp("2014-08-11"), EVE)]
    assert seen(reader_dsn, BARS) == [(row.symbol, f"{row.date:%Y-%m-%d}", row.close) for row in expected.itertuples()]
    assert keys["as_of"] == "2014-08-28T20:00:00+00:00"


def test_a_delivery_taken_up_again_after_the_next_close_stays_the_night_it_was(
    vendor: Vendor, reader_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled(monkeypatch, HISTORY_START="2014-08-11", SYMBOLS="")
    vendor.plant("/stocks/2014-08-19", 403, b"{}", times=1)
    with pytest.raises(ProviderRejected):
        ingest.run(attempt="mine")
    evening(vendor, LAST, bars())
    settled(monkeypatch, HISTORY_START="2014-08-01")
    keys = night("mine")
    assert days_asked(vendor)[1:] == [f"2014-08-{day}" for day in (19, 20, 21, 22, 25, 26, 27, 28)]
    assert keys["as_of"] == "2014-08-28T20:00:00+00:00"
    counts = "select status, received_rows, quarantined_rows from serving.ingest_runs"
    assert seen(reader_dsn, counts) == [("accepted", 14 * len(SYMBOLS), 0)]
    assert night()["as_of"] == "2014-08-29T20:00:00+00:00"


def test_a_night_after_a_long_pause_asks_for_what_came_since_and_not_for_all(
    vendor: Vendor, reader_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled(monkeypatch, HISTORY_START="2014-05-01")
    evening(vendor, pd.Timestamp("2014-08-11"), bars())
    night()
    evening(vendor, LAST, bars())
    night()
    assert len(asked(vendor, "/range/")) == len(asked(vendor, "/2014-08-05/2014-08-29")) == len(SYMBOLS)
    since = "select count(distinct ts) from serving.bars where ts > '2014-08-01'"
    assert seen(reader_dsn, since) == [(len(pd.bdate_range("2014-08-01", LAST)),)]


def test_a_past_night_asks_for_its_own_last_sessions(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    settled(monkeypatch, HISTORY_START="2014-05-01")
    night()
    vendor.requests.clear()
    validate.run(ingest.run("2014-07-18")["ingest_id"])
    assert len(asked(vendor, "/range/")) == len(asked(vendor, "/2014-07-11/2014-07-18")) == len(SYMBOLS)


def test_the_first_night_asks_for_all_even_after_a_backfill_of_one_symbol(
    vendor: Vendor, reader_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled(monkeypatch, HISTORY_START="2014-05-01")
    for chunk in backfill.plan("2014-05-01", symbols=["AAA"]):
        backfill.run(**chunk, attempt="one symbol")
    night()
    counts = "select count(*) from serving.bars group by symbol"
    assert seen(reader_dsn, counts) == [(len(pd.bdate_range("2014-05-01", EVE)) - 2,)] * len(SYMBOLS)


def days_asked(vendor: Vendor) -> list[str]:
    return [path.rpartition("/")[2] for path in asked(vendor, "/grouped/")]
