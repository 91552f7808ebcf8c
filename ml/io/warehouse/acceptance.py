"""Taking a checked delivery in: the new is added, what differs is restated and its old value kept, the rest is left.

The comparison with what is believed is made in memory: both sides are sorted by one integer per bar, so what is written
goes straight into its table, after the old values of what differs have left it for the revisions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.frames import BARS, TEXT, session_day
from ml.io.warehouse import bulk
from ml.io.warehouse.bars import TIMEFRAME, VALUES, believed, instants
from ml.io.warehouse.connection import Row, Transaction, Warehouse

SpeaksOf = Literal["all", "tickers", "intervals"]
_LOCK = "market.bars"
_ROWS_A_COPY = 250_000
_SECONDS = 1 << 34
"""Room for one symbol's seconds since 1970 in a bar's key (till the year 2514)."""
_EXAMPLES = 10


@dataclass
class Counts:
    """What became of the bars so far. `overlapping` are those about which something was believed already."""

    inserted: int = 0
    restated: int = 0
    unchanged: int = 0
    examples: tuple[str, ...] = ()

    @property
    def overlapping(self) -> int:
        return self.restated + self.unchanged


@contextmanager
def accepting(warehouse: Warehouse, ingest: Row) -> Iterator[Acceptance]:
    """One transaction under the bars' lock: all that is taken in becomes known at one instant, or nothing does."""
    with warehouse.transaction() as transaction:
        _lock_with_all_years(transaction, ingest)
        yield Acceptance(warehouse, transaction, ingest, transaction.one("knowledge_instant")["known_at"])


def _lock_with_all_years(transaction: Transaction, ingest: Row) -> None:
    """Take the bars' lock, with no year of the delivery's window in the archive.

    A year comes back in a commit of its own: what is believed is read beside the transaction (`_believed`), where
    nothing uncommitted is seen. Somebody may archive it again before the lock is back; then it comes back once more.
    """
    transaction.lock(_LOCK)
    # Of a market that never closes the last session of a year closes in the next one.
    window = {"first": ingest["window_start"], "last": ingest["window_end"] + timedelta(days=1)}
    while transaction.execute("archived_years_attach", {"timeframe": TIMEFRAME, **window}):
        transaction.commit()
        transaction.lock(_LOCK)


def refuse(warehouse: Warehouse, ingest: Row, quarantined: pd.DataFrame, checks: Iterable[Mapping[str, Any]]) -> None:
    """Keep the evidence against a delivery that failed its checks; no bar of it is taken in."""
    with warehouse.transaction() as transaction:
        transaction.lock(_LOCK)
        _store_evidence(transaction, ingest, quarantined, checks)
        transaction.execute("ingest_refuse", {"ingest_id": ingest["ingest_id"], "quarantined": len(quarantined)})


class Acceptance:
    """A delivery on its way in; everything happens in the transaction of `accepting`."""

    def __init__(self, warehouse: Warehouse, transaction: Transaction, ingest: Row, known_at: datetime) -> None:
        self._warehouse = warehouse
        self._transaction = transaction
        self._ingest = ingest
        self.known_at = known_at
        self.counts = Counts()
        self._ids = self._known_symbols()

    def context(self, symbols: list[str], since: datetime, until: datetime) -> pd.DataFrame:
        """What was believed before this delivery of `symbols` from `since` until before `until`: BARS, in no order."""
        known = self._believed(since, until, symbols)
        known = known[known["ts"] < until]
        names = pd.Series({number: symbol for symbol, number in self._ids.items()}, dtype=TEXT)
        return BARS.cast(known.assign(symbol=known["symbol_id"].map(names)))

    def take(self, bars: pd.DataFrame) -> None:
        """Take BARS in. No key may come twice over all calls."""
        if bars.empty:
            return
        codes, tickers = pd.factorize(bars["symbol"])
        self._know(tickers)
        first, last = bars["ts"].min(), bars["ts"].max()
        self._transaction.execute("partitions_make", {"timeframe": TIMEFRAME, "first": first, "last": last})
        symbol_id = np.array([self._ids[ticker] for ticker in tickers], dtype=np.int32)[codes]
        self._write(symbol_id, bars, self._believed(first, last, tickers))

    def _write(self, symbol_id: npt.NDArray[np.int32], bars: pd.DataFrame, old: pd.DataFrame) -> None:
        key, old_key = _keys(symbol_id, bars["ts"]), _keys(old["symbol_id"].to_numpy(), old["ts"])
        order = np.argsort(old_key)
        place = np.searchsorted(old_key, key, sorter=order)
        place[place == len(old_key)] = 0
        at = order[place] if len(order) else place
        known = old_key[at] == key if len(order) else np.zeros(len(key), dtype=np.bool_)
        differs = np.zeros(len(key), dtype=np.bool_)
        for column in VALUES:
            differs[known] |= bars[column].to_numpy()[known] != old[column].to_numpy()[at[known]]
        if differs.any():
            self._supersede(symbol_id[differs], bars["ts"][differs])
        written = ~known | differs
        self._copy(symbol_id[written], bars[written])
        self._count(known, differs, bars, old, at)

    def _supersede(self, symbol_id: npt.NDArray[np.int32], ts: pd.Series) -> None:
        keys = bulk.binary_rows({"symbol_id": symbol_id, "ts": _instants(ts)})
        span = {"first": ts.min(), "last": ts.max()}
        self._transaction.execute("superseded_bars")
        self._transaction.copy_rows("superseded_bars_copy", keys)
        self._transaction.execute("bars_supersede", {"timeframe": TIMEFRAME, "known_at": self.known_at, **span})
        self._transaction.execute("superseded_bars_forget")

    def _copy(self, symbol_id: npt.NDArray[np.int32], bars: pd.DataFrame) -> None:
        for start in range(0, len(bars), _ROWS_A_COPY):
            chunk = bars.iloc[start : start + _ROWS_A_COPY]
            columns: dict[str, Any] = {
                "timeframe": TIMEFRAME,
                "symbol_id": symbol_id[start : start + _ROWS_A_COPY],
                "ts": _instants(chunk["ts"]),
                **{column: chunk[column].to_numpy() for column in VALUES},
                "known_at": np.full(len(chunk), pd.Timestamp(self.known_at).tz_convert(None).to_datetime64()),
                "ingest_id": int(self._ingest["ingest_id"]),
            }
            self._transaction.copy_rows("bars_copy", bulk.binary_rows(columns))

    def _count(self, known: Any, differs: Any, bars: pd.DataFrame, old: pd.DataFrame, at: Any) -> None:
        self.counts.inserted += int(len(known) - known.sum())
        self.counts.restated += int(differs.sum())
        self.counts.unchanged += int(known.sum() - differs.sum())
        for position in np.flatnonzero(differs)[: _EXAMPLES - len(self.counts.examples)]:
            row, before = bars.iloc[position], old.iloc[at[position]]
            changes = (f"{c} {before[c]:g} -> {row[c]:g}" for c in VALUES if before[c] != row[c])
            self.counts.examples += (f"{row['symbol']} {session_day(row['ts'])} {', '.join(changes)}",)

    def _believed(self, first: datetime, last: datetime, symbols: Iterable[str]) -> pd.DataFrame:
        """Symbol_id, ts and values from `first` to `last`, of `symbols` if only some were asked for, of all else.

        Read beside the transaction, at full speed: the lock keeps every other writer out.
        """
        named: dict[str, Any] = {"first": first, "last": last}
        if self._ingest["symbols"]:
            named["symbol_ids"] = [self._ids[symbol] for symbol in symbols if symbol in self._ids]
        with self._warehouse.transaction() as beside:
            rows = believed(beside, "bars_believed_of" if self._ingest["symbols"] else "bars_believed", named)
        ts = pd.DatetimeIndex(instants(rows)).tz_localize("UTC")
        values = {column: rows[column].astype(np.float64) for column in VALUES}
        return pd.DataFrame({"symbol_id": rows["symbol_id"].astype(np.int32), "ts": ts, **values})

    def _know(self, tickers: Iterable[str]) -> None:
        unknown = sorted(set(tickers) - set(self._ids))
        if unknown:
            self._transaction.execute("symbols_add", {"symbols": unknown})
            self._ids = self._known_symbols()

    def _known_symbols(self) -> dict[str, int]:
        return {row["symbol"]: row["symbol_id"] for row in self._transaction.rows("symbols_all")}

    def rows(self, name: str, parameters: Mapping[str, Any] | None = None) -> list[Row]:
        """The rows that a query of this transaction returns."""
        return self._transaction.rows(name, parameters)

    def actions(
        self, actions: pd.DataFrame, symbols: Iterable[str], spoken: pd.DataFrame | None = None, yields: bool = False
    ) -> None:
        """ACTIONS replace what was believed of `symbols` inside the delivery's window and on the days of SPOKEN.

        yields: where an accepted night's delivery has spoken of a symbol's day already, its word stands.
        """
        self._transaction.execute("incoming_actions")
        self._transaction.copy("incoming_actions_copy", actions)
        self._transaction.execute("incoming_spoken")
        self._transaction.copy("incoming_spoken_copy", self._window(symbols))
        if spoken is not None:
            self._transaction.copy("incoming_spoken_copy", spoken)
        named = {"ingest_id": self._ingest["ingest_id"], "known_at": self.known_at, "yields": yields}
        self._transaction.execute("actions_supersede", named)
        self._transaction.execute("actions_insert", named)

    def _window(self, symbols: Iterable[str]) -> pd.DataFrame:
        window = {"first": self._ingest["window_start"], "last": self._ingest["window_end"]}
        return pd.DataFrame({"symbol": pd.Series(sorted(symbols), dtype=TEXT)}).assign(**window)

    def reference(self, reference: pd.DataFrame, speaks_of: SpeaksOf = "tickers") -> None:
        """Who is behind the tickers of a checked REFERENCE.

        speaks_of: what it replaces of what was believed: "all" of it, all about its "tickers", or about those only the
            "intervals" that its own overlap
        """
        self._know(reference["symbol"].unique())
        self._transaction.execute("incoming_reference")
        self._transaction.copy("incoming_reference_copy", reference)
        for statement in ("instruments_add", "tickers_supersede", "tickers_insert", "facts_supersede", "facts_insert"):
            self._transaction.execute(statement, {"known_at": self.known_at, "speaks_of": speaks_of})

    def members(self, members: pd.DataFrame) -> None:
        """MEMBERS of the universe; the list replaces what was believed."""
        self._transaction.execute("incoming_members")
        self._transaction.copy("incoming_members_copy", members)
        for statement in ("members_supersede", "members_insert"):
            self._transaction.execute(statement, {"known_at": self.known_at})

    def sessions(self, sessions: pd.DataFrame) -> None:
        """Sessions of the calendar (columns of market.sessions): with them SQL can tell a holiday from a gap."""
        self._transaction.execute("incoming_sessions")
        self._transaction.copy("incoming_sessions_copy", sessions)
        self._transaction.execute("sessions_upsert")

    def finish(self, quarantined: pd.DataFrame, checks: Iterable[Mapping[str, Any]]) -> None:
        """The delivery is in: its evidence and its counts, and an instrument for every ticker that has none."""
        self._transaction.execute("instruments_of_unknown_tickers", {"known_at": self.known_at})
        _store_evidence(self._transaction, self._ingest, quarantined, checks)
        done = {
            "ingest_id": self._ingest["ingest_id"],
            "known_at": self.known_at,
            "inserted": self.counts.inserted,
            "restated": self.counts.restated,
            "unchanged": self.counts.unchanged,
            "quarantined": len(quarantined),
        }
        self._transaction.execute("ingest_accept", done)


def _store_evidence(
    transaction: Transaction, ingest: Row, quarantined: pd.DataFrame, checks: Iterable[Mapping[str, Any]]
) -> None:
    transaction.execute("incoming_quarantine")
    transaction.copy("incoming_quarantine_copy", quarantined)
    transaction.execute("quarantine_upsert", {"ingest_id": ingest["ingest_id"]})
    for check in checks:
        transaction.execute("check_result_upsert", {"ingest_id": ingest["ingest_id"], **check})


def _instants(ts: pd.Series) -> npt.NDArray[np.datetime64]:
    instants: npt.NDArray[np.datetime64] = ts.dt.tz_convert(None).to_numpy().astype("datetime64[us]")
    return instants


def _keys(symbol_id: npt.NDArray[Any], ts: pd.Series) -> npt.NDArray[np.int64]:
    seconds = _instants(ts).astype("datetime64[s]").astype(np.int64)
    return symbol_id.astype(np.int64) * _SECONDS + seconds
