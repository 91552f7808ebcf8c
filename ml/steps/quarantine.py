"""Reviewing refused rows: a person's word on them is kept, and what is released becomes bars at once."""

from __future__ import annotations

import hashlib
import logging
from typing import Any

import pandas as pd

from ml.equity import sessions
from ml.equity.checks import never_bars
from ml.errors import FrameError, SettingsError
from ml.frames import RECEIVED
from ml.io.store import Store, frame_digest
from ml.io.warehouse import Warehouse, deliveries, quarantine
from ml.io.warehouse.deliveries import Delivery, Landed
from ml.io.warehouse.quarantine import STATES, Choice
from ml.settings import Settings, settings
from ml.steps import validate
from ml.steps.night import Keys, day

log = logging.getLogger(__name__)

DOMAIN = "equity"
SHELL = "shell"
_EXAMPLES = 10


def review(
    verdict: str,
    why: str,
    symbols: list[str] | None = None,
    first_session: str | None = None,
    last_session: str | None = None,
    reason: str | None = None,
    again: bool = False,
    reviewed_by: str = SHELL,
) -> Keys:
    """Release or reject the quarantined rows that fit all that is given; returns `verdict` and how many `rows`.

    reason: part of the reason for which they were refused, in any case
    again: also rows that were judged before, to take a verdict back
    The same review again finds nothing left to judge. SettingsError for a form that cannot be used;
    FrameError, and nothing is released, when one of the rows can never be a bar.
    """
    if verdict not in STATES:
        raise SettingsError(f"the verdict {verdict!r}", f"one of {', '.join(STATES)}", "Choose one of them")
    if not why.strip():
        raise SettingsError("no word on why", "a reason that others understand later", "Fill in `why`")
    first = day("first_session", first_session) if first_session else None
    last = day("last_session", last_session) if last_session else None
    choice = Choice(tuple(symbols or ()), first, last, reason, again)
    if not (choice.symbols or choice.first or choice.last or choice.reason):
        raise SettingsError(
            "a review of the whole quarantine", "symbols, sessions or a reason to choose rows by", "Give one of them"
        )
    config = settings()

    def judge(chosen: pd.DataFrame, released: pd.DataFrame) -> None:
        if verdict == "release":
            _refuse_impossible(config, chosen, released)

    warehouse = Warehouse(config.require_warehouse_dsn())
    count = quarantine.review(warehouse, choice, verdict, reviewed_by, why.strip(), judge)
    log.info("%d rows %s by %s: %s", count, STATES[verdict], reviewed_by, why.strip())
    return {"verdict": verdict, "rows": str(count)}


def take_in() -> Keys | None:
    """Have every released row that is not in the bars yet taken in; returns the keys of the night that they join.

    None when there is nothing to take in: no row, or no night that was accepted. Rows of sessions after the
    last accepted night wait for their own night, which takes them in itself. Safe to run again, and twice at once.
    """
    config = settings()
    warehouse = Warehouse(config.require_warehouse_dsn())
    night = quarantine.last_night(warehouse, DOMAIN)
    if night is None:
        return None
    as_of = pd.Timestamp(night["as_of"]).tz_convert("UTC")
    last = sessions.session_of(config.calendar, pd.Series([as_of])).iloc[0].date()
    reviews, rows = quarantine.pending(warehouse, last)
    if rows.empty:
        return None
    attempt = f"release-{hashlib.sha256(','.join(map(str, reviews)).encode()).hexdigest()[:32]}"
    # Killed before it could be written down that the rows are in: then they are.
    done = deliveries.accepted(warehouse, attempt)
    ingest_id = int(done["ingest_id"]) if done else _land(config, warehouse, attempt, night, rows)
    keys = validate.run(str(ingest_id))
    quarantine.taken_in(warehouse, reviews, ingest_id)
    log.info("%d released rows are in, ingest %d", len(rows), ingest_id)
    return keys


def _land(config: Settings, warehouse: Warehouse, attempt: str, night: dict[str, Any], rows: pd.DataFrame) -> int:
    """A delivery of one part that holds the rows and no actions: of those a release says nothing."""
    bars, symbols = RECEIVED.cast(rows), sorted(rows["symbol"].unique())
    first, last = rows["date"].min().date(), rows["date"].max().date()
    digest = frame_digest(bars)
    store, key = Store(config.store_root), f"landing/{DOMAIN}/quarantine/{digest[:32]}"
    store.put(f"{key}/bars", bars, {"part": "released"})
    delivery = Delivery(
        domain=DOMAIN,
        kind="release",
        provider=night["provider"],
        source="rows released from the quarantine",
        as_of=night["as_of"],
        window_start=first,
        window_end=last,
        symbols=tuple(symbols),
        attempt=attempt,
    )
    ingest_id = int(deliveries.begin(warehouse, delivery)["ingest_id"])
    deliveries.land(warehouse, ingest_id, Landed("released", key, len(bars), digest))
    deliveries.close(warehouse, ingest_id, digest)
    return ingest_id


def _refuse_impossible(config: Settings, chosen: pd.DataFrame, released: pd.DataFrame) -> None:
    latest = sessions.latest_close(config.calendar, pd.Timestamp.now("UTC"))
    same_bar = pd.MultiIndex.from_frame(released[["symbol", "date"]]).isin(
        pd.MultiIndex.from_frame(chosen[["symbol", "date"]])
    )
    never = never_bars(pd.concat([chosen, released[same_bar]], ignore_index=True), config.calendar, latest)
    if never.empty:
        return
    named = [_in_words(row) for row in never.head(_EXAMPLES).to_dict("records")]
    more = f" and {len(never) - _EXAMPLES} more" if len(never) > _EXAMPLES else ""
    raise FrameError(
        f"{len(never)} rows that cannot be bars: {'; '.join(named)}{more}",
        "whole bars with positive prices, a high not below the low, on a session that has closed, one for each symbol "
        "and session",
        "Reject these rows, or choose others: nothing was released",
    )


def _in_words(row: dict[Any, Any]) -> str:
    day = f"{row['date']:%Y-%m-%d}" if pd.notna(row["date"]) else "no date"
    return f"{row['symbol']} {day} ({row['reason']})"
