"""What sources get wrong over time: actions that cannot be, files in disorder, history that is written anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ml.errors import ProviderUnavailable, SuiteFailed
from ml.io.store import Store
from ml.io.warehouse import deliveries
from ml.settings import settings
from ml.steps import features, ingest, months, validate
from ml.steps.night import Keys
from tests.steps.market import LAST, invented, seen, write

FEW = ("AAA", "BBB", "CCC", "DDD")
FIRST = pd.Timestamp("2013-11-01")
PRICES = ["open", "high", "low", "close"]
FAULTS = "select check_name, observed from serving.data_quality where not passed order by check_name"
BARS = "select symbol, ts, open, high, low, close, volume, known_at from serving.bars order by symbol, ts"
RUNS = "select status, inserted_rows, restated_rows, unchanged_rows from serving.ingest_runs order by ingest_id"


@pytest.fixture
def folder(market: Path) -> Path:
    """Where the provider finds a market of FEW over some months of two years."""
    write(market, few())
    return market


def few() -> pd.DataFrame:
    return invented(FEW, FIRST.date(), LAST.date())


def night(as_of: str | None = None, attempt: str | None = None) -> Keys:
    return validate.run(ingest.run(as_of, attempt=attempt)["ingest_id"])


def at(frame: pd.DataFrame, symbol: str, day: str) -> pd.Series:
    return (frame["symbol"] == symbol) & (frame["date"] == pd.Timestamp(day))


def test_actions_that_cannot_be_are_told_and_adjust_nothing(folder: Path, reader_dsn: str) -> None:
    said = few().assign(split=1.0, dividend=0.0)
    halved = said["symbol"].isin(["AAA", "BBB"]) & (said["date"] >= "2014-05-05")
    said.loc[halved, PRICES] /= 2
    said.loc[halved & (said["date"] == "2014-05-05"), "split"] = 2.0
    said.loc[at(said, "BBB", "2014-05-07"), "split"] = 2.0  # once more, two sessions later
    said.loc[at(said, "CCC", "2014-05-05"), "dividend"] = 1_000.0
    said.loc[at(said, "DDD", f"{FIRST.date()}"), ["close", "dividend"]] = [float("nan"), 0.5]
    write(folder, pd.concat([said, said[at(said, "AAA", "2014-05-05")]]))  # the split and its bar twice
    keys = features.run(**night())
    told = dict(seen(reader_dsn, FAULTS))
    assert "BBB 2014-05-07: split 2" in told["splits recorded twice"]
    assert "2 of" in told["unusable corporate actions"]
    assert "BBB 2014-05-07: split 2, equal to one of at most 5 bars before" in told["unusable corporate actions"]
    assert "unexplained jumps" not in told
    assert "DDD 2013-11-01: dividend 0.5" in told["actions before the first bar"]
    assert "1 of" in told["repeated rows"]
    adjusted = months.adjusted(Store(settings().store_root), "equity", keys["snapshot"])
    plain = few()[~at(few(), "DDD", f"{FIRST.date()}")].reset_index(drop=True)
    for symbol in FEW:
        own, expected = (frame.loc[frame["symbol"] == symbol, "close"] for frame in (adjusted, plain))
        pd.testing.assert_series_equal(own, expected, rtol=1e-12)


def test_files_in_any_order_come_to_the_same_night(folder: Path, reader_dsn: str) -> None:
    first = features.run(**night())
    before = seen(reader_dsn, BARS)
    (folder / "bars.csv").unlink()
    middle = few()["date"] < "2014-03-01"
    few()[middle].iloc[::-1].to_csv(folder / "z-early.csv", index=False)
    few()[~middle].sample(frac=1, random_state=1).to_csv(folder / "a-late.csv", index=False)
    again = features.run(**night())
    assert again["snapshot"] == first["snapshot"]
    assert seen(reader_dsn, BARS) == before
    assert seen(reader_dsn, RUNS)[1] == ("accepted", 0, 0, len(few()))
    assert "rows out of order" in dict(seen(reader_dsn, FAULTS))


def test_a_file_replaced_while_it_is_read_is_asked_for_again_and_nothing_else_is(
    folder: Path, reader_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "bars.csv").unlink()
    years = dict(list(few().groupby(few()["date"].dt.year)))
    for year, frame in years.items():
        frame.to_parquet(folder / f"{year}.parquet", index=False)
    corrected = years[2014].copy()
    corrected.loc[at(corrected, "AAA", "2014-08-29"), "volume"] += 1

    with monkeypatch.context() as patch:
        patch.setattr(deliveries, "land", _and_then(lambda: corrected.to_parquet(folder / "2014.parquet", index=False)))
        with pytest.raises(ProviderUnavailable, match=r"2014\.parquet, which was changed while it was read"):
            night(attempt="mine")
    assert seen(reader_dsn, BARS) == []

    years[2013].assign(volume=1.0).to_parquet(folder / "2013.parquet", index=False)
    night(attempt="mine")
    assert seen(reader_dsn, RUNS) == [("accepted", len(few()), 0, 0)]
    came = pd.concat([years[2013], corrected]).sort_values(["symbol", "date"])
    assert [row[6] for row in seen(reader_dsn, BARS)] == came["volume"].tolist()


def _and_then(act: Callable[[], None]) -> Any:
    """`deliveries.land`, with something that happens right after a part has come."""
    land = deliveries.land

    def landed(*arguments: Any) -> None:
        land(*arguments)
        act()

    return landed


def test_a_late_correction_is_taken_in_and_history_written_anew_stops_the_night(
    folder: Path, reader_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = features.run(**night("2014-07-25"))
    late = few()
    late.loc[at(late, "AAA", "2014-06-20"), "volume"] += 1
    write(folder, late)
    second = features.run(**night())
    new = len(late[late["date"] > "2014-07-25"])
    assert seen(reader_dsn, RUNS)[1] == ("accepted", new, 1, len(late) - new - 1)
    assert features.run("equity", first["as_of"], first["known_at"]) == first

    believed = seen(reader_dsn, BARS)
    anew = late.copy()
    anew.loc[anew["symbol"] == "BBB", PRICES] *= 1.01
    write(folder, anew)
    with pytest.raises(SuiteFailed, match=r"share of known bars that changed: .*BBB 2013-11-01 open [\d.]+ -> [\d.]+"):
        night()
    assert seen(reader_dsn, BARS) == believed
    assert seen(reader_dsn, RUNS)[2][0] == "failed"
    assert "share of known bars that changed" in dict(seen(reader_dsn, FAULTS))
    assert features.run("equity", second["as_of"], second["known_at"]) == second

    monkeypatch.setenv("AFTERBELL_RESTATEMENT_BUDGET", "1")
    settings.cache_clear()
    night()
    of_one = int((anew["symbol"] == "BBB").sum())
    assert seen(reader_dsn, RUNS)[3] == ("accepted", 0, of_one, len(anew) - of_one)
    assert features.run("equity", second["as_of"], second["known_at"]) == second
