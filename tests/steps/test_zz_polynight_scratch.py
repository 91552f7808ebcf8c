"""scratch"""
from __future__ import annotations
import os, subprocess, sys
from pathlib import Path
import pandas as pd
import pytest
from ml.settings import REPOSITORY, settings
from ml.stack.waiting import wait_until
from ml.errors import SuiteFailed
from ml.steps import features, ingest, validate
from tests.io.polygon_server import Vendor
from tests.steps.market import LAST, FIRST, SYMBOLS, bars, seen
from tests.steps.test_polygon_night import asked, days_asked, evening, listing, night, settled, vendor, EVE, LANDS, BARS
from tests.steps import test_universe_and_identity as tu
folder = tu.folder

def test_resumed_later(vendor, reader_dsn, monkeypatch, tmp_path):
    settled(monkeypatch, HISTORY_START="2014-08-11", SYMBOLS="")
    vendor.plant("/stocks/2014-08-19", 403, b"{}", times=1)
    with pytest.raises(Exception):
        ingest.run(attempt="mine")
    evening(vendor, LAST, bars())
    keys = ingest.run(attempt="mine")
    print(keys, seen(reader_dsn, "select as_of, window_end, status from serving.ingest_runs"))
    print(validate.run(keys["ingest_id"]))
    print(seen(reader_dsn, "select reason, count(*) from serving.quarantine group by 1"))

def test_one_restated_bar_with_default_budget(vendor, monkeypatch):
    settled(monkeypatch, HISTORY_START="2014-05-01")
    night()
    c = bars(); t = (c.symbol == "AAA") & (c.date == "2014-08-27"); c.loc[t, ["close", "high"]] += 1
    evening(vendor, LAST, c)
    night()

def test_after_a_pause(vendor, monkeypatch):
    settled(monkeypatch, HISTORY_START="2014-05-01")
    evening(vendor, pd.Timestamp("2014-08-18"), bars())
    night()
    evening(vendor, LAST, bars())
    night()
    print(vendor.requests[:4])
    assert not asked(vendor, "/2014-05-01/")

def test_new_symbol(vendor, monkeypatch, reader_dsn):
    settled(monkeypatch, HISTORY_START="2014-05-01", SYMBOLS="AAA,BBB")
    night()
    evening(vendor, LAST, bars())
    settled(monkeypatch, SYMBOLS="AAA,BBB,CCC")
    night()
    print("NEW", seen(reader_dsn, "select symbol, count(*) from serving.bars group by 1 order by 1"))

def test_reopened_history(vendor, monkeypatch, reader_dsn):
    settled(monkeypatch, HISTORY_START="2014-08-01")
    night()
    evening(vendor, LAST, bars())
    settled(monkeypatch, HISTORY_START="2014-05-01")
    night()
    print(vendor.requests[:4])

def test_universe_unset(folder, monkeypatch):
    u = tu.listed(folder, "universe.csv", "symbol,from,to\nAAA,,\n")
    tu.settled(monkeypatch, UNIVERSE_PATH=u)
    print(tu.spans(tu.night()))
    monkeypatch.delenv("AFTERBELL_UNIVERSE_PATH"); settings.cache_clear()
    k = tu.night()
    assert len(tu.spans(k)) == 3, tu.spans(k)

def test_reference_unset_or_changed(folder, monkeypatch, reader_dsn):
    r = tu.listed(folder, "reference.csv", "instrument,symbol,valid_from,valid_to\none,AAA,,2014-06-02\ntwo,AAA,2014-06-02,\n")
    tu.settled(monkeypatch, FILES_REFERENCE=r)
    print(tu.spans(tu.night()))
    tu.listed(folder, "reference.csv", "instrument,symbol,valid_from,valid_to\none,AAA,,\n")
    print(tu.spans(tu.night()))
    monkeypatch.delenv("AFTERBELL_FILES_REFERENCE"); settings.cache_clear()
    print(tu.spans(tu.night()))

def test_rename_whole_market(vendor, monkeypatch, reader_dsn):
    settled(monkeypatch, HISTORY_START="2014-08-11", SYMBOLS="")
    f = bars()[["symbol","date","open","high","low","close","volume"]]
    f = f[f.symbol.isin(["BBB","CCC"])]
    f.loc[(f.symbol=="BBB")&(f.date>="2014-08-20"),"symbol"]="AAA"
    evening(vendor, LAST, f)
    vendor.tickers=[listing("AAA", composite_figi="F1"), {"ticker":"BBB","active":False,"composite_figi":"F1","delisted_utc":"2014-08-20T00:00:00Z"}, listing("CCC")]
    k = features.run(**night())
    print(tu.spans(k), seen(reader_dsn, "select * from serving.tickers"))
    assert set(tu.spans(k)) == {"AAA","CCC"}

def test_reused_in_backfill(vendor, monkeypatch, reader_dsn):
    from ml.steps import backfill
    settled(monkeypatch, HISTORY_START="2014-08-11", SYMBOLS="AAA,BBB,CCC")
    vendor.tickers=[{"ticker":"AAA","active":False,"composite_figi":"ONE","list_date":"2005-01-03","delisted_utc":"2014-05-30T00:00:00Z"}, listing("AAA", composite_figi="TWO", list_date="2014-06-02"), listing("BBB"), listing("CCC")]
    k = features.run(**night())
    print("N1", tu.spans(k))
    for chunk in backfill.plan("2014-04-01","2014-08-08"):
        backfill.run(**chunk, attempt="b")
        print("B", seen(reader_dsn, "select symbol,label,valid_from::text,valid_to::text from serving.tickers where symbol='AAA'"))
    evening(vendor, LAST, bars())
    k = features.run(**night())
    print("N2", tu.spans(k))
    print("N2", seen(reader_dsn, "select symbol,label,valid_from::text,valid_to::text from serving.tickers where symbol='AAA'"))
