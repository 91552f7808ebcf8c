"""The keys of a frame: unique, and in order."""

from __future__ import annotations

import pandas as pd
import pytest

from ml.errors import FrameError
from ml.frames import BARS

EARLY, LATE = "2013-01-02 21:00", "2013-01-03 21:00"


def bars(*keys: tuple[str | None, str]) -> pd.DataFrame:
    return BARS.cast(pd.DataFrame([(*key, 1.0, 1.0, 1.0, 1.0, 1.0) for key in keys], columns=list(BARS.columns)))


@pytest.mark.parametrize("keys", [(), (("A", EARLY),), (("A", EARLY), ("A", LATE), ("B", EARLY), ("É", EARLY))])
def test_keys_that_ascend_pass(keys: tuple[tuple[str, str], ...]) -> None:
    assert len(BARS.check(bars(*keys))) == len(keys)


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        ((("A", EARLY), ("A", EARLY)), "more than once"),
        ((("A", EARLY), ("B", EARLY), ("A", EARLY)), "more than once"),
        ((("A", LATE), ("A", EARLY)), "out of order"),
        ((("B", EARLY), ("A", LATE)), "out of order"),
        ((("A", EARLY), (None, EARLY), ("B", EARLY)), "out of order"),
    ],
)
def test_other_keys_are_refused(keys: tuple[tuple[str, str], ...], complaint: str) -> None:
    with pytest.raises(FrameError, match=complaint):
        BARS.check(bars(*keys))
