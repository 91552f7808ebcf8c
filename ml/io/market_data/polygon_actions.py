"""Splits and dividends, of one ticker or of the whole market, each counted once."""

from __future__ import annotations

import logging
import math
from typing import Any

import pandas as pd

from ml.errors import ProviderError
from ml.frames import ACTIONS
from ml.io.market_data.polygon_client import Client
from ml.io.market_data.polygon_fields import day_of
from ml.io.market_data.received import Request, tidy_actions

log = logging.getLogger(__name__)

_A_PAGE = 1_000
_KEY = list(ACTIONS.key)
_TERMS = ["declaration_date", "record_date", "pay_date"]
_SPECIAL = "SC"


def actions_of(client: Client, request: Request, symbol: str | None = None) -> pd.DataFrame:
    """ACTIONS with ex-dates from the request's `actions_start` to its end. The vendor gives no spin-offs.

    One split or dividend recorded twice counts once; different splits of a day multiply, different
    dividends of a day and kind add up. Cash in another currency than the prices' is left out.
    """
    splits = _once(_splits(client, request, symbol), [*_KEY, "value"])
    dividends = _once(_dividends(client, request, symbol), [*_KEY, "value", *_TERMS])
    merged = [splits.groupby(_KEY)["value"].prod(), dividends.groupby(_KEY)["value"].sum()]
    return tidy_actions(ACTIONS.cast(pd.concat(merged).reset_index()))


def _splits(client: Client, request: Request, symbol: str | None) -> pd.DataFrame:
    first, last = _span(request)
    listed = client.list_splits(symbol, execution_date_gte=first, execution_date_lte=last, limit=_A_PAGE)
    rows = [(_ticker(s, "split"), day_of(s.execution_date, "split"), "split", _ratio(s)) for s in listed]
    return _table(rows, [])


def _dividends(client: Client, request: Request, symbol: str | None) -> pd.DataFrame:
    first, last = _span(request)
    listed = client.list_dividends(symbol, ex_dividend_date_gte=first, ex_dividend_date_lte=last, limit=_A_PAGE)
    rows = [
        (
            _ticker(d, "dividend"),
            day_of(d.ex_dividend_date, "dividend"),
            "special_dividend" if d.dividend_type == _SPECIAL else "dividend",
            _cash(d),
            *(str(getattr(d, term) or "") for term in _TERMS),
        )
        for d in listed
        if _in_dollars(d)
    ]
    return _table(rows, _TERMS)


def _span(request: Request) -> tuple[str, str]:
    return (request.actions_start or request.start).isoformat(), request.end.isoformat()


def _table(rows: list[tuple[Any, ...]], further: list[str]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=[*ACTIONS.columns, *further])
    return table.assign(**ACTIONS.cast(table))


def _once(actions: pd.DataFrame, identity: list[str]) -> pd.DataFrame:
    twice = actions.duplicated(identity)
    for row in actions[twice].itertuples():
        log.warning("%s of %s on %s recorded twice, counted once", row.kind, row.symbol, f"{row.ex_date:%Y-%m-%d}")
    return actions[~twice]


def _ratio(split: Any) -> float:
    """New shares per old share."""
    new, old = _number(split.split_to), _number(split.split_from)
    if not new or not old:
        raise ProviderError(
            f"a split of {split.ticker} without its ratio", "split_from and split_to", "Tell the vendor"
        )
    return new / old


def _cash(dividend: Any) -> float:
    cash = _number(dividend.cash_amount)
    if cash is None:
        raise ProviderError(
            f"a dividend of {dividend.ticker} on {dividend.ex_dividend_date} of {dividend.cash_amount!r}",
            "cash_amount, a number",
            "Tell the vendor",
        )
    return cash


def _in_dollars(dividend: Any) -> bool:
    if not dividend.currency or dividend.currency == "USD":
        return True
    log.warning(
        "dividend of %s on %s in %s left out: the prices are in USD",
        dividend.ticker,
        dividend.ex_dividend_date,
        dividend.currency,
    )
    return False


def _ticker(action: Any, what: str) -> str:
    if not isinstance(action.ticker, str) or not action.ticker:
        raise ProviderError(f"a {what} of the ticker {action.ticker!r}", "a ticker", "Tell the vendor")
    return action.ticker


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
