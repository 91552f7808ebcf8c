"""Frames that are kept month by month, so that nights share what is the same in both.

A month lies under its own digest, which stands for all bars up to its end (see history.Month): a new
session makes its month anew and no other, a changed past all months from the change on. What a
snapshot consists of is an entry of its own, written last: one line for each of its months.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd

from ml.errors import StoreError
from ml.io.store import Store
from ml.steps import keep
from ml.steps.past import Month

WRITERS = 3
"""Months that are written at once, each in memory meanwhile: two are packed and digested, one waits for the disk."""

Make = Callable[[Sequence[Month]], Iterator[pd.DataFrame]]
"""Makes the frames of some months, one after the other."""


def write(
    store: Store, folder: str, snapshot: str, months: Sequence[Month], make: Make, manifest: dict[str, Any]
) -> None:
    """Store the months that are not there yet, and then that `snapshot` consists of all of them."""
    missing = [month for month in months if not store.has(place(folder, month))]
    with ThreadPoolExecutor(WRITERS) as writers:
        under_way: deque[Future[None]] = deque()
        for month, frame in zip(missing, make(missing), strict=True):
            if len(under_way) == WRITERS:
                under_way.popleft().result()
            told = {"month": month.name, "bars": month.digest}
            under_way.append(writers.submit(store.put, place(folder, month), frame, told))
        for each in under_way:
            each.result()
    store.put(_list(folder, snapshot), _lines(store, folder, months), manifest)


def read(
    store: Store,
    folder: str,
    snapshot: str,
    columns: Sequence[str] | None = None,
    only: Callable[[pd.DataFrame], pd.DataFrame] = lambda month: month,
) -> pd.DataFrame:
    """All months of a snapshot in the order of time, or some of their columns, of each month `only` what is wanted.

    StoreError: no such snapshot, a month that is gone, damaged or not the one that was listed.
    """
    listed = store.get(_list(folder, snapshot))
    return pd.concat([only(_listed(store, line, columns)) for line in listed.itertuples()], ignore_index=True)


def rows(store: Store, folder: str, snapshot: str) -> int:
    """How many rows all months of a snapshot have together. StoreError: no such snapshot."""
    return int(store.get(_list(folder, snapshot))["rows"].sum())


def last_sessions(store: Store, folder: str, snapshot: str, sessions: int) -> pd.DataFrame:
    """The rows of a snapshot's last `sessions` instants, or of all when there are fewer; as few months are read."""
    frames: list[pd.DataFrame] = []
    instants: set[Any] = set()
    for line in reversed(list(store.get(_list(folder, snapshot)).itertuples())):
        frames.insert(0, _listed(store, line, None))
        instants |= set(frames[0]["ts"].unique())
        if len(instants) >= sessions:
            break
    rows = pd.concat(frames, ignore_index=True)
    last: pd.DataFrame = rows[rows["ts"] >= sorted(instants)[-sessions:][0]]
    return last.reset_index(drop=True)


def adjusted(store: Store, domain: str, snapshot: str) -> pd.DataFrame:
    """ADJUSTED bars of a snapshot."""
    bars = read(store, keep.adjusted(domain), snapshot)
    # Months are sorted by symbol within themselves; an integer sorts quicker than a text.
    order = np.argsort(pd.factorize(bars["symbol"], sort=True)[0], kind="stable")
    return bars.take(order).reset_index(drop=True)


def place(folder: str, month: Month) -> str:
    """The key of one month."""
    return f"{folder}/{month.name}/{month.digest[: keep.SHORT]}"


def _list(folder: str, snapshot: str) -> str:
    return f"{folder}/snapshots/{snapshot[: keep.SHORT]}"


def _lines(store: Store, folder: str, months: Sequence[Month]) -> pd.DataFrame:
    keys = [place(folder, month) for month in months]
    manifests = [store.manifest(key) for key in keys]
    return pd.DataFrame(
        {
            "key": pd.Series(keys, dtype="str"),
            "rows": pd.Series([each["rows"] for each in manifests], dtype="int64"),
            "content": pd.Series([each["content"] for each in manifests], dtype="str"),
        }
    )


def _listed(store: Store, line: Any, columns: Sequence[str] | None) -> pd.DataFrame:
    frame = store.get(line.key, columns)
    if store.manifest(line.key)["content"] != line.content:
        raise StoreError(
            f"{line.key} with other content than the snapshot was made of",
            "the same values from the same bars and formulas",
            "Delete its folder and run the features again",
        )
    return frame
