"""Where each thing of a night lies in the store: by what it was made from, never by when."""

from __future__ import annotations

from datetime import UTC, datetime

from ml.domain import Target
from ml.io.warehouse.bars import TIMEFRAME

SHORT = 24


def raw_bars(domain: str, year: int, versions: int, last_known_at: datetime | None) -> str:
    """The bars of a year as received, when so many versions of them were known, the last one since then."""
    since = f"-{last_known_at.astimezone(UTC):%Y%m%dT%H%M%S.%f}" if last_known_at else ""
    return f"{domain}/raw/{TIMEFRAME}/{year}/{versions}{since}"


def features(domain: str, feature_set: str) -> str:
    """Where the months of features of one feature set lie, and by snapshot which of them belong to it."""
    return f"{domain}/features/{TIMEFRAME}/{feature_set[:SHORT]}"


def tonight(domain: str, feature_set: str, snapshot: str) -> str:
    """The rows of `features` that the night's predictions are made from, without `ts`."""
    return f"{domain}/tonight/{feature_set[:SHORT]}/{snapshot[:SHORT]}"


def adjusted(domain: str) -> str:
    """The same for adjusted bars."""
    return f"{domain}/adjusted/{TIMEFRAME}"


def past(domain: str, feature_set: str, month: str) -> str:
    """What was kept of a history before one month, so that its nights need not read it."""
    return f"{domain}/past/{TIMEFRAME}/{feature_set[:SHORT]}/{month}"


def labels(target: Target, snapshot: str) -> str:
    """Labels of one target, of the kind that it learns, in one data snapshot."""
    return f"{target.domain}/labels/{target.name}/{target.label}/{snapshot[:SHORT]}"


def reference(domain: str, snapshot: str) -> str:
    """The price of each entity in the session that a night's predictions start from."""
    return f"{domain}/reference/{snapshot[:SHORT]}"
