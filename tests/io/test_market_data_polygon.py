"""What the vendor delivers: bars, splits and dividends, by the real client from a local server of its wire format."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import date, datetime

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from pydantic import SecretStr

from ml.errors import ProviderError, ProviderRejected, ProviderUnavailable, SettingsError
from ml.frames import ACTIONS, RECEIVED
from ml.io.market_data.polygon import Polygon
from ml.io.market_data.received import Part, Request
from ml.io.throttle import fingerprint
from ml.io.warehouse import Warehouse
from ml.settings import Settings
from tests.io.polygon_server import NEW_YORK, Unhurried, Vendor, serve

FIRST, LAST = date(2012, 3, 5), date(2012, 3, 14)
BOTH = Request(FIRST, LAST, ("AAA", "BBB"))
MARKET = Request(FIRST, LAST)
# the clocks change on 2012-03-11: midnight in New York moves from 05:00 to 04:00 UTC
SESSIONS = pd.to_datetime(["2012-03-08", "2012-03-09", "2012-03-12", "2012-03-13"])
WEEKDAYS = ["2012-03-05", "2012-03-06", "2012-03-07", *("2012-03-08", "2012-03-09", "2012-03-12"), "2012-03-13"]


def bars() -> pd.DataFrame:
    rows = [
        (symbol, day, price + n, price + n + 2, price + n - 1, price + n + 1, 1000.0 + n)
        for symbol, price in (("AAA", 10.0), ("BBB", 200.0))
        for n, day in enumerate(SESSIONS)
    ]
    return RECEIVED.cast(pd.DataFrame(rows, columns=list(RECEIVED.columns)))


def actions() -> pd.DataFrame:
    rows = [
        ("AAA", "2012-03-09", "dividend", 0.25),
        ("AAA", "2012-03-12", "split", 2.0),
        ("BBB", "2012-03-13", "split", 0.1),
        ("BBB", "2012-04-02", "dividend", 1.0),
    ]
    frame = pd.DataFrame(rows, columns=list(ACTIONS.columns))
    return ACTIONS.cast(frame.assign(ex_date=pd.to_datetime(frame["ex_date"])))


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with serve(bars(), actions()) as running:
        yield running


def client(vendor: Vendor) -> Polygon:
    return Polygon(vendor.key, vendor.url, Unhurried(), timeout_seconds=5)


def delivered(vendor: Vendor, request: Request, have: tuple[str, ...] = ()) -> dict[str, Part]:
    parts = list(client(vendor).deliver(request, have))
    assert len({part.name for part in parts}) == len(parts)
    return {part.name: part for part in parts}


def bars_of(vendor: Vendor, request: Request) -> pd.DataFrame:
    frames = [RECEIVED.check(part.bars) for part in delivered(vendor, request).values()]
    return pd.concat(frames, ignore_index=True)


def actions_of(vendor: Vendor, request: Request) -> pd.DataFrame:
    frames = [part.actions for part in delivered(vendor, request).values() if part.actions is not None]
    return ACTIONS.check(pd.concat(frames, ignore_index=True))


def test_bars_of_named_symbols_come_raw_and_dated_by_their_session_on_both_sides_of_a_clock_change(
    vendor: Vendor,
) -> None:
    assert_frame_equal(bars_of(vendor, BOTH), bars())
    assert all("adjusted=false" in path for path in vendor.requests if "/range/" in path)


def test_a_symbol_is_a_part_with_its_own_actions_and_only_missing_ones_are_asked_for(vendor: Vendor) -> None:
    parts = delivered(vendor, BOTH)
    assert list(parts) == ["AAA", "BBB", "reference"]
    assert parts["AAA"].actions is not None
    assert set(parts["AAA"].actions["symbol"]) == {"AAA"}
    assert parts["reference"].reference is not None
    assert parts["reference"].bars.empty
    vendor.requests.clear()
    assert list(delivered(vendor, BOTH, have=("AAA", "reference"))) == ["BBB"]
    assert vendor.requests
    assert not [path for path in vendor.requests if "AAA" in path]


def test_more_symbols_than_days_come_day_by_day_and_without_what_nobody_named(vendor: Vendor) -> None:
    request = Request(date(2012, 3, 12), date(2012, 3, 13), ("AAA", "NEW", "OLD"))
    parts = delivered(vendor, request)
    assert list(parts) == ["2012-03-12", "2012-03-13", "actions", "reference"]
    expected = bars().query("symbol == 'AAA'").iloc[2:]
    found = pd.concat([part.bars for part in parts.values()], ignore_index=True)
    assert_frame_equal(found, expected.reset_index(drop=True))
    assert parts["actions"].actions is not None
    assert parts["actions"].actions[["symbol", "kind"]].to_numpy().tolist() == [["AAA", "split"]]
    prices = [path for path in vendor.requests if "/aggs/" in path]
    assert len(prices) == 2, "one request a day"
    assert all("adjusted=false" in path and "include_otc=true" in path for path in prices), "as in a symbol's own bars"
    assert len([path for path in vendor.requests if "/splits" in path or "/dividends" in path]) == 2
    assert list(delivered(vendor, request, ("2012-03-12", "actions", "reference"))) == ["2012-03-13"]


def test_both_ways_give_the_same_bars_and_actions_of_the_named_symbols(vendor: Vendor) -> None:
    few, many = BOTH, Request(FIRST, LAST, (*BOTH.symbols, *(f"X{n}" for n in range(7))))
    order = ["symbol", "date"]
    assert_frame_equal(bars_of(vendor, many).sort_values(order, ignore_index=True), bars_of(vendor, few))
    assert_frame_equal(actions_of(vendor, many), actions_of(vendor, few))


def test_a_part_is_asked_for_when_it_is_wanted_and_not_before(vendor: Vendor) -> None:
    coming = client(vendor).deliver(MARKET, ())
    assert vendor.requests == []
    assert next(coming).name == "2012-03-05"
    assert len(vendor.requests) == 1, "one request a session"


def test_pages_are_followed_to_the_last_one() -> None:
    with serve(bars(), actions(), page_size=1) as vendor:
        assert_frame_equal(bars_of(vendor, BOTH), bars())
        assert len([path for path in vendor.requests if "/ticker/AAA/" in path]) == len(SESSIONS)
        assert_frame_equal(actions_of(vendor, MARKET), actions().iloc[:3])


def test_without_symbols_the_whole_market_comes_day_by_day_and_closed_days_give_nothing(vendor: Vendor) -> None:
    parts = delivered(vendor, MARKET)
    assert list(parts) == [*WEEKDAYS, "2012-03-14", "actions", "reference"]
    assert [day for day, part in parts.items() if len(part.bars)] == [f"{day:%Y-%m-%d}" for day in SESSIONS]
    expected = bars().sort_values(["date", "symbol"]).reset_index(drop=True)
    assert_frame_equal(bars_of(vendor, MARKET), expected)
    assert all("adjusted=false" in path for path in vendor.requests if "/grouped/" in path)


def test_a_day_that_is_there_already_is_not_asked_for_again(vendor: Vendor) -> None:
    have = (*WEEKDAYS, "reference")
    assert list(delivered(vendor, MARKET, have)) == ["2012-03-14", "actions"]
    assert len([path for path in vendor.requests if "/grouped/" in path]) == 1


def test_what_came_before_a_failure_is_delivered_and_only_the_rest_is_asked_for_again(vendor: Vendor) -> None:
    vendor.plant("/stocks/2012-03-08", 500, times=4)
    have: list[str] = []
    with pytest.raises(ProviderUnavailable):
        have.extend(part.name for part in client(vendor).deliver(MARKET, ()))
    assert have == WEEKDAYS[:3]
    vendor.requests.clear()
    assert list(delivered(vendor, MARKET, tuple(have))) == [*WEEKDAYS[3:], "2012-03-14", "actions", "reference"]
    assert not [path for path in vendor.requests for day in have if day in path and "/grouped/" in path]


def test_no_weekend_is_asked_for(vendor: Vendor) -> None:
    assert list(delivered(vendor, Request(date(2012, 3, 10), date(2012, 3, 11)))) == ["actions", "reference"]


def test_actions_are_new_shares_per_old_and_cash_per_share_within_the_span(vendor: Vendor) -> None:
    for request in (BOTH, MARKET):
        assert_frame_equal(actions_of(vendor, request), actions().iloc[:3])


def test_a_split_recorded_twice_counts_once_and_two_different_ones_multiply(caplog: pytest.LogCaptureFixture) -> None:
    with serve(bars()) as vendor:
        day = {"ticker": "AAA", "execution_date": "2012-03-12"}
        vendor.splits = [
            {"id": "E1", **day, "split_from": 1, "split_to": 2},
            {"id": "E2", **day, "split_from": 2, "split_to": 4},
            {"id": "E3", **day, "split_from": 10, "split_to": 1},
        ]
        assert actions_of(vendor, MARKET)["value"].tolist() == pytest.approx([0.2])
    assert "split of AAA on 2012-03-12 recorded twice, counted once" in caplog.text


def test_a_dividend_recorded_twice_counts_once_and_different_ones_add_up(caplog: pytest.LogCaptureFixture) -> None:
    dividend = {
        "ticker": "AAA",
        "ex_dividend_date": "2012-03-12",
        "cash_amount": 0.25,
        "currency": "USD",
        "dividend_type": "CD",
        "declaration_date": "2012-02-01",
        "record_date": "2012-03-13",
        "pay_date": "2012-04-01",
    }
    with serve(bars()) as vendor:
        vendor.dividends = [
            {"id": "E1", **dividend},
            {"id": "E2", **dividend},
            {"id": "E3", **dividend, "pay_date": "2012-05-01"},
            {"id": "E4", **dividend, "cash_amount": 0.5, "dividend_type": "LT"},
            {"id": "E5", **dividend, "cash_amount": 3.0, "dividend_type": "SC"},
        ]
        found = actions_of(vendor, MARKET)
    assert found[["kind", "value"]].to_numpy().tolist() == [["dividend", 1.0], ["special_dividend", 3.0]]
    assert caplog.text.count("recorded twice") == 1


def test_cash_in_another_currency_than_the_prices_is_left_out_and_said(caplog: pytest.LogCaptureFixture) -> None:
    with serve(bars()) as vendor:
        row = {"ticker": "AAA", "ex_dividend_date": "2012-03-12", "cash_amount": 30.0, "currency": "JPY"}
        vendor.dividends = [row]
        assert_frame_equal(actions_of(vendor, MARKET), ACTIONS.empty())
    assert "dividend of AAA on 2012-03-12 in JPY left out" in caplog.text


def test_an_empty_span_is_no_error(vendor: Vendor) -> None:
    sunday = Request(date(2012, 3, 11), date(2012, 3, 11), ("AAA",))
    assert_frame_equal(bars_of(vendor, sunday), RECEIVED.empty())
    assert_frame_equal(actions_of(vendor, sunday), ACTIONS.empty())


def test_a_bar_without_a_price_is_kept_with_a_nan() -> None:
    holey = bars()
    holey.loc[2, "close"] = np.nan
    with serve(holey) as vendor:
        assert_frame_equal(bars_of(vendor, BOTH), holey)


def test_a_restated_bar_comes_as_it_is_now(vendor: Vendor) -> None:
    before = bars_of(vendor, MARKET)
    vendor.bars.loc[1, "close"] = 12.5
    after = bars_of(vendor, MARKET)
    changed = before["close"] != after["close"]
    assert after.loc[changed, ["symbol", "date"]].to_numpy().tolist() == [["AAA", SESSIONS[1]]]


def test_a_ticker_with_odd_characters_stays_one_piece_of_the_path() -> None:
    odd = bars().replace({"symbol": {"AAA": "BRK/WS?", "BBB": "BRK.B"}})
    with serve(odd) as vendor:
        assert_frame_equal(bars_of(vendor, Request(FIRST, LAST, ("BRK/WS?", "BRK.B"))), odd)


@pytest.mark.parametrize(
    ("now", "market", "expected"),
    [
        ("2012-03-13T20:00", "closed", "2012-03-13"),
        ("2012-03-13T16:30", "after-hours", "2012-03-13"),
        ("2012-03-13T12:00", "open", "2012-03-12"),
        ("2012-03-12T05:00", "early-hours", "2012-03-09"),
        ("2012-03-11T12:00", "closed", "2012-03-09"),
        ("2012-03-20T12:00", "closed", "2012-03-13"),
    ],
)
def test_the_last_session_is_the_last_finished_one_with_bars(now: str, market: str, expected: str) -> None:
    clock = datetime.fromisoformat(now).replace(tzinfo=NEW_YORK)
    with serve(bars(), now=clock, market=market) as vendor:
        assert client(vendor).last_session() == date.fromisoformat(expected)


def test_the_last_session_up_to_a_day_is_looked_for_no_later(vendor: Vendor) -> None:
    assert client(vendor).last_session(date(2012, 3, 12)) == date(2012, 3, 12)
    assert client(vendor).last_session(date(2012, 3, 11)) == date(2012, 3, 9)


def test_a_plan_without_todays_bars_still_has_a_last_session(vendor: Vendor) -> None:
    vendor.plant("/grouped/locale/us/market/stocks/2012-03-13", 403, b'{"status": "NOT_AUTHORIZED"}')
    assert client(vendor).last_session() == date(2012, 3, 12)


def test_a_source_without_recent_bars_says_so() -> None:
    with (
        serve(bars(), now=datetime(2012, 6, 1, 20, tzinfo=NEW_YORK)) as vendor,
        pytest.raises(ProviderError, match="no bars in the 10 days before 2012-06-01"),
    ):
        client(vendor).last_session()


def test_the_source_is_the_address_without_anything_secret() -> None:
    source = Polygon("key", "https://somebody:password@vendor.example/api?apiKey=key", Unhurried()).source
    assert source == "polygon: https://vendor.example/api"


def test_a_missing_key_or_warehouse_names_its_variable() -> None:
    for given in ({}, {"POLYGON_API_KEY": " "}):
        with pytest.raises(ProviderRejected, match="POLYGON_API_KEY"):
            Polygon.from_settings(Settings(provider="polygon", **given))  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="AFTERBELL_WAREHOUSE_DSN"):
        Polygon.from_settings(Settings(provider="polygon", POLYGON_API_KEY="key"))  # type: ignore[call-arg]


def test_the_settings_give_the_key_the_address_and_the_pace(
    vendor: Vendor, warehouse_dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    settings = Settings(
        provider="polygon",
        polygon_base_url=vendor.url + "/",
        polygon_requests_per_minute=100,
        warehouse_dsn=SecretStr(warehouse_dsn),
        POLYGON_API_KEY=vendor.key,
    )  # type: ignore[call-arg]
    source = Polygon.from_settings(settings)
    assert (source.name, source.source) == ("polygon", f"polygon: {vendor.url}/")
    assert sum(len(part.bars) for part in source.deliver(MARKET, ())) == len(bars())
    granted = Warehouse(warehouse_dsn).row("throttle_closed", {"account": fingerprint("polygon", vendor.key)})
    assert granted == {"failures": 0, "until": None}
    assert vendor.key not in caplog.text
