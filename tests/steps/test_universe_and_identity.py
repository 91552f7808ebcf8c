"""Who is in a night: the universe by its dates, prices as they were, and companies behind tickers that change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ml.__main__ import main
from ml.domain import Target
from ml.equity.features.catalogue import DEFAULT_SET
from ml.io.store import Store
from ml.settings import settings
from ml.steps import features, ingest, keep, labels, months, predict, validate
from ml.steps.night import Keys, asked_for
from tests.steps.market import LAST, SYMBOLS, bars, invented, seen, write

FEW = ("AAA", "BBB", "CCC")
FIRST, CHANGE = pd.Timestamp("2014-04-01"), pd.Timestamp("2014-06-02")
NAMED = "select symbol, name from serving.instruments where name is not null order by 1"
MEMBERS_NOW = "select symbol from serving.universe order by symbol"


@pytest.fixture
def folder(market: Path) -> Path:
    """Where the provider finds a market of FEW over some months."""
    write(market, few())
    return market


def few() -> pd.DataFrame:
    return invented(FEW, FIRST.date(), LAST.date())


def settled(monkeypatch: pytest.MonkeyPatch, **changed: str) -> None:
    for name, value in changed.items():
        monkeypatch.setenv(f"AFTERBELL_{name}", value)
    settings.cache_clear()


def listed(folder: Path, name: str, text: str) -> str:
    """A file beside the bars."""
    path = folder.parent / name
    path.write_text(text)
    return str(path)


def night() -> Keys:
    return features.run(**validate.run(ingest.run()["ingest_id"]))


def computed(keys: Keys) -> pd.DataFrame:
    """The features of a night: entity and session of each row."""
    frame = months.read(Store(settings().store_root), keep.features("equity", DEFAULT_SET.digest), keys["snapshot"])
    return frame[["entity"]].assign(
        session=frame["ts"].dt.tz_convert("America/New_York").dt.normalize().dt.tz_localize(None)
    )


def spans(keys: Keys) -> dict[str, tuple[str, str]]:
    """The first and the last session with features, by entity."""
    by_entity = computed(keys).groupby("entity")["session"]
    return {
        str(entity): (f"{first:%Y-%m-%d}", f"{last:%Y-%m-%d}")
        for entity, first, last in by_entity.agg(["min", "max"]).itertuples()
    }


def test_past_dates_have_past_members_and_a_replay_has_the_list_of_then(
    folder: Path, reader_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    universe = listed(folder, "universe.csv", "symbol,from,to\nAAA,,2014-06-02\nBBB,,\nCCC,2014-06-02,\n")
    settled(monkeypatch, UNIVERSE_PATH=universe)
    first = night()
    assert spans(first) == {
        "AAA": ("2014-04-01", "2014-05-30"),
        "BBB": ("2014-04-01", "2014-08-29"),
        "CCC": ("2014-06-02", "2014-08-29"),
    }
    assert tonight(first) == ["BBB", "CCC"]
    outcomes = Store(settings().store_root).get(keep.labels(Target("equity", "1d", 1), labels.run(**first)["snapshot"]))
    assert set(outcomes["entity"]) == set(FEW)  # what came of a past member is known whether it left or not
    assert seen(reader_dsn, "select distinct symbol from serving.bars order by 1") == [(symbol,) for symbol in FEW]

    listed(folder, "universe.csv", "symbol,from,to\nAAA,,\nBBB,,2014-07-01\n")
    second = night()
    assert spans(second) == {"AAA": ("2014-04-01", "2014-08-29"), "BBB": ("2014-04-01", "2014-06-30")}
    assert tonight(second) == ["AAA"]
    assert seen(reader_dsn, MEMBERS_NOW) == [("AAA",), ("BBB",)]
    assert features.run("equity", first["as_of"], first["known_at"]) == first


def test_a_list_that_is_no_longer_set_filters_no_longer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settled(monkeypatch, UNIVERSE_PATH=listed(folder, "universe.csv", "symbol,from,to\nAAA,,\n"))
    first = night()
    assert set(spans(first)) == {"AAA"}
    monkeypatch.delenv("AFTERBELL_UNIVERSE_PATH")
    settings.cache_clear()
    assert set(spans(night())) == set(FEW)
    assert features.run("equity", first["as_of"], first["known_at"]) == first


def test_a_reference_says_no_more_than_it_says_now(
    folder: Path, reader_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = "instrument,symbol,name,valid_from,valid_to\n"
    told = f"{head}one,AAA,First,,2014-06-02\ntwo,AAA,Second,2014-06-02,\nthree,BBB,Third,2014-06-02,\n"
    settled(monkeypatch, FILES_REFERENCE=listed(folder, "reference.csv", told))
    first = night()
    assert set(spans(first)) == {"AAA", "AAA-201406", "BBB", "CCC"}
    assert spans(first)["BBB"] == ("2014-06-02", "2014-08-29")

    listed(folder, "reference.csv", f"{head}four,CCC,Fourth,,\n")  # nothing of AAA and BBB any more
    second = night()
    whole = dict.fromkeys(FEW, ("2014-04-01", "2014-08-29"))
    assert spans(second) == whole
    assert seen(reader_dsn, NAMED) == [("CCC", "Fourth")]
    monkeypatch.delenv("AFTERBELL_FILES_REFERENCE")
    settings.cache_clear()
    assert spans(night()) == whole
    assert seen(reader_dsn, NAMED) == []
    assert seen(reader_dsn, "select symbol, label from serving.tickers order by 1") == [(s, s) for s in FEW]
    assert features.run("equity", first["as_of"], first["known_at"]) == first


def test_members_without_a_bar_of_the_night_are_named(
    folder: Path, reader_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    coverage = (
        "select passed, observed from serving.data_quality where check_name = 'coverage of the universe'"
        " order by ingest_id desc limit 1"
    )

    def told() -> tuple[object, ...]:
        validate.run(ingest.run()["ingest_id"])
        [line] = seen(reader_dsn, coverage)
        return line

    settled(monkeypatch, MIN_ROWS_RATIO="0")
    assert told() == (True, "0 of 3 symbols with a bar in the session before")
    frame = few()
    other = frame[(frame["symbol"] == "BBB") & (frame["date"] < LAST)].assign(symbol="DDD")
    write(folder, pd.concat([frame, other]))
    assert told() == (False, "1 of 4 symbols with a bar in the session before, first DDD")
    settled(monkeypatch, SYMBOLS="AAA,DDD,EEE")
    assert told() == (False, "2 of 3 symbols of AFTERBELL_SYMBOLS, first DDD, EEE")
    lines = "symbol,from,to\nAAA,,\nDDD,,2014-08-29\nEEE,,\nFFF,,\n"
    settled(monkeypatch, SYMBOLS="", UNIVERSE_PATH=listed(folder, "universe.csv", lines))
    assert told() == (False, "2 of 3 members of the universe, first EEE, FFF")
    settled(monkeypatch, SYMBOLS="AAA,BBB,EEE")
    assert told() == (False, "1 of 2 members of the universe, first EEE")


def tonight(keys: Keys) -> list[str]:
    """Whom the night's predictions are about."""
    frame = Store(settings().store_root).get(keep.tonight("equity", DEFAULT_SET.digest, keys["snapshot"]))
    return [str(entity) for entity in frame["entity"]]


def test_a_least_price_keeps_the_days_on_which_it_was_reached(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    least = float(few().query("symbol == 'AAA'")["close"].median())
    settled(monkeypatch, MIN_PRICE=str(least))
    keys = night()
    dear = few()[few()["close"] >= least]
    assert 0 < len(dear) < len(few())
    expected = {(row.symbol, row.date) for row in dear.itertuples()}
    assert {(row.entity, row.session) for row in computed(keys).itertuples()} == expected
    assert tonight(keys) == sorted(dear[dear["date"] == LAST]["symbol"])


def test_a_ticker_used_again_is_two_histories_and_a_renamed_one_is_one(
    folder: Path, reader_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    renamed = few()
    renamed.loc[(renamed["symbol"] == "BBB") & (renamed["date"] >= CHANGE), "symbol"] = "BBBX"
    write(folder, renamed)
    unaware = night()
    assert set(spans(unaware)) == {"AAA", "BBB", "BBBX", "CCC"}
    told = "one,AAA,,2014-06-02\ntwo,AAA,2014-06-02,\nthree,BBB,,2014-06-02\nthree,BBBX,2014-06-02,\n"
    reference = listed(folder, "reference.csv", f"instrument,symbol,valid_from,valid_to\n{told}")
    universe = listed(folder, "universe.csv", "symbol,from,to\nAAA,,\nBBB,,2014-06-02\nBBBX,2014-06-02,\n")
    settled(monkeypatch, FILES_REFERENCE=reference, UNIVERSE_PATH=universe)
    aware = night()
    assert spans(aware) == {
        "AAA": ("2014-06-02", "2014-08-29"),
        "AAA-201406": ("2014-04-01", "2014-05-30"),  # the last day under its ticker was a Sunday in June
        "BBBX": ("2014-04-01", "2014-08-29"),
    }
    assert tonight(aware) == ["AAA", "BBBX"]
    outcomes = Store(settings().store_root).get(keep.labels(Target("equity", "1d", 1), labels.run(**aware)["snapshot"]))
    last_known = outcomes.groupby("entity")["ts"].max().dt.strftime("%Y-%m-%d").to_dict()
    assert last_known == {"AAA": "2014-08-28", "AAA-201406": "2014-05-29", "BBBX": "2014-08-28", "CCC": "2014-08-28"}
    assert seen(reader_dsn, "select symbol, count(*) from serving.bars group by 1 order by 1") == [
        (symbol, len(own)) for symbol, own in renamed.groupby("symbol")
    ]
    assert features.run("equity", unaware["as_of"], unaware["known_at"]) == unaware


BY_SECTOR = [feature.name for feature in DEFAULT_SET.features if "sector" in feature.inputs]


def by_sector(keys: Keys) -> pd.DataFrame:
    """The features of a night that look at sectors, by entity and session."""
    frame = months.read(Store(settings().store_root), keep.features("equity", DEFAULT_SET.digest), keys["snapshot"])
    session = frame["ts"].dt.tz_convert("America/New_York").dt.normalize().dt.tz_localize(None)
    return frame.set_index(["entity", session])[BY_SECTOR]


def less_the_sectors(sector: Callable[[pd.DataFrame], pd.Series]) -> pd.Series:
    """What relative_strength_sector_1 is when `sector` tells the sector of each row of the bars; with pandas alone."""
    frame = invented(SYMBOLS, FIRST.date(), LAST.date())
    ret = pd.Series(np.log(frame["close"])).groupby(frame["symbol"]).diff()
    group = ret.groupby([frame["date"], sector(frame)])
    told = (ret - group.transform("mean")).where(group.transform("count") >= 2)
    return told.set_axis(pd.MultiIndex.from_frame(frame[["symbol", "date"]]))


def assert_is(keys: Keys, expected: pd.Series) -> None:
    got = by_sector(keys)["relative_strength_sector_1"]
    np.testing.assert_allclose(got, expected.reindex(got.index), rtol=1e-4, atol=1e-7)


def test_sectors_of_a_file_become_features_as_they_were_known(
    folder: Path, reader_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder, invented(SYMBOLS, FIRST.date(), LAST.date()))
    unaware = night()
    assert by_sector(unaware).isna().all(axis=None)

    head = "symbol,instrument,sector,valid_from,valid_to\n"
    rest = "BBB,2,Rail,,\nCCC,3,Steel,,\nDDD,4,Steel,,\nEEE,5,,,\n"  # nothing of EEE's, nothing at all of FFF
    told = f"{head}AAA,1,Steel,,2014-06-02\nAAA,1,Rail,2014-06-02,\n{rest}"
    settled(monkeypatch, FILES_REFERENCE=listed(folder, "reference.csv", told))
    first = night()
    of = {"AAA": "Rail", "BBB": "Rail", "CCC": "Steel", "DDD": "Steel"}

    def moving(frame: pd.DataFrame) -> pd.Series:
        before = (frame["symbol"] == "AAA") & (frame["date"] < CHANGE)
        return frame["symbol"].map(of).mask(before, "Steel")

    assert_is(first, less_the_sectors(moving))
    found = by_sector(first).notna().groupby("entity").any()
    assert found.loc[["AAA", "BBB", "CCC", "DDD"]].all(axis=None)
    assert not found.loc[["EEE", "FFF"]].any(axis=None)
    assert seen(reader_dsn, "select symbol, sector, valid_from::text from serving.tickers order by 1, 3")[:3] == [
        ("AAA", "Steel", "-infinity"), ("AAA", "Rail", "2014-06-02"), ("BBB", "Rail", "-infinity"),
    ]  # fmt: skip
    assert seen(reader_dsn, "select sector from serving.instruments where symbol = 'AAA'") == [("Rail",)]

    listed(folder, "reference.csv", f"{head}AAA,1,Rail,,2014-06-02\nAAA,1,Rail,2014-06-02,\n{rest}")
    second = night()
    assert_is(second, less_the_sectors(lambda frame: frame["symbol"].map(of)))
    listed(folder, "reference.csv", f"{head}AAA,1,Air,,2014-06-02\nAAA,1,Air,2014-06-02,\n{rest}")
    third = night()
    assert seen(reader_dsn, "select sector from serving.instruments where symbol = 'AAA'") == [("Air",)]
    assert by_sector(third).loc[["AAA"]].isna().all(axis=None)
    for before in (unaware, first, second):
        assert features.run("equity", before["as_of"], before["known_at"]) == before
    snapshots = {keys["snapshot"] for keys in (unaware, first, second, third)}
    assert len(snapshots) == 4


@pytest.mark.xdist_group("mlflow")
@pytest.mark.usefixtures("registry")
def test_only_members_that_keep_the_rules_are_predicted(
    market: Path, reader_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = SYMBOLS[:-1]
    lines = "".join(f"{symbol},,\n" for symbol in members)
    settled(monkeypatch, UNIVERSE_PATH=listed(market, "universe.csv", f"symbol,from,to\n{lines}"))
    assert main(["night", "--trials", "1"]) == 0
    predicted = "select symbol from serving.latest_predictions order by symbol"
    assert seen(reader_dsn, predicted) == [(symbol,) for symbol in members]

    closes = bars().query("date == @LAST and symbol in @members").set_index("symbol")["close"]
    settled(monkeypatch, MIN_PRICE=str(closes.min() + 0.001))
    predict.run(**features.run(**asked_for("equity", None, None)))
    dear = sorted(set(members) - {closes.idxmin()})
    assert seen(reader_dsn, predicted) == [(symbol,) for symbol in dear]
