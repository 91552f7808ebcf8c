"""Bars, splits, dividends and ticker reference from Polygon's REST API, through the vendor's own client.

The vendor has renamed itself once already, so the address is a setting. Daily bars come as traded
(adjusted=False); the corporate actions come beside them.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from datetime import date, timedelta
from typing import Any

import pandas as pd
import urllib3

from ml.errors import ProviderError, ProviderRejected
from ml.frames import RECEIVED
from ml.io.market_data.polygon_actions import actions_of
from ml.io.market_data.polygon_client import Client, in_path
from ml.io.market_data.polygon_fields import day_of
from ml.io.market_data.polygon_reference import listed_reference, reference_of
from ml.io.market_data.received import SPOKEN, Part, Request
from ml.io.throttle import Pacer, Throttle, fingerprint
from ml.io.warehouse import Warehouse
from ml.settings import Settings

_EXCHANGE_ZONE = "America/New_York"
_BARS_A_PAGE = 50_000
_LONGEST_CLOSURE = 10  # days; the longest since 1933, in September 2001, was six
_SATURDAY = 5
_PRICES = ("open", "high", "low", "close", "volume")


class Polygon:
    """The vendor, asked one symbol after another, or one day after another where that is fewer requests."""

    name = "polygon"

    def __init__(self, key: str, base_url: str, pacer: Pacer, timeout_seconds: float = 10.0) -> None:
        self._base_url = str(urllib3.util.parse_url(base_url)._replace(query=None, auth=None))
        self._client = Client(key, base_url, timeout_seconds, pacer)

    @classmethod
    def from_settings(cls, settings: Settings) -> Polygon:
        """The vendor at AFTERBELL_POLYGON_BASE_URL, at the pace of AFTERBELL_POLYGON_REQUESTS_PER_MINUTE.

        ProviderRejected without POLYGON_API_KEY; SettingsError without a warehouse, which keeps the pace.
        """
        key = settings.polygon_api_key.get_secret_value().strip() if settings.polygon_api_key else ""
        if not key:
            raise ProviderRejected(
                "the provider `polygon` without POLYGON_API_KEY",
                "the key of a Polygon account",
                "Set POLYGON_API_KEY in the environment or in .env",
            )
        warehouse = Warehouse(settings.require_warehouse_dsn())
        pacer = Throttle(warehouse, fingerprint(cls.name, key), settings.polygon_requests_per_minute)
        return cls(key, settings.polygon_base_url, pacer)

    @property
    def source(self) -> str:
        """The vendor's address."""
        return f"{self.name}: {self._base_url}"

    def last_session(self, until: date = date.max) -> date:
        """The last finished session up to `until`, by the vendor's clock and bars.

        A session still trading does not count. A plan without same-day data refuses today's bars until
        they are released: then the session before is the last one.
        """
        status = self._client.get_market_status()
        today = day_of(status.server_time, "market status").date()
        trading = status.market == "open" or bool(status.early_hours)
        last = min(today - timedelta(days=int(trading)), until)
        for day in _weekdays(today - timedelta(days=_LONGEST_CLOSURE), last)[::-1]:
            try:
                if self._grouped(day):
                    return day
            except ProviderRejected:
                if day < today:
                    raise
        raise ProviderError(
            f"no bars in the {_LONGEST_CLOSURE} days before {today} at {self._base_url}",
            "bars of a recent session",
            "Check AFTERBELL_POLYGON_BASE_URL and what the vendor says about its service",
        )

    def deliver(self, request: Request, have: Container[str]) -> Iterator[Part]:
        """As Provider.deliver.

        Of named symbols, no more than there are weekdays in the span, one part for each, its actions inside. Of more,
        and of the whole market, one part for each weekday, named like 2024-01-05, then `actions`. The part
        `reference` comes last.
        """
        yield from self._symbols(request, have) if _by_symbol(request) else self._days(request, have)
        if "reference" not in have:
            symbols = dict.fromkeys(request.symbols)
            known = reference_of(self._client, symbols, request.end) if symbols else listed_reference(self._client)
            yield Part("reference", RECEIVED.empty(), reference=known)

    def _symbols(self, request: Request, have: Container[str]) -> Iterator[Part]:
        for symbol in dict.fromkeys(request.symbols):
            if symbol not in have:
                bars, actions = self._bars_of(symbol, request), actions_of(self._client, request, symbol)
                yield Part(symbol, bars, actions, spoken=_spoken(request, symbol))

    def _days(self, request: Request, have: Container[str]) -> Iterator[Part]:
        over_the_counter = bool(request.symbols)  # as in a symbol's own bars; the market's come without
        for day in _weekdays(request.start, request.end):
            if day.isoformat() not in have:
                yield Part(day.isoformat(), _of(request.symbols, self._bars_on(day, over_the_counter)))
        if "actions" not in have:
            actions = _of(request.symbols, actions_of(self._client, request))
            yield Part("actions", RECEIVED.empty(), actions, spoken=_spoken(request, *request.symbols or (None,)))

    def _bars_of(self, symbol: str, request: Request) -> pd.DataFrame:
        first, last = request.start.isoformat(), request.end.isoformat()
        bars = list(
            self._client.list_aggs(
                in_path(symbol), 1, "day", first, last, adjusted=False, sort="asc", limit=_BARS_A_PAGE
            )
        )
        days = _session_dates([bar.timestamp for bar in bars], symbol)
        received: pd.DataFrame = _bars([symbol] * len(bars), days, bars)
        inside: pd.Series[bool] = days.between(pd.Timestamp(request.start), pd.Timestamp(request.end))
        return received[inside].reset_index(drop=True)

    def _bars_on(self, day: date, over_the_counter: bool) -> pd.DataFrame:
        bars = self._grouped(day, over_the_counter)
        tickers = [bar.ticker if isinstance(bar.ticker, str) else None for bar in bars]
        return _bars(tickers, pd.Series(pd.Timestamp(day), index=range(len(bars))), bars)

    def _grouped(self, day: date, over_the_counter: bool = False) -> list[Any]:
        bars: list[Any] = self._client.get_grouped_daily_aggs(
            day.isoformat(), adjusted=False, include_otc=over_the_counter
        )
        return bars


def _spoken(request: Request, *symbols: str | None) -> pd.DataFrame:
    first = request.actions_start or request.start
    rows = [{"symbol": symbol, "first": first, "last": request.end} for symbol in dict.fromkeys(symbols)]
    return SPOKEN.cast(pd.DataFrame(rows))


def _by_symbol(request: Request) -> bool:
    """Whether that is the shorter way, with one request a symbol for bars instead of one a weekday."""
    return 0 < len(set(request.symbols)) <= len(_weekdays(request.start, request.end))


def _of(symbols: tuple[str, ...], frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of the named symbols; of all when none is named."""
    return frame[frame["symbol"].isin(symbols)].reset_index(drop=True) if symbols else frame


def _weekdays(first: date, last: date) -> list[date]:
    """The days the vendor may have bars of: its bars begin in 2003, US exchanges left Saturday sessions in 1952."""
    days = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return [day for day in days if day.weekday() < _SATURDAY]


def _bars(symbols: list[Any], days: pd.Series[pd.Timestamp], bars: list[Any]) -> pd.DataFrame:
    """RECEIVED; a price that is absent or no number becomes NaN, so that the row is quarantined later."""
    values = {name: _numbers([getattr(bar, name) for bar in bars]) for name in _PRICES}
    return RECEIVED.cast(pd.DataFrame({"symbol": symbols, "date": days, **values}))


def _numbers(values: list[Any]) -> pd.Series[float]:
    plain = [
        value if isinstance(value, int | float | str) and not isinstance(value, bool) else None for value in values
    ]
    numbers: pd.Series[float] = pd.to_numeric(pd.Series(plain, dtype=object), errors="coerce")
    return numbers.astype("float64")


def _session_dates(timestamps: list[Any], symbol: str) -> pd.Series[pd.Timestamp]:
    """The session of each bar: the vendor stamps a daily bar with midnight in New York, in milliseconds UTC."""
    millis = _numbers(timestamps)
    # beyond these pandas overflows: the years 1970 to 2262
    if not millis.between(0, 9.2e12).all():
        raise ProviderError(
            f"a bar of {symbol} without its time `t`", "milliseconds since 1970", "Run it again; tell the vendor"
        )
    instants: pd.Series[pd.Timestamp] = pd.to_datetime(millis, unit="ms", utc=True)
    return instants.dt.tz_convert(_EXCHANGE_ZONE).dt.tz_localize(None).dt.normalize().dt.as_unit("us")
