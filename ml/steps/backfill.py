"""History on demand: a span of sessions is cut into chunks, and each is ingested and validated like a night.

A chunk is a delivery of its own with the close of its last session as `as_of`. Its `attempt` is its key: a chunk that
was accepted does nothing again, a killed one asks only for the parts that are missing. No night begins with it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime

import pandas as pd

from ml.equity import sessions
from ml.errors import NotRecorded, SettingsError
from ml.io.market_data import provider, universe_file
from ml.io.market_data.received import Request
from ml.io.warehouse import Warehouse, deliveries
from ml.settings import Settings, settings
from ml.steps import ingest, validate
from ml.steps.night import Keys, day

log = logging.getLogger(__name__)

TIMEFRAMES = ("1d",)
# Whole months are asked for session by session, whole years symbol by symbol: few symbols are fewer requests.
CHUNKS = {"month": "M", "quarter": "Q", "year": "Y"}
FEW_SYMBOLS = 100
COUNTS = ("received", "inserted", "restated", "unchanged", "quarantined")


def plan(
    start: str,
    end: str | None = None,
    symbols: Sequence[str] = (),
    chunk: str | None = None,
    provider_name: str | None = None,
    timeframe: str = "1d",
    universe: bool = False,
) -> list[Keys]:
    """The chunks from `start` to `end` (the last session that the source has), oldest first; the arguments of `run`.

    symbols: none means AFTERBELL_SYMBOLS, and without those the whole source.
    universe: instead of them, all that belonged on any day of the span, by the list of AFTERBELL_UNIVERSE_PATH.
    chunk: month, quarter or year; by default a year for up to FEW_SYMBOLS named symbols, else a month.
    SettingsError for another provider than the configured one, an unknown chunk or timeframe, a date that is none,
    a span without sessions or beyond the source's last one, symbols beside the universe, no list or nobody on it.
    """
    config = settings()
    _require(timeframe in TIMEFRAMES, f"the timeframe {timeframe!r}", f"one of {', '.join(TIMEFRAMES)}")
    _require(chunk is None or chunk in CHUNKS, f"chunks of a {chunk!r}", f"one of {', '.join(CHUNKS)}")
    _require_configured(config, provider_name)
    first, last = _span(config, start, end)
    named = tuple(sorted({symbol.strip() for symbol in symbols} - {""}))
    _require(not (named and universe), "symbols and the universe", "one of the two")
    wanted = _members(config, first, last) if universe else named or config.symbols
    size = chunk or ("year" if 0 < len(wanted) <= FEW_SYMBOLS else "month")
    return [
        {"start": str(a), "end": str(b), "as_of": as_of.isoformat(), "symbols": ",".join(wanted)}
        for a, b, as_of in _chunks(config.calendar, first, last, size)
    ]


def run(start: str, end: str, as_of: str, symbols: str, attempt: str) -> dict[str, str]:
    """Ingest and validate one chunk of `plan`; its span with the counts of its rows.

    attempt: the name of the whole backfill. A chunk that was accepted under it does nothing again.
    """
    config = settings()
    warehouse = Warehouse(config.require_warehouse_dsn())
    request = Request(date.fromisoformat(start), date.fromisoformat(end), tuple(symbols.split(",")) if symbols else ())
    key = f"{attempt}/{start}/{end}"
    taken = deliveries.accepted(warehouse, key)
    if taken is None:
        # Killed when all had come but nothing was judged yet: nothing is missing, so nothing is asked for.
        unjudged = deliveries.landed(warehouse, key)
        landed = unjudged or ingest.land(config, "backfill", pd.Timestamp(as_of), request, key)
        validate.run(str(landed["ingest_id"]))
        taken = deliveries.find(warehouse, int(landed["ingest_id"]))
    return {"start": start, "end": end, **{name: str(taken[f"{name}_rows"]) for name in COUNTS}}


def summary(chunks: Sequence[Keys], done: Sequence[dict[str, str]]) -> list[str]:
    """One line of counts per chunk and one for all, into the log too.

    NotRecorded, which names their spans, while chunks of the plan are not among `done`.
    """
    lines = [_line(_span_of(each), [each]) for each in sorted(done, key=_span_of)]
    lines.append(_line("in all", done))
    for line in lines:
        log.info("%s", line)
    missing = sorted({_span_of(each) for each in chunks} - {_span_of(each) for each in done})
    if missing or not chunks:
        raise NotRecorded(
            f"{len(done)} of {len(chunks)} chunks taken in; missing: {', '.join(missing) or 'the plan itself'}",
            "all of them",
            "Read the logs of those, mend the cause and clear them: only what is missing is asked for",
        )
    return lines


def _span_of(chunk: Mapping[str, str]) -> str:
    return f"{chunk['start']} to {chunk['end']}"


def _line(what: str, done: Sequence[dict[str, str]]) -> str:
    return f"{what}: " + ", ".join(f"{sum(int(each[name]) for each in done)} {name}" for name in COUNTS)


def _chunks(calendar: str, first: date, last: date, size: str) -> Iterator[tuple[date, date, pd.Timestamp]]:
    """First session, last session and last close of each period of the calendar within the span."""
    closes = sessions.closes(calendar, first, last)
    days = pd.DatetimeIndex(closes.index)
    for _, each in closes.groupby(days.to_period(CHUNKS[size])):
        yield each.index[0].date(), each.index[-1].date(), each.iloc[-1]


def _members(config: Settings, first: date, last: date) -> tuple[str, ...]:
    """All that belong on a day from `first` to `last`: a past night needs past members too."""
    if config.universe_path is None:
        raise SettingsError(
            "a backfill of the universe and no AFTERBELL_UNIVERSE_PATH",
            "a list of its members",
            "Set AFTERBELL_UNIVERSE_PATH, or name the symbols",
        )
    listed = universe_file.read_universe(config.universe_path)
    begun = listed["valid_from"].isna() | (listed["valid_from"] <= pd.Timestamp(last))
    left = listed["valid_to"] <= pd.Timestamp(first)
    members = tuple(sorted(set(listed.loc[begun & ~left, "symbol"])))
    _require(bool(members), f"no member of the universe from {first} to {last}", "a span in which somebody belongs")
    return members


def _span(config: Settings, start: str, end: str | None) -> tuple[date, date]:
    has, _ = ingest.last_session(config, provider(config), datetime.now(UTC))
    first, last = day("start", start), day("end", end) if end else has
    sessions.require_reach(config.calendar, first, "the start")
    _require(last <= has, f"an end of {last}", f"at the latest {has}, the last session that the source has")
    _require(
        not sessions.closes(config.calendar, first, last).empty,
        f"no session of {config.calendar} from {first} to {last}",
        "a span that holds one",
    )
    return first, last


def _require_configured(config: Settings, name: str | None) -> None:
    _require(
        name in {None, config.provider},
        f"the provider {name!r} and AFTERBELL_PROVIDER {config.provider}",
        "the provider of this warehouse: two vendors would restate each other for ever",
    )


def _require(fine: bool, found: str, expected: str) -> None:
    if not fine:
        raise SettingsError(found, expected, "Correct the form")
