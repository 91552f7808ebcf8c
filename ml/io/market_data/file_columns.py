"""Which column of a file is which of ours, and its values in our types; nothing is corrected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ml.errors import ProviderError

COLUMNS = {
    "symbol": ("symbol", "ticker"),
    "date": ("date", "windowstart"),
    "open": ("open",),
    "high": ("high",),
    "low": ("low",),
    "close": ("close",),
    "volume": ("volume",),
    "adj_close": ("adjclose", "adjustedclose"),
    "dividend": ("dividend", "dividends"),
    "split": ("split", "splits", "stocksplits"),
    "special_dividend": ("specialdividend", "specialdividends"),
    "spin_off": ("spinoff", "spinoffs"),
}
"""Our column names, each with the names that are recognised, written without case, blanks and signs."""
NO_ACTION = {"dividend": 0.0, "split": 1.0, "special_dividend": 0.0, "spin_off": 0.0}
SYMBOL_TYPE = pa.dictionary(pa.int32(), pa.string())
_REQUIRED = ("date", "open", "high", "low", "close", "volume")
_NUMBER = r"^-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_MISSING = ("", "na", "nan", "n/a", "null", "none")
_DAY = r"^\s*(\d{4})[-/]?(\d{2})[-/]?(\d{2})(?:[T ].*)?$"
_EXCHANGE_ZONE = "America/New_York"  # of the vendor whose flat files count nanoseconds in `window_start`


def plain(column: str) -> str:
    """A column's name without case, blanks and signs."""
    return "".join(c for c in column.lower() if c.isalnum())


def match(file: str, found: Sequence[str], mapping: Mapping[str, str]) -> dict[str, str]:
    """Our names -> those among `found`; ProviderError when one that is needed is missing or could be two."""
    theirs: dict[str, str] = {}
    for ours, known in COLUMNS.items():
        free = [c for c in found if c not in mapping.values() and plain(c) in known]
        hits = [c for c in found if c == mapping[ours]] if ours in mapping else free
        if len(hits) > 1:
            raise ProviderError(
                f"{file} with the columns {hits}, any of which could be {ours!r}", "one of them", _how_to_map(ours)
            )
        if hits:
            theirs[ours] = hits[0]
    missing = [name for name in (*_REQUIRED, *mapping) if name not in theirs]
    if missing:
        raise ProviderError(
            f"{file} with columns {list(found)}, without {', '.join(dict.fromkeys(missing))}",
            f"columns {', '.join(_REQUIRED)} (and symbol, unless the file is named after it)",
            _how_to_map(missing[0]),
        )
    if theirs.keys() & NO_ACTION.keys():
        theirs.pop("adj_close", None)
    return theirs


def _how_to_map(ours: str) -> str:
    return f'Name the file\'s own column: AFTERBELL_FILES_COLUMNS={{"{ours}": "their name"}}'


def written_days(texts: pd.Series[str]) -> pd.Series[pd.Timestamp]:
    """The date that each text begins with, NaT for none; a time and an offset after it are ignored."""
    parts = texts.str.extract(_DAY)
    return pd.to_datetime(parts[0] + parts[1] + parts[2], format="%Y%m%d", errors="coerce")


def days(file: str, column: str, values: pa.Array, rows_before: int = 0) -> pa.Array:
    """The calendar days (date32) as they are written, in whatever zone.

    A value that is no date is a ProviderError with its row, counted in the whole file from `rows_before`.
    """
    if pa.types.is_date32(values.type):
        found = values
    elif pa.types.is_timestamp(values.type) or pa.types.is_date(values.type):
        zone = getattr(values.type, "tz", None)
        local = values.cast(pa.timestamp("us", zone), safe=False).to_pandas().dt.tz_localize(None)
        found = _date32(local)
    else:
        texts = values.cast(pa.string()).dictionary_encode()
        each = texts.dictionary.to_pandas().astype("str")
        parsed = _window_days(file, column, each) if plain(column) == "windowstart" else written_days(each)
        found = _date32(parsed).take(texts.indices)
    if found.null_count:
        _refuse_date(file, column, values, found, rows_before)
    return found


def _date32(instants: pd.Series[pd.Timestamp]) -> pa.Array:
    return pa.array(instants.to_numpy().astype("datetime64[D]"))


def _window_days(file: str, column: str, texts: pd.Series[str]) -> pd.Series[pd.Timestamp]:
    """The session of a flat file's window: nanoseconds since 1970, UTC, at midnight on the exchange."""
    readable = texts.str.fullmatch(r"\d{16,19}")
    starts = pd.to_datetime(texts.where(readable, "0").astype("int64"), unit="ns", utc=True)
    local = starts.dt.tz_convert(_EXCHANGE_ZONE).dt.tz_localize(None).where(readable)
    within_day = readable & (local != local.dt.normalize())
    if within_day.any():
        at = local[within_day].iloc[0]
        raise ProviderError(
            f"{file} with a bar that starts at {at} in the column {column!r}",
            "daily bars, which start at midnight (day_aggs)",
            "Take the files of days, not of minutes",
        )
    return local


def _refuse_date(file: str, column: str, values: pa.Array, found: pa.Array, rows_before: int) -> None:
    row = int(np.argmax(found.is_null().to_numpy(zero_copy_only=False)))
    raise ProviderError(
        f"{values.cast(pa.string())[row].as_py()!r} in the column {column!r} of {file}, "
        f"row {rows_before + row + 1} below the header",
        "a date such as 2012-01-31",
        "Correct the row, or map the right column with AFTERBELL_FILES_COLUMNS",
    )


def symbols(values: pa.Array) -> pa.Array:
    """Dictionary-encoded text without blanks around it; missing where there is none."""
    encoded = values if pa.types.is_dictionary(values.type) else values.cast(pa.string()).dictionary_encode()
    each = pc.utf8_trim_whitespace(encoded.dictionary.cast(pa.string()))
    if each.null_count or pc.any(pc.equal(each, "")).as_py():
        text = each.take(encoded.indices)
        return pc.if_else(pc.equal(text, ""), None, text).dictionary_encode().cast(SYMBOL_TYPE)
    return pa.DictionaryArray.from_arrays(encoded.indices.cast(pa.int32()), each)


def numbers(values: pa.Array) -> tuple[pa.Array, int]:
    """float64, missing where a value is missing or no finite number, and how many of the latter there are."""
    kind = values.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        read = values.cast(pa.float64(), safe=False)
        lost = pc.sum(pc.is_inf(read)).as_py() or 0
        return pc.if_else(pc.is_finite(read), read, None), lost
    text = pc.utf8_trim_whitespace(values.cast(pa.string()))
    try:
        read = text.cast(pa.float64())
        if read.null_count == 0 and pc.all(pc.is_finite(read)).as_py():
            return read, 0
    except pa.ArrowInvalid:
        pass  # some text is no number: look at each
    return _numbers_one_by_one(text)


def _numbers_one_by_one(text: pa.Array) -> tuple[pa.Array, int]:
    reads = pc.match_substring_regex(text, _NUMBER)
    read = pc.if_else(reads, text, pa.scalar(None, pa.string())).cast(pa.float64())
    finite = pc.fill_null(pc.is_finite(read), False)
    absent = pc.is_in(pc.utf8_lower(text), pa.array((*_MISSING, None), pa.string()))
    lost = pc.sum(pc.invert(pc.or_(finite, absent))).as_py() or 0
    return pc.if_else(finite, read, None), lost
