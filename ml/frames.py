"""The frame contracts: columns, types and keys, checked once at the border and then trusted.

Conventions of every frame: a plain RangeIndex, instants as `datetime64[us, UTC]`, calendar dates
as naive `datetime64[us]` at midnight, text as `str`, missing numbers as NaN.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np
import pandas as pd

from ml.errors import FrameError

TEXT = "str"
DATE = "datetime64[us]"
INSTANT = "datetime64[us, UTC]"
REAL = "float64"


def session_day(close: datetime) -> date:
    """The calendar day of the session that closed at `close`, for words and names; market.session_of in SQL.

    A 24 h market closes at midnight UTC, which is already the next day; Wellington's half-days close at 23:45 UTC of
    the day before.
    """
    instant = close.astimezone(UTC)
    midnight = instant.time() == time()
    return (instant + (-timedelta(microseconds=1) if midnight else timedelta(minutes=15))).date()


@dataclass(frozen=True)
class Contract:
    """A frame's columns with their dtypes, and the columns that are its key.

    `strict_keys` says whether keys must be unique and sorted ascending in the key's order.
    Columns beyond the contract are refused, so that nothing travels unseen.
    """

    name: str
    columns: Mapping[str, Any]
    key: tuple[str, ...] = field(default=())
    strict_keys: bool = True

    def check(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The same frame, proved to keep the contract; FrameError otherwise."""
        self._check_columns(frame)
        self._check_dtypes(frame)
        if self.strict_keys and self.key:
            self._check_keys(frame)
        return frame

    def cast(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The contract's columns in order, cast to its dtypes, without other columns.

        FrameError names the column that is missing or cannot be cast.
        """
        self._check_columns(frame, extra_allowed=True)
        cast = {}
        for column, dtype in self.columns.items():
            try:
                cast[column] = frame[column].astype(dtype)
            except (ValueError, TypeError) as error:
                raise FrameError(
                    f"{self.name} column {column!r} of type {frame[column].dtype} ({error})",
                    f"values that read as {dtype}",
                    "Correct the source or its column mapping",
                ) from error
        return pd.DataFrame(cast, copy=False).reset_index(drop=True)

    def empty(self) -> pd.DataFrame:
        """No rows, right columns."""
        return pd.DataFrame({name: pd.Series(dtype=dtype) for name, dtype in self.columns.items()})

    def _check_columns(self, frame: pd.DataFrame, extra_allowed: bool = False) -> None:
        missing = [c for c in self.columns if c not in frame.columns]
        if missing:
            raise FrameError(
                f"{self.name} with columns {list(frame.columns)}, without {missing}",
                f"columns {list(self.columns)}",
                "Add the missing columns or map them in the settings",
            )
        extra = [c for c in frame.columns if c not in self.columns]
        if extra and not extra_allowed:
            raise FrameError(f"{self.name} with extra columns {extra}", f"columns {list(self.columns)}", "Drop them")

    def _check_dtypes(self, frame: pd.DataFrame) -> None:
        # all at once: to take a column out of a frame costs more than to look at its type
        found = dict(zip(frame.columns, frame.dtypes, strict=True))
        for column, dtype in self.columns.items():
            if str(found[column]) != dtype:
                raise FrameError(
                    f"{self.name} column {column!r} of type {found[column]}", dtype, "Use Contract.cast first"
                )

    def _check_keys(self, frame: pd.DataFrame) -> None:
        if _ascends([frame[column] for column in self.key]):
            return
        keys = pd.MultiIndex.from_frame(frame[list(self.key)])
        if keys.has_duplicates:
            twice = keys[keys.duplicated()][0]
            raise FrameError(f"{self.name} with key {twice} more than once", f"unique {self.key}", "Remove duplicates")
        if not keys.is_monotonic_increasing:
            raise FrameError(f"{self.name} out of order", f"rows sorted by {self.key}", "Sort the rows")


def _ascends(keys: list[pd.Series]) -> bool:
    """Whether every row comes after the one before it: told by neighbours, at half the price of an index."""
    after, tied = np.False_, np.True_
    for key in keys:
        before, behind = key.array[:-1], key.array[1:]
        after, tied = after | tied & (before < behind), tied & (before == behind)
    return bool(np.all(after))


_OHLCV = {"open": REAL, "high": REAL, "low": REAL, "close": REAL, "volume": REAL}

RECEIVED = Contract(
    "received bars", {"symbol": TEXT, "date": DATE, **_OHLCV}, key=("symbol", "date"), strict_keys=False
)
"""What a vendor sent, untouched: raw prices as traded, `date` the session. May hold any mistake."""

ACTIONS = Contract(
    "corporate actions",
    {"symbol": TEXT, "ex_date": DATE, "kind": TEXT, "value": REAL},
    key=("symbol", "ex_date", "kind"),
)
"""What happened to a share on its ex-date, before the open.

`split`: new shares per old share (2.0 for 2:1). `dividend`, `special_dividend`: cash per share, in the
raw price's unit. `spin_off`: the worth of what was handed out per share, in the same unit.
"""

REFERENCE = Contract(
    "reference",
    {
        "instrument": TEXT,
        "symbol": TEXT,
        "valid_from": DATE,
        "valid_to": DATE,
        "name": TEXT,
        "type": TEXT,
        "exchange": TEXT,
        "sector": TEXT,
        "listed": DATE,
        "delisted": DATE,
    },
    key=("symbol", "valid_from"),
    strict_keys=False,
)
"""Who was behind a ticker: `instrument` is the source's own stable id, the interval [valid_from, valid_to).

NaT in valid_from means always, in valid_to still; text that the source does not know is missing.
"""

TICKERS = Contract(
    "tickers",
    {"symbol": TEXT, "instrument_id": "int64", "valid_from": DATE, "valid_to": DATE},
    key=("symbol", "valid_from"),
    strict_keys=False,
)
"""Who was behind a ticker from valid_from until before valid_to (NaT: always, still), by the warehouse's own number."""

SECTORS = Contract(
    "sectors",
    {"symbol": TEXT, "sector": TEXT, "valid_from": DATE, "valid_to": DATE},
    key=("symbol", "valid_from"),
    strict_keys=False,
)
"""The sector of a ticker's owner from valid_from until before valid_to (NaT: always, still), where it is told."""

MEMBERS = Contract(
    "members", {"symbol": TEXT, "valid_from": DATE, "valid_to": DATE}, key=("symbol", "valid_from"), strict_keys=False
)
"""Who belonged to the universe from valid_from until before valid_to (NaT: always, still), by ticker."""

BARS = Contract("bars", {"symbol": TEXT, "ts": INSTANT, **_OHLCV}, key=("symbol", "ts"))
"""Accepted daily bars, raw prices; `ts` is the instant the session closed."""

ADJUSTED = Contract("adjusted bars", {"symbol": TEXT, "ts": INSTANT, **_OHLCV, "raw_close": REAL}, key=("symbol", "ts"))
"""Bars made comparable over time (splits and dividends), beside the close as it was traded."""

QUARANTINE = Contract(
    "quarantined bars",
    {"symbol": TEXT, "date": DATE, **_OHLCV, "reason": TEXT},
    key=("symbol", "date"),
    strict_keys=False,
)

LABELS = Contract(
    "labels",
    {"entity": TEXT, "ts": INSTANT, "target": TEXT, "matures_at": INSTANT, "value": REAL},
    key=("target", "ts", "entity"),
)
"""One row per entity, instant and target whose outcome is known; the event is value > 0."""

OUT_OF_FOLD = Contract(
    "out-of-fold predictions",
    {
        "entity": TEXT,
        "ts": INSTANT,
        "value": REAL,
        "p_up": REAL,
        "expected": REAL,
        "scale": REAL,
        "baseline_p_up": REAL,
    },
    key=("ts", "entity"),
)
"""What a recipe said about outer test rows it never saw, beside what came and what the baseline said."""

FORECAST = Contract(
    "forecast",
    {
        "entity": TEXT,
        "p_up": REAL,
        "expected": REAL,
        "lower": REAL,
        "upper": REAL,
        "lower_95": REAL,
        "upper_95": REAL,
        "target_probability": REAL,
        "stop": REAL,
        "risk_score": REAL,
        "similar_share_up": REAL,
        "similar_dates": "int64",
        "dissimilarity": REAL,
        "is_outlier": "bool",
        "members": TEXT,
        "reasons": TEXT,
    },
    key=("entity",),
)
"""A model's word on one instant: probability of a rise, expected value, central intervals (80 % and 95 %), and what
helps to weigh it. members: each one's share in the answer; reasons: see lifecycle.explanation; both JSON."""

PREDICTIONS = Contract(
    "predictions",
    {
        "entity": TEXT,
        "target": TEXT,
        "matures_at": INSTANT,
        "model_version": "int64",
        "has_skill": "bool",
        "p_up": REAL,
        "direction": TEXT,
        "confidence": REAL,
        "expected_return": REAL,
        "return_lower": REAL,
        "return_upper": REAL,
        "return_lower_95": REAL,
        "return_upper_95": REAL,
        "return_stop": REAL,
        "price": REAL,
        "price_target": REAL,
        "price_lower": REAL,
        "price_upper": REAL,
        "price_stop": REAL,
        "target_probability": REAL,
        "risk_score": REAL,
        "similar_share_up": REAL,
        "similar_dates": "int64",
        "dissimilarity": REAL,
        "is_outlier": "bool",
        "members": TEXT,
        "reasons": TEXT,
    },
    key=("target", "entity"),
)
"""Finished rows of one night, ready to be audited and published."""

FEATURE_KEYS: dict[str, str] = {"entity": TEXT, "ts": INSTANT}
"""A feature frame has these keys first, sorted by (ts, entity), then float32 columns of one feature set."""


def check_features(frame: pd.DataFrame, names: tuple[str, ...]) -> pd.DataFrame:
    """The same frame, proved to hold exactly the features `names` as float32 after its keys."""
    return Contract("features", {**FEATURE_KEYS, **dict.fromkeys(names, "float32")}, key=("ts", "entity")).check(frame)
