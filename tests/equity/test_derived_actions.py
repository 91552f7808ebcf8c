from __future__ import annotations

from functools import cache

import bokeh_sampledata.stocks
import numpy as np
import pandas as pd
import pytest

from ml.equity import sessions
from ml.equity.adjustment import adjust
from ml.equity.derived_actions import derive_actions
from ml.errors import FrameError
from ml.frames import ACTIONS, BARS
from tests.equity.panels import CALENDAR, closes


@cache
def real(symbol: str) -> pd.DataFrame:
    frame = pd.DataFrame(getattr(bokeh_sampledata.stocks, symbol)).assign(symbol=symbol)
    return frame.astype({"date": "datetime64[us]"})


def made(close: list[float], factor: list[float], tick: float) -> pd.DataFrame:
    """Closes of consecutive sessions, adjusted by `factor` and rounded to `tick`."""
    days = closes(len(close)).tz_localize(None).normalize()
    adj_close = np.round(np.array(close) * factor / tick) * tick
    return pd.DataFrame({"symbol": "A", "date": days, "close": close, "adj_close": adj_close})


def splits(actions: pd.DataFrame) -> list[tuple[str, float]]:
    own = actions[actions["kind"] == "split"]
    return [(str(day.date()), value) for day, value in zip(own["ex_date"], own["value"], strict=True)]


@pytest.mark.parametrize("digits", [6, 2])
@pytest.mark.parametrize(
    ("symbol", "known"),
    [
        ("AAPL", [("2000-06-21", 2.0), ("2005-02-28", 2.0)]),
        ("MSFT", [("2003-02-18", 2.0)]),
        ("IBM", []),
        ("GOOG", []),
        ("FB", []),
    ],
)
def test_the_splits_of_known_companies_are_found(symbol: str, known: list[tuple[str, float]], digits: int) -> None:
    prices = real(symbol).assign(adj_close=real(symbol)["adj_close"].round(digits))
    assert splits(ACTIONS.check(derive_actions(prices))) == known


def test_the_dividends_of_a_known_company_are_found() -> None:
    actions = derive_actions(real("MSFT"))
    dividends = actions[actions["kind"] == "dividend"].set_index("ex_date")["value"]
    assert len(dividends) == 37  # 4 before 2005, then every quarter
    assert dividends[pd.Timestamp("2003-02-19")] == pytest.approx(0.08, rel=0.03)
    assert dividends[pd.Timestamp("2004-11-15")] == pytest.approx(3.00, rel=0.03)
    assert dividends[pd.Timestamp("2012-11-13")] == pytest.approx(0.23, rel=0.05)


@pytest.mark.parametrize("digits", [6, 2])
@pytest.mark.parametrize("symbol", ["AAPL", "MSFT", "IBM"])
def test_returns_adjusted_by_derived_actions_are_those_of_the_source(symbol: str, digits: int) -> None:
    tick = 10.0**-digits
    prices = real(symbol).assign(adj_close=real(symbol)["adj_close"].round(digits))
    bars = BARS.cast(prices.assign(ts=sessions.sessions_to_closes(CALENDAR, prices["date"])))
    got = adjust(bars, derive_actions(prices), CALENDAR)["close"].pct_change()
    wanted = real(symbol)["adj_close"].pct_change()
    # Half a tick on either side of an action.
    assert (got - wanted).abs().max() < tick / prices["adj_close"].min()


def test_rounding_alone_is_no_action() -> None:
    close = list(np.round(20 + np.sin(np.arange(60)), 2))
    assert derive_actions(made(close, [0.777] * 60, 0.01)).empty


def test_each_kind_is_told_apart() -> None:
    close = [30.0, 15.0, 14.0, 13.0, 26.0, 26.0, 26.0]
    # Later actions scale earlier bars: a 2:1 split on day 1, 0.7 paid on day 2, a 1:2 reverse split on day 4.
    m_split, m_dividend, m_reverse = 1 / 2, 14 / (14 + 0.7), 2.0
    factor = [m_split * m_dividend * m_reverse, m_dividend * m_reverse, m_reverse, m_reverse, 1.0, 1.0, 1.0]
    got = derive_actions(made(close, factor, 1e-6))
    assert got["kind"].tolist() == ["split", "dividend", "split"]
    assert got["value"].tolist() == pytest.approx([2.0, 0.7, 0.5], rel=1e-6)
    assert got["value"][0] == 2.0
    assert got["value"][2] == 0.5
    assert [str(day.date()) for day in got["ex_date"]] == ["2011-01-04", "2011-01-05", "2011-01-07"]


def test_a_large_payment_that_is_no_simple_ratio_is_a_dividend() -> None:
    got = derive_actions(made([20.0, 14.2], [0.71, 1.0], 1e-6))
    assert got[["kind", "value"]].to_numpy().tolist() == [["dividend", pytest.approx(0.29 * 20)]]


def test_symbols_are_kept_apart() -> None:
    one = made([20.0, 20.0], [1.0, 1.0], 0.01)
    other = made([10.0, 10.0], [0.5, 0.5], 0.01).assign(symbol="B")
    assert derive_actions(pd.concat([one, other])).empty


def test_the_rounding_of_one_symbol_is_not_that_of_another() -> None:
    close = list(np.round(20 + np.sin(np.arange(60)), 2))
    coarse = made(close, [0.777] * 60, 0.01)
    fine = made(close, [0.777] * 60, 0.00001).assign(symbol="B")
    assert derive_actions(pd.concat([coarse, fine])).empty


def test_prices_that_are_not_positive_are_refused() -> None:
    with pytest.raises(FrameError, match=r"1 closes that are not positive.*A"):
        derive_actions(made([20.0, 0.0], [1.0, 1.0], 0.01))
