"""A table of who was behind a ticker, from one CSV or Parquet file."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa

from ml.errors import ProviderError
from ml.frames import DATE, REFERENCE
from ml.io.market_data.file_columns import plain, written_days
from ml.io.market_data.file_place import File, Place
from ml.io.market_data.small_file import read_small

_REQUIRED = ("symbol", "instrument")
_CORRECT = "Correct the file of AFTERBELL_FILES_REFERENCE"


def read_reference(place: Place) -> pd.DataFrame:
    """The table as REFERENCE, in its own order.

    ProviderError: unreadable, a column missing or not of REFERENCE, a row without symbol or instrument, a date that
    is none, an interval that ends before it begins, two rows of one symbol whose intervals overlap.
    """
    file = place.alone()
    with place.reading(file):
        table = read_small(place, file)
        theirs = _match(file, table.column_names)
        texts = {ours: table[name] for ours, name in theirs.items()}
        frame = pd.DataFrame({ours: _values(file, ours, texts.get(ours), len(table)) for ours in REFERENCE.columns})
        _require_filled(file, frame)
        _require_order(file, frame)
        _require_one_owner(file, frame)
    return REFERENCE.check(REFERENCE.cast(frame))


def _match(file: File, found: list[str]) -> dict[str, str]:
    """Our names -> the file's, written in any case, with or without underscores."""
    known = {plain(name): name for name in REFERENCE.columns}
    theirs = {known[plain(name)]: name for name in found if plain(name) in known}
    foreign = [name for name in found if plain(name) not in known]
    missing = [name for name in _REQUIRED if name not in theirs]
    if foreign or missing or len(theirs) < len(found):
        raise ProviderError(
            f"{file.shown} with columns {found}",
            f"columns {', '.join(_REQUIRED)} and, at most once each, {', '.join(REFERENCE.columns)}",
            f"{_CORRECT}: {'remove ' + ', '.join(foreign) if foreign else 'name each column once'}"
            if not missing
            else f"{_CORRECT}: add {', '.join(missing)}",
        )
    return theirs


def _values(
    file: File, ours: str, values: pa.ChunkedArray | None, rows: int
) -> pd.Series[str] | pd.Series[pd.Timestamp]:
    if values is None:
        return pd.Series([None] * rows, dtype=REFERENCE.columns[ours])
    if REFERENCE.columns[ours] == DATE and (pa.types.is_timestamp(values.type) or pa.types.is_date(values.type)):
        instants: pd.Series[pd.Timestamp] = values.cast(pa.timestamp("us"), safe=False).to_pandas()
        return instants.dt.normalize()
    text: pd.Series[str] = values.cast(pa.string()).to_pandas().astype("str").str.strip()
    text = text.where(text != "")
    return _dates(file, ours, text) if REFERENCE.columns[ours] == DATE else text


def _dates(file: File, ours: str, text: pd.Series[str]) -> pd.Series[pd.Timestamp]:
    dates = written_days(text)
    bad = (dates.isna() & text.notna()).to_numpy()
    if bad.any():
        raise ProviderError(
            f"{text[bad].iloc[0]!r} in the column {ours!r} of {file.shown}, row {bad.argmax() + 1} below the header",
            "a date such as 2012-01-31, or nothing",
            _CORRECT,
        )
    return dates


def _require_filled(file: File, frame: pd.DataFrame) -> None:
    for column in _REQUIRED:
        empty = frame[column].isna().to_numpy()
        if empty.any():
            raise ProviderError(
                f"{file.shown} without {column} in row {empty.argmax() + 1} below the header",
                f"{' and '.join(_REQUIRED)} in every row",
                _CORRECT,
            )


def _require_order(file: File, frame: pd.DataFrame) -> None:
    turned = frame[frame["valid_to"] <= frame["valid_from"]]
    if len(turned):
        first = turned.iloc[0]
        raise ProviderError(
            f"{file.shown} with {first['symbol']} {_interval(first)}", "valid_from before valid_to", _CORRECT
        )


def _require_one_owner(file: File, frame: pd.DataFrame) -> None:
    """A ticker belongs to one instrument at a time: [valid_from, valid_to), missing ends are open."""
    rows = frame.sort_values(["symbol", "valid_from"], na_position="first", kind="stable")
    before = rows.shift()
    both = (rows["symbol"] == before["symbol"]).to_numpy()
    apart = (before["valid_to"] <= rows["valid_from"]).to_numpy()
    clash = both & ~apart
    if clash.any():
        row = int(clash.argmax())
        first, second = before.iloc[row], rows.iloc[row]
        raise ProviderError(
            f"{file.shown} with {second['symbol']} twice: "
            f"{first['instrument']} {_interval(first)} and {second['instrument']} {_interval(second)}",
            "one instrument behind a symbol at a time; valid_to is the first day that is not in the interval",
            _CORRECT,
        )


def _interval(row: pd.Series[pd.Timestamp]) -> str:
    start, end = (f"{row[name]:%Y-%m-%d}" if pd.notna(row[name]) else "" for name in ("valid_from", "valid_to"))
    return f"[{start or 'always'}, {end or 'still'})"
