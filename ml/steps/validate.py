"""Landing to bars: good rows are taken in, bad rows are quarantined, a failed suite stops the night."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd

from ml.domain import Night
from ml.equity import checks, identity, sessions
from ml.equity.checks import CheckResult, NightFacts, RowReport
from ml.equity.derived_actions import derive_actions
from ml.errors import FrameError, SuiteFailed
from ml.frames import ACTIONS, BARS, QUARANTINE, REFERENCE
from ml.io.market_data.received import SPOKEN
from ml.io.store import Store
from ml.io.warehouse import Warehouse, acceptance, bars, deliveries, quarantine
from ml.io.warehouse.acceptance import Acceptance, SpeaksOf
from ml.io.warehouse.connection import Row
from ml.io.warehouse.deliveries import Landed
from ml.settings import Settings, settings
from ml.steps.night import Keys, keys

log = logging.getLogger(__name__)

ROWS_A_BATCH = 1_000_000
A_YEAR = timedelta(days=365)
CONTEXT = timedelta(days=90)
"""How far back the checks look for what was usual: some sixty sessions."""


@dataclass(frozen=True)
class Said:
    """A delivery's ACTIONS, and what they are all there is of.

    spoken: SPOKEN, as far as it is told apart
    window: whether the symbols of its rows that are not in `spoken` count too, inside the delivery's window
    derived: whether there are some that were read back from adjusted closes
    """

    actions: pd.DataFrame
    spoken: pd.DataFrame
    window: bool
    derived: bool


@dataclass
class Judged:
    """What the checks found in the batches so far."""

    quarantined: list[pd.DataFrame] = field(default_factory=list)
    checks: list[list[CheckResult]] = field(default_factory=list)
    evidence: list[CheckResult] = field(default_factory=list)
    symbols: set[str] = field(default_factory=set)
    by_session: Counter[Any] = field(default_factory=Counter)
    tail: pd.DataFrame = field(default_factory=BARS.empty)
    """The last sessions taken in: the context of the next batch."""


def run(ingest_id: str) -> Keys:
    """Check one delivery and take it in; returns the night's keys, now with `known_at`.

    SuiteFailed, with every failed check in its message, and FrameError, of a reference that contradicts itself, leave
    the bars as they were.
    """
    config = settings()
    warehouse, store = Warehouse(config.require_warehouse_dsn()), Store(config.store_root)
    ingest = deliveries.find(warehouse, int(ingest_id))
    if ingest["status"] == "accepted":
        log.info("ingest %s was accepted before", ingest_id)
        return _keys(ingest, ingest["known_at"])
    before = bars.rows_in_session(warehouse, _session_before(config.calendar, _as_of(ingest)).to_pydatetime())
    parts = deliveries.parts(warehouse, int(ingest_id))
    judged = Judged()
    try:
        with acceptance.accepting(warehouse, ingest) as taking:
            said = _take_all(config, store, parts, taking, ingest, judged)
            if said is not None:
                # Of a chunk fewer bars speak than of a whole history, and its derived values are rougher.
                yields = said.derived and ingest["kind"] == "backfill"
                others = judged.symbols - set(said.spoken["symbol"]) if said.window else set()
                taking.actions(said.actions, others, said.spoken, yields)
            taking.sessions(sessions.table(config.calendar, ingest["window_start"], ingest["window_end"] + A_YEAR))
            evidence = _judge(config, ingest, judged, taking, before)
            taking.finish(_quarantined(judged), [vars(check) for check in evidence])
    except (SuiteFailed, FrameError):
        acceptance.refuse(warehouse, ingest, _quarantined(judged), [vars(check) for check in judged.evidence])
        raise
    counts = taking.counts
    log.info(
        "ingest %s: %d inserted, %d restated, %d unchanged",
        ingest_id,
        counts.inserted,
        counts.restated,
        counts.unchanged,
    )
    return _keys(ingest, taking.known_at)


def _take_all(
    config: Settings, store: Store, parts: list[Landed], taking: Acceptance, ingest: Row, judged: Judged
) -> Said | None:
    """Check and take every batch; returns what the delivery says of actions, None when it says nothing of them."""
    released = quarantine.released(taking)
    for reference in _found(store, parts, "reference"):
        taking.reference(_checked(reference), _speaks_of(ingest))
    for members in _found(store, parts, "members"):
        taking.members(members)
    said = _actions(store, parts, ingest)
    explaining = _explaining(taking, ingest, said)
    for batch in _batches(store, parts):
        report = checks.check_rows(batch, config.calendar, _as_of(ingest), released)
        # Parts may hold a symbol each: only of a delivery in one batch it is known which symbols are missing in it.
        asked = ingest["symbols"] if len(batch) == ingest["received_rows"] else None
        _check_context(config, report, explaining, taking, judged, asked or [])
        taking.take(report.accepted)
        judged.quarantined.append(report.quarantined)
        judged.by_session.update(dict(report.accepted["ts"].value_counts().items()))
        judged.symbols.update(batch["symbol"].dropna().unique())
        log.info("%d rows checked, %d quarantined", len(batch), len(report.quarantined))
    return said


def _explaining(taking: Acceptance, ingest: Row, said: Said | None) -> pd.DataFrame:
    """The ACTIONS by which moves are judged: the delivery's; of a release, which brings none, those believed now."""
    if ingest["kind"] == "release":
        return quarantine.actions_believed(taking, ingest["symbols"], ingest["window_start"], ingest["window_end"])
    return ACTIONS.empty() if said is None else said.actions


def _check_context(
    config: Settings, report: RowReport, actions: pd.DataFrame, taking: Acceptance, judged: Judged, asked: list[str]
) -> None:
    """Judge a batch beside what came before it, also of those of the `asked` symbols that have no bar in it."""
    accepted = report.accepted
    judged.checks.append(report.results)
    if accepted.empty:
        return
    first, last = accepted["ts"].min(), accepted["ts"].max()
    symbols = sorted({*accepted["symbol"].unique(), *asked})
    context = taking.context(symbols, first - CONTEXT, first)
    tail = judged.tail[(judged.tail["ts"] < first) & judged.tail["symbol"].isin(symbols)]
    together = pd.concat([context, tail, accepted]).drop_duplicates(["symbol", "ts"], keep="last")
    together = together.sort_values(["symbol", "ts"], ignore_index=True)
    own = actions[actions["symbol"].isin(symbols)].reset_index(drop=True)
    judged.checks[-1] = [
        *report.results,
        *checks.check_context(together, first, own, config.calendar),
        *checks.check_actions(together, first, own, config.calendar),
    ]
    judged.tail = accepted[accepted["ts"] > last - CONTEXT]


def _judge(config: Settings, ingest: Row, judged: Judged, taking: Acceptance, before: int) -> list[CheckResult]:
    """All results of the delivery; SuiteFailed when one of severity "fail" did not pass."""
    counts, as_of = taking.counts, _as_of(ingest)
    facts = NightFacts(
        as_of=as_of,
        received=int(ingest["received_rows"]),
        quarantined=sum(len(rows) for rows in judged.quarantined),
        tonight=judged.by_session[as_of] if ingest["kind"] == "night" else None,
        before=before or judged.by_session[_session_before(config.calendar, as_of)] or None,
        overlapping=counts.overlapping,
        restated=counts.restated,
        restated_examples="; ".join(counts.examples),
    )
    # What a person releases is meant to change what was believed.
    restatement_budget = 1.0 if ingest["kind"] == "release" else config.restatement_budget
    night = checks.check_night(facts, config.quarantine_budget, config.min_rows_ratio, restatement_budget)
    covered = [_coverage(config, ingest, taking)] if ingest["kind"] == "night" else []
    judged.evidence = [*checks.combined(judged.checks), *night, *covered]
    failed = [check for check in judged.evidence if not check.passed and check.severity == "fail"]
    if failed:
        raise _suite_failed(failed)
    return judged.evidence


def _coverage(config: Settings, ingest: Row, taking: Acceptance) -> CheckResult:
    """Who of the universe has no bar of the night: its listed members, else the symbols asked for, else all active."""
    as_of, asked = _as_of(ingest), set(ingest["symbols"] or [])
    session = sessions.session_of(config.calendar, pd.Series([as_of])).iloc[0].date()
    before = _session_before(config.calendar, as_of)
    active = taking.rows("symbols_of_two_sessions", {"before": before, "as_of": as_of, "session": session})
    members = {row["symbol"] for row in taking.rows("members_of_session", {"session": session})}
    tonight = {row["symbol"] for row in active if row["tonight"]}
    if members:
        return checks.check_coverage(members & asked if asked else members, tonight, "members of the universe")
    if asked:
        return checks.check_coverage(asked, tonight, "symbols of AFTERBELL_SYMBOLS")
    yesterday = {row["symbol"] for row in active if row["before"] and row["active"]}
    return checks.check_coverage(yesterday, tonight, "symbols with a bar in the session before")


def _batches(store: Store, parts: list[Landed]) -> Iterator[pd.DataFrame]:
    """The received rows, some parts at a time: many small ones together, so that each check is set up seldom."""
    batch: list[pd.DataFrame] = []
    for part in parts:
        if part.received_rows:
            batch.append(store.get(f"{part.store_key}/bars"))
        if sum(len(rows) for rows in batch) >= ROWS_A_BATCH:
            yield pd.concat(batch, ignore_index=True)
            batch = []
    if batch:
        yield pd.concat(batch, ignore_index=True)


def _actions(store: Store, parts: list[Landed], ingest: Row) -> Said | None:
    """As the source gives them, or read back from its adjusted closes; None with neither."""
    given, spoken = _found(store, parts, "actions"), _found(store, parts, "spoken")
    adjusted, window = _found(store, parts, "adj_close"), bool(given) and not spoken
    if adjusted:
        prices = _usable(pd.concat(adjusted, ignore_index=True), pd.Timestamp(ingest["window_start"]))
        given.append(derive_actions(prices))
        spoken.append(_derivable(prices, ingest))
    if not given:
        return None
    together = pd.concat([ACTIONS.empty(), *given], ignore_index=True)
    actions = ACTIONS.cast(together.drop_duplicates(list(ACTIONS.key), keep="last").sort_values(list(ACTIONS.key)))
    told = SPOKEN.cast(pd.concat([SPOKEN.empty(), *spoken]).drop_duplicates())
    return Said(actions, told, window, bool(adjusted))


def _derivable(prices: pd.DataFrame, ingest: Row) -> pd.DataFrame:
    """SPOKEN: an action shows only beside the bar before, so none can be derived on a symbol's first one."""
    start, end = pd.Timestamp(ingest["window_start"]), pd.Timestamp(ingest["window_end"])
    first = prices.groupby("symbol", as_index=False)["date"].min()
    after = first["date"] + pd.Timedelta(days=1)
    return SPOKEN.cast(first.assign(first=after.where(after > start, start), last=end))


def _found(store: Store, parts: list[Landed], name: str) -> list[pd.DataFrame]:
    """The frames called `name` of the parts that have one."""
    return [store.get(f"{p.store_key}/{name}") for p in parts if store.has(f"{p.store_key}/{name}")]


def _checked(reference: pd.DataFrame) -> pd.DataFrame:
    """REFERENCE with intervals that fit together; of several rows on an instrument the last one's facts count.

    A sector is that of its own interval.
    """
    tickers = identity.tickers_of(reference)
    facts = reference.drop(columns=[name for name in tickers.columns if name != "instrument"])
    return REFERENCE.cast(tickers.merge(facts.drop_duplicates("instrument", keep="last"), on="instrument", how="left"))


def _speaks_of(ingest: Row) -> SpeaksOf:
    """A file is all there is to know; the vendor tells every owner of every ticker, but of named ones only some."""
    if ingest["provider"] != "polygon":
        return "all"
    return "intervals" if ingest["symbols"] else "tickers"


def _usable(adj_close: pd.DataFrame, start: pd.Timestamp) -> pd.DataFrame:
    """Rows fit to derive actions from; the others are bars that the checks will quarantine.

    Of each symbol's rows before `start` the last one: what happened between those is not asked for.
    """
    positive = (adj_close["close"] > 0) & (adj_close["adj_close"] > 0) & adj_close["symbol"].notna()
    once = ~adj_close.duplicated(["symbol", "date"], keep=False)
    rows = adj_close[positive & once].dropna().sort_values(["symbol", "date"], ignore_index=True)
    following = rows["date"].shift(-1).where(rows["symbol"] == rows["symbol"].shift(-1))
    return rows[(rows["date"] >= start) | (following >= start)].reset_index(drop=True)


def _session_before(calendar: str, as_of: pd.Timestamp) -> pd.Timestamp:
    before: pd.Timestamp = sessions.later_close(calendar, pd.Series([as_of]), -1).iloc[0]
    return before


def _quarantined(judged: Judged) -> pd.DataFrame:
    return pd.concat([QUARANTINE.empty(), *judged.quarantined], ignore_index=True)


def _as_of(ingest: Row) -> pd.Timestamp:
    return pd.Timestamp(ingest["as_of"]).tz_convert("UTC")


def _keys(ingest: Row, known_at: datetime) -> Keys:
    return keys(Night(ingest["domain"], ingest["as_of"].astimezone(UTC), known_at.astimezone(UTC)))


def _suite_failed(failed: list[CheckResult]) -> SuiteFailed:
    return SuiteFailed(
        "; ".join(f"{check.check}: {check.observed}" for check in failed),
        "; ".join(f"{check.check}: {check.expected}" for check in failed),
        "Look at serving.data_quality and serving.quarantine, mend the source and run the night again; "
        "readers still see the last published night",
    )
