"""Contracts: which keys pass, and what is said about those that do not."""

from __future__ import annotations

from itertools import pairwise

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.errors import FrameError
from ml.frames import ADJUSTED, INSTANT, TEXT, Contract

KEYED = Contract("rows", {"symbol": TEXT, "ts": INSTANT}, key=("symbol", "ts"))


def keyed(keys: list[tuple[str | None, int]]) -> pd.DataFrame:
    """Rows with these symbols and days."""
    ts = pd.to_datetime([day for _, day in keys], unit="D", utc=True)
    frame = {"symbol": pd.Series([name for name, _ in keys], dtype=TEXT), "ts": pd.Series(ts, dtype=INSTANT)}
    return pd.DataFrame(frame)


@given(st.lists(st.tuples(st.sampled_from(["A", "AA", "a", "Ä", "😀", ""]), st.integers(0, 3)), max_size=6))
def test_keys_pass_when_they_ascend_and_none_comes_twice(keys: list[tuple[str | None, int]]) -> None:
    if all(one < other for one, other in pairwise(keys)):
        assert len(KEYED.check(keyed(keys))) == len(keys)
        return
    twice = len(set(keys)) < len(keys)
    with pytest.raises(FrameError, match="more than once" if twice else "out of order"):
        KEYED.check(keyed(keys))


def test_a_missing_key_is_none_that_ascends() -> None:
    with pytest.raises(FrameError, match="out of order"):
        KEYED.check(keyed([(None, 1), ("A", 1)]))
    with pytest.raises(FrameError, match="more than once"):
        KEYED.check(keyed([("A", 1), (None, 1), (None, 1)]))


def test_no_rows_are_in_order() -> None:
    assert ADJUSTED.check(ADJUSTED.empty()).empty
