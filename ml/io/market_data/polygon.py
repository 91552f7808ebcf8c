"""Bars, splits and dividends from Polygon's REST API, through the vendor's own client.

The vendor has renamed itself once already, so the address is a setting. Daily bars come as traded
(adjusted=False); the corporate actions come beside them.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any

import pandas as pd

from ml.errors import ProviderError, ProviderRejected
from ml.frames import ACTIONS, RECEIVED
from ml.io.market_data.polygon_client import Client
from ml.io.market_data.received import Received, tidy_actions
from ml.settings import Settings

_EXCHANGE_ZONE = "America/New_York"
_BARS_A_PAGE = 50_000
_ACTIONS_A_PAGE = 1_000
_LONGEST_CLOSURE = 10  # days; the longest since 1933, in September 2001, was six
_OHLCV = ("open", "high", "low", "close", "volume")


class Polygon:
    """The vendor, asked one symbol after another, or one day after another when no symbols are named."""

    name = "polygon"

    def __init__(self, key: str, base_url: str, timeout_seconds: float = 10.0) -> None:
        self._base_url = base_url
        self._client = Client(key, base_url, timeout_seconds)

    @classmethod
    def from_settings(cls, settings: Settings) -> Polygon:
        """The vendor at AFTERBELL_POLYGON_BASE_URL; ProviderRejected without POLYGON_API_KEY."""
        key = settings.polygon_api_key.get_secret_value().strip() if settings.polygon_api_key else ""
        if not key:
            raise ProviderRejected(
                "the provider `polygon` without POLYGON_API_KEY",
                "the key of a Polygon account",
                "Set POLYGON_API_KEY in the environment or in .env",
            )
        return cls(key, settings.polygon_base_url)

    def last_session(self) -> date:
        """The last finished session, by the vendor's clock and bars.

        A session still trading does not count. A plan without same-day data refuses today's bars until
        they are released: then the session before is the last one.
        """
        status = self._client.get_market_status()
        today = _written_date(status.server_time, "market status").date()
        trading = status.market == "open" or bool(status.early_hours)
        for day in (today - timedelta(days=back) for back in range(int(trading), _LONGEST_CLOSURE + 1)):
            try:
                if self._client.get_grouped_daily_aggs(day.isoformat(), adjusted=False):
                    return day
            except ProviderRejected:
                if day < today:
                    raise
        raise ProviderError(
            f"no bars in the {_LONGEST_CLOSURE} days before {today} at {self._base_url}",
            "bars of a recent session",
            "Check AFTERBELL_POLYGON_BASE_URL and what the vendor says about its service",
        )

    def fetch(self, start: date, end: date, symbols: tuple[str, ...]) -> Received:
        """As Provider.fetch. Without symbols every calendar day is asked: a closed day answers with no bars."""
        bars = [self._bars_of(symbol, start, end) for symbol in symbols] or [
            self._bars_on(start + timedelta(days=n)) for n in range((end - start).days + 1)
        ]
        actions = [self._actions(start, end, symbol) for symbol in symbols or (None,)]
        return Received(
            bars=pd.concat([RECEIVED.empty(), *bars], ignore_index=True),
            actions=tidy_actions(pd.concat([ACTIONS.empty(), *actions], ignore_index=True)),
            adj_close=None,
            source=f"polygon: {self._base_url}",
        )

    def _bars_of(self, symbol: str, start: date, end: date) -> pd.DataFrame:
        bars = list(
            self._client.list_aggs(
                symbol, 1, "day", start.isoformat(), end.isoformat(), adjusted=False, sort="asc", limit=_BARS_A_PAGE
            )
        )
        days = _session_dates([bar.timestamp for bar in bars], symbol)
        received: pd.DataFrame = _bars([symbol] * len(bars), days, bars)
        inside: pd.Series[bool] = days.between(pd.Timestamp(start), pd.Timestamp(end))
        return received[inside]

    def _bars_on(self, day: date) -> pd.DataFrame:
        bars = self._client.get_grouped_daily_aggs(day.isoformat(), adjusted=False)
        return _bars([bar.ticker for bar in bars], pd.Series(pd.Timestamp(day), index=range(len(bars))), bars)

    def _actions(self, start: date, end: date, symbol: str | None) -> pd.DataFrame:
        """Several actions of one kind on one day are one: cash adds up, split factors multiply."""
        first, last = start.isoformat(), end.isoformat()
        splits = self._client.list_splits(
            symbol, execution_date_gte=first, execution_date_lte=last, limit=_ACTIONS_A_PAGE
        )
        dividends = self._client.list_dividends(
            symbol, ex_dividend_date_gte=first, ex_dividend_date_lte=last, limit=_ACTIONS_A_PAGE
        )
        split = _table(((s.ticker, s.execution_date, _ratio(s)) for s in splits), "split")
        cash = _table(((d.ticker, d.ex_dividend_date, d.cash_amount) for d in dividends), "dividend")
        keys = list(ACTIONS.key)
        merged = [split.groupby(keys)["value"].prod(), cash.groupby(keys)["value"].sum()]
        return ACTIONS.cast(pd.concat(merged).reset_index())


def _bars(symbols: list[Any], days: pd.Series[pd.Timestamp], bars: list[Any]) -> pd.DataFrame:
    """RECEIVED; a price that is absent or no number becomes NaN, so that the row is quarantined later."""
    values = {name: pd.to_numeric(pd.Series([getattr(b, name) for b in bars]), errors="coerce") for name in _OHLCV}
    return RECEIVED.cast(pd.DataFrame({"symbol": symbols, "date": days, **values}))


def _session_dates(timestamps: list[Any], symbol: str) -> pd.Series[pd.Timestamp]:
    """The session of each bar: the vendor stamps a daily bar with midnight in New York, in milliseconds UTC."""
    instants: pd.Series[pd.Timestamp] = pd.to_datetime(pd.Series(timestamps, dtype="float64"), unit="ms", utc=True)
    if instants.isna().any():
        raise ProviderError(f"a bar of {symbol} without its time `t`", "milliseconds since 1970", "Tell the vendor")
    return instants.dt.tz_convert(_EXCHANGE_ZONE).dt.tz_localize(None).dt.normalize().dt.as_unit("us")


def _table(rows: Iterable[tuple[Any, Any, Any]], kind: str) -> pd.DataFrame:
    read = [(ticker, _written_date(day, kind), kind, float(value)) for ticker, day, value in rows]
    return ACTIONS.cast(pd.DataFrame(read, columns=list(ACTIONS.columns)))


def _ratio(split: Any) -> float:
    """New shares per old share."""
    if not split.split_from or not split.split_to:
        raise ProviderError(
            f"a split of {split.ticker} without its ratio", "split_from and split_to", "Tell the vendor"
        )
    return float(split.split_to) / float(split.split_from)


def _written_date(value: Any, what: str) -> datetime:
    try:
        return datetime.combine(datetime.fromisoformat(value).date(), datetime.min.time())
    except (TypeError, ValueError) as error:
        raise ProviderError(f"a {what} dated {value!r}", "a date such as 2012-01-31", "Tell the vendor") from error
