"""The sample that comes with the product."""

from __future__ import annotations

from datetime import date

import pandas as pd
import pytest

from ml.errors import SettingsError
from ml.frames import RECEIVED
from ml.io.market_data import ADJ_CLOSE, Request, provider
from ml.io.market_data.sample import SYMBOLS, Sample
from ml.settings import Settings

FIRST, LAST = date(2000, 3, 1), date(2013, 3, 1)


def test_the_default_provider_is_the_sample_and_its_last_session_is_known() -> None:
    source = provider(Settings(provider="sample"))
    assert source.name == "sample"
    assert source.last_session() == LAST


def test_all_bars_of_the_five_symbols_come_raw_with_an_adjusted_close_and_no_actions() -> None:
    parts = list(Sample().deliver(Request(date(1990, 1, 1), date(2030, 1, 1)), ()))
    assert [part.name for part in parts] == [str(year) for year in range(2000, 2014)]
    bars = RECEIVED.check(pd.concat([part.bars for part in parts], ignore_index=True))
    assert bars.groupby("symbol").size().to_dict() == {
        "AAPL": 3270,
        "FB": 196,
        "GOOG": 2148,
        "IBM": 3270,
        "MSFT": 3270,
    }
    assert (bars["date"].min().date(), bars["date"].max().date()) == (FIRST, LAST)
    assert not bars.isna().any().any()
    for part in parts:
        assert part.actions is None
        assert part.reference is None
        assert part.adj_close is not None
        assert len(ADJ_CLOSE.check(part.adj_close)) == len(part.bars)
    assert Sample().source.startswith("sample: bokeh_sampledata ")


def test_a_known_bar_reads_as_it_was_traded() -> None:
    """AAPL on 2005-02-28 split 2:1: the raw close halves, the adjusted close does not."""
    [received] = Sample().deliver(Request(date(2005, 2, 25), date(2005, 2, 28), ("AAPL",)), ())
    assert received.bars["date"].tolist() == [pd.Timestamp("2005-02-25"), pd.Timestamp("2005-02-28")]
    assert received.bars["close"].tolist() == [88.99, 44.86]
    assert received.adj_close is not None
    *_, before, after = received.adj_close["adj_close"]  # from some days before on
    assert after / before == pytest.approx(44.86 / (88.99 / 2), rel=1e-4)


def test_both_ends_of_the_span_are_included_and_nothing_else() -> None:
    [part] = Sample().deliver(Request(date(2013, 2, 28), LAST, ("IBM", "FB")), ())
    bars = part.bars
    days = [pd.Timestamp("2013-02-28"), pd.Timestamp("2013-03-01")]
    assert bars.groupby("symbol")["date"].agg(list).to_dict() == {"FB": days, "IBM": days}


def test_a_symbol_outside_the_sample_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(SettingsError, match=r"TSLA.*AAPL, FB, GOOG, IBM, MSFT") as caught:
        list(Sample().deliver(Request(FIRST, LAST, ("AAPL", "TSLA")), ()))
    assert "AFTERBELL_SYMBOLS" in caught.value.todo
    assert len(SYMBOLS) == 5
