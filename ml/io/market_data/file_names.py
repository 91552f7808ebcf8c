"""What the name of a file and of its folders says about the rows in it."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Mapping
from datetime import date
from urllib.parse import unquote

SUFFIXES = (".csv", ".csv.gz", ".parquet")
Span = tuple[date, date]
"""The first and the last day, both included."""

_FLAT_DAY = re.compile(r"(?:^|/)(\d{4})/(\d{2})/(\d{4}-\d{2}-\d{2})\.csv(?:\.gz)?$")
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


def holds_bars(relative: str) -> bool:
    """Whether a file is one of bars; hidden and work files (`.x`, `_delta_log/`, `_SUCCESS`) are none."""
    hidden = any(part.startswith((".", "_")) for part in relative.split("/"))
    return not hidden and relative.lower().endswith(SUFFIXES)


def symbol_of(path: str) -> str:
    """The symbol a file is named after, `BRK.B` for `BRK.B.csv.gz`."""
    name = path.rsplit("/", 1)[-1]
    suffix = max((s for s in SUFFIXES if name.lower().endswith(s)), key=len, default="")
    return name[: len(name) - len(suffix)]


def partition_keys(relative: str) -> dict[str, str]:
    """The columns that the folders stand for: {"year": "2014"} for `year=2014/a.parquet`."""
    pairs = (folder.split("=", 1) for folder in relative.split("/")[:-1] if "=" in folder)
    return {name: "" if value == _NO_VALUE else unquote(value) for name, value in pairs}


def named_span(relative: str, keys: Mapping[str, str]) -> Span | None:
    """The days that the name promises to hold, None when it promises none.

    Known are folders date=, year=, year=/month= and year=/month=/day=, and the vendor's flat files of one
    day each, `2014/01/2014-01-03.csv.gz`.
    """
    flat = _FLAT_DAY.search(relative)
    try:
        if flat and flat[3].startswith(f"{flat[1]}-{flat[2]}-"):
            day = date.fromisoformat(flat[3])
            return day, day
        return _keyed_span({name.lower(): value for name, value in keys.items()})
    except ValueError:
        return None


def _keyed_span(keys: Mapping[str, str]) -> Span | None:
    if "date" in keys:
        day = date.fromisoformat(keys["date"])
        return day, day
    if "year" not in keys:
        return None
    year = int(keys["year"])
    if "month" not in keys:
        return date(year, 1, 1), date(year, 12, 31)
    month = int(keys["month"])
    if "day" not in keys:
        return date(year, month, 1), date(year, month, monthrange(year, month)[1])
    day = date(year, month, int(keys["day"]))
    return day, day
