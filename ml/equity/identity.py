"""Who is behind a ticker: a rename keeps one history, a ticker that is used again starts another.

Bars and actions lie under their tickers as received. On reading they get the label of the instrument
behind the ticker on their day: the instrument's last ticker, with the month of its last day under it
(TICKER-YYYYMM) where another instrument took that ticker over. sql/serving/72_identity.sql says the same.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.equity import sessions
from ml.errors import FrameError
from ml.frames import TEXT

UNOWNED = "-unowned"
"""Added to a ticker on days on which none of its owners had it: whose bars those are, nobody said."""

_ALWAYS, _STILL = pd.Timestamp("1677-09-22"), pd.Timestamp("2262-04-11")
"""Stand for open ends: the first and last days of pandas' nanoseconds, beyond any session."""
_DAYS_APART = 1 << 20
"""Room for one ticker's days in a composite key."""

Days = npt.NDArray[np.int64]


def label_bars(bars: pd.DataFrame, tickers: pd.DataFrame, calendar: str, as_of: pd.Timestamp) -> pd.DataFrame:
    """BARS with `symbol` the label of the instrument, as of the close `as_of`; errors as `label`'s."""
    if not _renames(tickers):
        return bars
    session = sessions.session_of(calendar, bars["ts"])
    night = sessions.session_of(calendar, pd.Series([as_of])).iloc[0]
    return label(bars.assign(session=session), tickers, "session", night).drop(columns="session")


def label_actions(actions: pd.DataFrame, tickers: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """As `label`, of ACTIONS: one on the day of a rename may still be told under the old ticker, and counts once."""
    if not _renames(tickers):
        return actions
    known = tickers[~(tickers["valid_from"] > as_of)]
    return label(_under_new_tickers(actions, _spans(known)), tickers, "ex_date", as_of)


def label(frame: pd.DataFrame, tickers: pd.DataFrame, date_column: str, as_of: pd.Timestamp) -> pd.DataFrame:
    """`frame` with `symbol` the label of the instrument behind the ticker on the row's day, sorted by symbol and day.

    tickers: TICKERS; those that begin after `as_of` (a naive date) are not known yet
    date_column: naive dates

    Tickers without any instrument stay. A ticker's rows on days outside all its intervals get UNOWNED
    added: they are nobody's history. FrameError when two tickers of one instrument have a row on one day,
    or one ticker two owners.
    """
    if not _renames(tickers):
        return frame
    spans = label_spans(tickers, as_of)
    code, symbols = pd.factorize(frame["symbol"])
    names, day = pd.Index(symbols), _day(frame[date_column])
    span = _span_of_row(spans, names, code, day)
    # What a row can be called: its span's label, its ticker, or its ticker and UNOWNED.
    choices = np.array([*spans["label"], *names, *(f"{name}{UNOWNED}" for name in names)], dtype=object)
    received = np.array([*spans["symbol"], *names, *names], dtype=object)
    unowned = len(spans) + code + len(names) * names.isin(spans["symbol"])[code]
    used, index = np.unique(np.where(span >= 0, span, unowned), return_inverse=True)
    if (choices[used] == received[used]).all():
        return frame
    told, rank = np.unique(choices[used].astype(str), return_inverse=True)
    return _relabelled(frame, told, rank[index], code, day)


def label_spans(tickers: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """TICKERS that began by `as_of`, their open ends filled in, each with the `label` of its instrument; sorted."""
    return _labelled(_spans(tickers[~(tickers["valid_from"] > as_of)]))


def filled(spans: pd.DataFrame) -> pd.DataFrame:
    """Intervals whose open ends lie beyond any session."""
    return spans.assign(valid_from=spans["valid_from"].fillna(_ALWAYS), valid_to=spans["valid_to"].fillna(_STILL))


def _under_new_tickers(actions: pd.DataFrame, spans: pd.DataFrame) -> pd.DataFrame:
    """Actions on the first day on which a ticker is nobody's, under the ticker that its last owner has on that day."""
    new = _renamed_on(spans)
    place = new.index.get_indexer(pd.MultiIndex.from_frame(actions[["symbol", "ex_date"]]))
    if (place < 0).all():
        return actions
    key = ["symbol", "ex_date", "kind"]
    told = actions.assign(symbol=np.where(place >= 0, new.to_numpy()[place], actions["symbol"])).astype(
        {"symbol": TEXT}
    )
    # What is told under both tickers is one action: the new one's word counts, as rows that stayed come first.
    told = told.iloc[np.argsort(place >= 0, kind="stable")].drop_duplicates(key)
    return told.sort_values(key, ignore_index=True)


def _renamed_on(spans: pd.DataFrame) -> pd.Series:
    """By ticker and the day after its last one with an owner: which other ticker that owner has on that day."""
    pairs = spans.merge(spans, on="instrument_id", suffixes=("_old", ""))
    pairs = pairs[(pairs["valid_from"] <= pairs["valid_to_old"]) & (pairs["valid_to_old"] < pairs["valid_to"])]
    owners = pairs.merge(spans, left_on="symbol_old", right_on="symbol", suffixes=("", "_then"))
    then = (owners["valid_from_then"] <= owners["valid_to_old"]) & (owners["valid_to_old"] < owners["valid_to_then"])
    key, taken = (pd.MultiIndex.from_frame(f[["symbol_old", "valid_to_old"]]) for f in (pairs, owners[then]))
    return pd.Series(pairs["symbol"].to_numpy(), index=key)[~key.isin(taken) & ~key.duplicated()]


def _span_of_row(spans: pd.DataFrame, names: pd.Index, code: Days, day: Days) -> Days:
    """Per row, given as the number of its ticker and a day, the position in `spans` of the one it lies in, or -1."""
    ours = np.flatnonzero(spans["symbol"].isin(names))
    own = spans.iloc[ours]
    first = names.get_indexer(pd.Index(own["symbol"])) * _DAYS_APART
    order = np.argsort(first + _day(own["valid_from"]))
    start, end = (first + _day(own["valid_from"]))[order], (first + _day(own["valid_to"]))[order]
    key = code * _DAYS_APART + day
    place = np.searchsorted(start, key, side="right") - 1
    inside = place >= 0
    # A span ends before the next ticker's days begin.
    inside[inside] = key[inside] < end[place[inside]]
    return np.where(inside, ours[order][place], -1) if len(ours) else np.full(len(key), -1)


def _relabelled(frame: pd.DataFrame, told: npt.NDArray[np.str_], number: Days, code: Days, day: Days) -> pd.DataFrame:
    """`frame` with told[number], whose texts are sorted, as its symbol; `code` numbers the tickers as received."""
    key = number * _DAYS_APART + day
    order = np.argsort(key, kind="stable")
    twice = np.flatnonzero((np.diff(key[order]) == 0) & (np.diff(code[order]) != 0))
    if len(twice):
        one, other = frame["symbol"].iloc[order[twice[0] : twice[0] + 2]]
        shown = np.datetime64(int(day[order[twice[0]]]) - _DAYS_APART // 2, "D")
        raise FrameError(
            f"rows of both {one} and {other} on {shown}, two tickers of {told[number[order[twice[0]]]]}",
            "one ticker of an instrument a day",
            "Correct the intervals of the reference, or remove the rows of one of them",
        )
    symbol = pd.Series(pd.Index(told, dtype=TEXT).take(number), index=frame.index)
    return frame.assign(symbol=symbol).take(order).reset_index(drop=True)


def sector_of(bars: pd.DataFrame, sectors: pd.DataFrame, calendar: str) -> pd.Categorical[str]:
    """Per row of BARS under their tickers, the sector of the ticker's owner on its session by SECTORS.

    Missing where none is known. SECTORS holds no two intervals of a ticker that overlap, as TICKERS.
    """
    numbers, texts = pd.factorize(sectors["sector"], sort=True)
    if not len(texts):
        return pd.Categorical.from_codes(np.full(len(bars), -1), texts)
    spans = filled(sectors)
    code, symbols = pd.factorize(bars["symbol"])
    span = _span_of_row(spans, pd.Index(symbols), code, _day(sessions.session_of(calendar, bars["ts"])))
    return pd.Categorical.from_codes(np.where(span >= 0, numbers[span], -1), texts)


def tickers_of(reference: pd.DataFrame) -> pd.DataFrame:
    """Columns symbol, instrument, valid_from, valid_to, sector of REFERENCE, sorted by symbol and valid_from.

    Ends that the source left open are closed where it says elsewhere what follows: an interval without
    an end ends where the ticker's next owner or the instrument's next ticker begins, one without a
    beginning begins where the ticker's owner before it ended. Of rows that repeat another the last one's
    sector counts. FrameError names an interval that ends before it begins and two owners of one ticker on
    one day.
    """
    interval = ["symbol", "instrument", "valid_from", "valid_to"]
    named = reference["symbol"].notna() & reference["instrument"].notna()
    found = reference.loc[named, [*interval, "sector"]].drop_duplicates(interval, keep="last", ignore_index=True)
    backwards = found["valid_from"] >= found["valid_to"]
    if backwards.any():
        raise _refused(found[backwards].iloc[0], "that ends before it begins")
    found = _closed(_closed(_begun(found), "symbol"), "instrument")
    _refuse_two_owners(found)
    return found.reset_index(drop=True)


def _begun(found: pd.DataFrame) -> pd.DataFrame:
    """Intervals without a beginning that are not their ticker's first begin where the one before ends."""
    order = found.sort_values(["symbol", "valid_to", "valid_from"], na_position="last")
    before = order.groupby("symbol")["valid_to"].shift()
    return order.assign(valid_from=order["valid_from"].fillna(before))


def _closed(found: pd.DataFrame, by: str) -> pd.DataFrame:
    """Intervals without an end that are not the last of `by` end where the next one begins."""
    order = found.sort_values([by, "valid_from"], na_position="first", kind="stable")
    after = order.groupby(by)["valid_from"].shift(-1)
    return order.assign(valid_to=order["valid_to"].fillna(after)).sort_values(
        ["symbol", "valid_from"], na_position="first", kind="stable"
    )


def _renames(tickers: pd.DataFrame) -> bool:
    """Whether any label can differ from its ticker; False in the usual case, one open interval each."""
    return bool(
        len(tickers)
        and (
            tickers["valid_from"].notna().any()
            or tickers["valid_to"].notna().any()
            or tickers["instrument_id"].duplicated().any()
            or tickers["symbol"].duplicated().any()
        )
    )


def _spans(tickers: pd.DataFrame) -> pd.DataFrame:
    """The intervals with their open ends filled in, sorted, none empty, no two of one ticker overlapping."""
    ordered = tickers.sort_values(["symbol", "valid_from"], na_position="first").reset_index(drop=True)
    _refuse_two_owners(ordered.rename(columns={"instrument_id": "instrument"}))
    return filled(ordered)


def _labelled(spans: pd.DataFrame) -> pd.DataFrame:
    """The intervals, each with the `label` of its instrument."""
    last = spans.sort_values(["valid_from", "valid_to"], kind="stable").drop_duplicates("instrument_id", keep="last")
    last_owner = spans.groupby("symbol")["valid_from"].transform("max").loc[last.index]
    taken = last[last["valid_from"] < last_owner]
    end = spans["valid_to"] - pd.Timedelta(days=1)
    by_month, by_day = (spans["symbol"] + end.dt.strftime(form) for form in ("-%Y%m", "-%Y%m%d"))
    told = by_month.where(~by_month.duplicated(keep=False), by_day)
    label = last["symbol"].copy()
    label.loc[taken.index] = told.loc[taken.index]
    return spans.assign(label=spans["instrument_id"].map(dict(zip(last["instrument_id"], label, strict=True))))


def _day(days: pd.Series) -> Days:
    found: Days = days.to_numpy().astype("datetime64[D]").astype(np.int64)
    return found + _DAYS_APART // 2  # so that days before 1970 stay with their ticker


def _refuse_two_owners(ordered: pd.DataFrame) -> None:
    """FrameError when intervals of one ticker, sorted by (symbol, valid_from), overlap."""
    same = ordered["symbol"] == ordered["symbol"].shift(-1)
    next_from = ordered["valid_from"].shift(-1)
    # Open at its end, or at the next one's beginning, and followed all the same: they overlap.
    overlap = same & (ordered["valid_to"].isna() | next_from.isna() | (ordered["valid_to"] > next_from))
    if overlap.any():
        first = int(np.flatnonzero(overlap.to_numpy())[0])
        one, other = ordered.iloc[first], ordered.iloc[first + 1]
        raise _refused(one, f"and {_in_words(other)}, two owners of one ticker on one day")


def _refused(row: pd.Series, what: str) -> FrameError:
    return FrameError(
        f"{_in_words(row)} {what}",
        "at most one owner of a ticker on a day, from valid_from until before valid_to",
        "Correct the reference",
    )


def _in_words(row: pd.Series) -> str:
    start = "always" if pd.isna(row["valid_from"]) else f"{row['valid_from']:%Y-%m-%d}"
    end = "still" if pd.isna(row["valid_to"]) else f"{row['valid_to']:%Y-%m-%d}"
    return f"{row['symbol']} of instrument {row['instrument']} from {start} until {end}"
