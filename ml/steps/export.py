"""Features to a file: of some or all symbols, sessions and groups, with features of one's own, as known on a night.

They are computed anew from the bars of the night, each symbol over its whole history, so that every value is that of
the feature store, and a custom one what it would be there. Rows are those of the store too: days of membership.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.domain import Night
from ml.equity import sessions
from ml.equity.features.compute import compute
from ml.equity.features.custom import custom
from ml.equity.features.feature import Feature, FeatureSet
from ml.equity.features.groups import CUSTOM, categories_of
from ml.equity.features.sets import CATALOGUE, configured
from ml.equity.features.sets import own as own_of
from ml.errors import ExpressionError, SettingsError
from ml.frames import FEATURE_KEYS, session_day
from ml.io import exports
from ml.io.warehouse import Warehouse
from ml.settings import settings
from ml.steps.groups import offered
from ml.steps.history import History, as_known
from ml.steps.night import asked_for, day, parse

log = logging.getLogger(__name__)

DOMAIN = "equity"
BLOCK_ROWS = 131_072
"""Rows that are computed and written at a time; more by those of the last symbol among them."""
_PREVIEW_FEATURES = 8
_SHOWN = 10

Mask = npt.NDArray[np.bool_]


def run(
    symbols: Sequence[str] = (),
    start: str | None = None,
    end: str | None = None,
    groups: Sequence[str] = (),
    custom_features: str = "",
    file_format: str = "csv",
    as_of: str | None = None,
    known_at: str | None = None,
) -> dict[str, Any]:
    """Write one file; its `path`, `rows`, `columns`, `bytes`, a `preview` and what else is known of it.

    symbols: by the names of that night; none means all. start, end: sessions, both included
    groups: some of `groups.offered`, none means the night's set; `custom` alone leaves the catalogue out
    custom_features: lines of the form `name = formula`
    as_of, known_at: the night, as `asked_for` reads them. The same asked for again finds the file that is there.
    SettingsError or ExpressionError for a form that cannot be used or that nothing fits; ExportError.
    """
    _require(file_format in exports.SUFFIXES, f"the format {file_format!r}", f"one of {', '.join(exports.SUFFIXES)}")
    config = settings()
    feature_set = configured(config)
    _require_known(groups, offered(config))
    chosen = FeatureSet("export", 1, _features(feature_set, groups, _custom(custom_features)))
    spoken = day("start", start) if start else None, day("end", end) if end else None
    named = tuple(sorted({symbol.strip() for symbol in symbols} - {""}))
    night = parse(**asked_for(DOMAIN, as_of, known_at))
    history = as_known(config, Warehouse(config.require_warehouse_dsn()), night)
    wanted = _wanted(history, named, *_span(history, session_day(night.as_of), *spoken))
    about = _about(night, history, wanted, chosen)
    name = _name(about, [chosen.digest, named, file_format])
    known = exports.find(name) or exports.write(
        name, file_format, chosen.names, _pieces(history, wanted, chosen), _previewed(chosen), about
    )
    gone = exports.prune(config.keep_exports)
    log.info("%s: %d rows, %d columns; deleted %s", name, known["rows"], known["columns"], ", ".join(gone) or "none")
    log.info("the first rows:\n%s", pd.DataFrame(known["preview"]).to_string(index=False))
    return {**known, "path": str(exports.path_of(known))}


def _name(about: exports.About, asked: Sequence[Any]) -> str:
    """The night, and a digest of all that decides what is in the file."""
    content = json.dumps([about["snapshot"], about["first"], about["last"], *asked])
    return f"{DOMAIN}-{about['night']}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def _about(night: Night, history: History, wanted: Mask, chosen: FeatureSet) -> exports.About:
    rows = history.bars.adjusted.loc[wanted, ["symbol", "ts"]]
    return {
        "night": str(session_day(night.as_of)),
        "as_of": night.as_of.isoformat(),
        "known_at": night.known_at.isoformat(),
        "snapshot": history.digest,
        "symbols": int(rows["symbol"].nunique()),
        "first": str(session_day(rows["ts"].min())),
        "last": str(session_day(rows["ts"].max())),
        "groups": list(dict.fromkeys(feature.category for feature in chosen.features)),
        "custom": {feature.name: feature.expression for feature in chosen.features if feature.category == CUSTOM},
    }


def _features(night: FeatureSet, groups: Sequence[str], own: tuple[Feature, ...]) -> tuple[Feature, ...]:
    """The night's features, or those of the groups, whether the night computes them or not; then one's own."""
    wanted = categories_of(groups)
    named = (feature for feature in (*CATALOGUE, *own_of(night)) if feature.category in wanted)
    chosen = (*(named if groups else night.features), *own)
    _require(bool(chosen), f"no feature of the groups {', '.join(groups)}", "a group, or custom features")
    counts = Counter(feature.name for feature in chosen)
    twice = [name for name, count in counts.items() if count > 1]
    _require(not twice, f"more than one feature called {', '.join(twice)}", "different names")
    return chosen


def _require_known(groups: Sequence[str], known: Sequence[str]) -> None:
    unknown = sorted(set(groups) - set(known))
    _require(not unknown, f"the feature groups {', '.join(unknown)}", f"some of {', '.join(known)}")


def _custom(text: str) -> tuple[Feature, ...]:
    """One feature a line; what is wrong with a formula is told with its name and place."""
    made = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        name, equals, formula = (part.strip() for part in line.partition("="))
        if not equals:
            raise ExpressionError(
                f"line {number} of the custom features, `{line.strip()[:60]}`",
                "a line such as momentum = close / ref(close, 5)",
                "Correct it",
            )
        made.append(custom(name, formula))
    return tuple(made)


def _span(history: History, last: date, start: date | None, end: date | None) -> tuple[date, date]:
    """The days from which to which rows are asked for, up to the night's own."""
    _require(bool(history.months), "no bars that were known then", "a night with bars")
    first = start or session_day(history.bars.adjusted["ts"].min())
    until = min(end or last, last)
    _require(first <= until, f"a start of {first} after the end, {until}", f"dates in order, up to the night's, {last}")
    return first, until


def _wanted(history: History, symbols: tuple[str, ...], first: date, last: date) -> Mask:
    """Which rows of the bars to export: members, on the sessions of the span. There is at least one."""
    adjusted = history.bars.adjusted
    known = set(adjusted["symbol"].unique())
    unknown = [symbol for symbol in symbols if symbol not in known]
    _require(
        not unknown,
        f"{len(unknown)} unknown symbols: {', '.join(unknown[:_SHOWN])}{'...' if len(unknown) > _SHOWN else ''}",
        f"some of the {len(known)} that have bars that night (serving.tickers lists them by label)",
    )
    wanted = history.member.copy()
    if symbols:
        wanted &= adjusted["symbol"].isin(symbols).to_numpy()
    closes = sessions.closes(history.bars.calendar, first, last)
    if len(closes):
        wanted &= adjusted["ts"].between(closes.iloc[0], closes.iloc[-1]).to_numpy()
    _require(
        bool(len(closes)) and bool(wanted.any()),
        f"nothing to export from {first} to {last}",
        "sessions on which the symbols have bars and belong to the universe",
    )
    return wanted


def _pieces(history: History, wanted: Mask, chosen: FeatureSet) -> Iterator[pd.DataFrame]:
    """The wanted rows, sorted by (symbol, ts): these, then the features; a block of whole symbols at a time.

    Only what sees other symbols is computed over all of them at once.
    """
    adjusted, calendar = history.bars.adjusted, history.bars.calendar
    across = tuple(feature for feature in chosen.features if feature.cross_sectional)
    alone = tuple(feature for feature in chosen.features if not feature.cross_sectional)
    crossed, done = _values(adjusted, wanted, across, calendar, history.bars.sector), 0
    asked = adjusted["symbol"].isin(adjusted.loc[wanted, "symbol"].unique()).to_numpy()
    adjusted, wanted = adjusted[asked].reset_index(drop=True), wanted[asked]
    for rows in _blocks(adjusted["symbol"]):
        block, mask = adjusted.iloc[rows].reset_index(drop=True), wanted[rows]
        keys = block.loc[mask, ["symbol", "ts"]].reset_index(drop=True)
        beside = crossed.iloc[done : done + len(keys)].reset_index(drop=True)
        done += len(keys)
        piece = pd.concat([keys, _values(block, mask, alone, calendar), beside], axis=1)
        yield piece[["symbol", "ts", *chosen.names]]


def _values(
    adjusted: pd.DataFrame,
    wanted: Mask,
    features: tuple[Feature, ...],
    calendar: str,
    sector: pd.Categorical[str] | None = None,
) -> pd.DataFrame:
    """The features of the wanted rows of ADJUSTED, in their order; only those across symbols ask for sectors."""
    if not features:
        return pd.DataFrame(index=range(wanted.sum()))
    computed = compute(adjusted, FeatureSet("export", 1, features), calendar, sector=sector)
    # What is computed is sorted by (ts, symbol): where each bar's row lies in it.
    place = np.empty(len(adjusted), dtype=np.int64)
    place[np.argsort(sessions.positions(calendar, adjusted["ts"]), kind="stable")] = np.arange(len(adjusted))
    return computed.take(place[wanted]).drop(columns=list(FEATURE_KEYS)).reset_index(drop=True)


def _blocks(symbol: pd.Series) -> Iterator[slice]:
    """Whole symbols together: those that begin within the same BLOCK_ROWS rows."""
    starts = np.flatnonzero(symbol.ne(symbol.shift()).to_numpy())
    _, firsts = np.unique(starts // BLOCK_ROWS, return_index=True)
    for first, last in pairwise([*starts[firsts].tolist(), len(symbol)]):
        yield slice(first, last)


def _previewed(chosen: FeatureSet) -> list[str]:
    """The columns of the preview: custom features first, they are what one looks for."""
    ordered = sorted(chosen.features, key=lambda feature: feature.category != CUSTOM)
    return ["symbol", "ts", *(feature.name for feature in ordered[:_PREVIEW_FEATURES])]


def _require(fine: bool, found: str, expected: str) -> None:
    if not fine:
        raise SettingsError(found, expected, "Correct the form")
