import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.lifecycle.ranks import ranks

ROWS = st.lists(
    st.tuples(st.integers(0, 3), st.one_of(st.integers(-2, 2).map(float), st.just(float("nan")))), max_size=40
)


@given(ROWS)
def test_ranks_are_those_of_pandas_whatever_the_order_of_dates(rows: list[tuple[int, float]]) -> None:
    dates = np.array([date for date, _ in rows], dtype=np.int64)
    values = np.array([value for _, value in rows], dtype=np.float64)
    by_date = pd.Series(values).groupby(dates)
    found = ranks(values, dates)
    np.testing.assert_array_equal(found.lowest, by_date.rank(method="min"))
    np.testing.assert_array_equal(found.highest, by_date.rank(method="max"))
    np.testing.assert_array_equal(found.average, by_date.rank())
    np.testing.assert_array_equal(found.of, by_date.transform("size") if rows else [])


def test_instants_may_be_dates() -> None:
    ts = pd.DatetimeIndex(["2024-01-02", "2024-01-01", "2024-01-02"], tz="UTC")
    assert ranks(np.array([5.0, 9.0, 4.0]), ts).average.tolist() == [2.0, 1.0, 1.0]
    assert ranks(np.array([5.0, 9.0, 4.0]), pd.Series(ts)).of.tolist() == pytest.approx([2, 1, 2])
