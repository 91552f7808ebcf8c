"""Years that ended are read once; whatever changes what is believed of one has it read again."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from ml.domain import Night
from ml.io.store import Store, frame_digest
from ml.io.warehouse import Warehouse, bars, partitions
from ml.settings import Settings, settings
from ml.steps import ingest, kept_bars, validate
from ml.steps.history import as_known
from ml.steps.night import parse
from tests.servers import WarehouseAddress
from tests.steps import market as invented
from tests.steps.market import write

pytestmark = pytest.mark.usefixtures("market")


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The years that were read from the warehouse so far."""
    found: list[int] = []
    of_year = bars.of_year

    def watched(warehouse: Warehouse, night: Night, year: int) -> pd.DataFrame:
        found.append(year)
        return of_year(warehouse, night, year)

    monkeypatch.setattr(bars, "of_year", watched)
    monkeypatch.setenv("AFTERBELL_RESTATEMENT_BUDGET", "1")
    settings.cache_clear()
    return found


def night(as_of: str) -> Night:
    return parse(**validate.run(ingest.run(as_of)["ingest_id"]))


def told(warehouse: WarehouseAddress, known: Night, config: Settings | None = None) -> str:
    return frame_digest(as_known(config or settings(), Warehouse(warehouse.dsn), known).bars.adjusted)


def apart(folder: Path) -> Settings:
    """The settings with a store in which nothing is kept yet."""
    return settings().model_copy(update={"store": str(folder)})


def corrected(day: str) -> pd.DataFrame:
    frame = invented.bars()
    return frame.assign(volume=frame["volume"].where(frame["date"] != pd.Timestamp(day), 123_456.0))


def test_the_next_night_reads_its_own_year_alone(warehouse: WarehouseAddress, read: list[int]) -> None:
    told(warehouse, night("2014-08-27"))
    assert sorted(read) == [2013, 2014]
    read.clear()
    told(warehouse, night("2014-08-28"))
    assert read == [2014]


def test_a_correction_of_a_year_that_ended_has_it_read_again_and_both_pasts_stay(
    market: Path, warehouse: WarehouseAddress, read: list[int], tmp_path: Path
) -> None:
    before = night("2014-08-27")
    first = told(warehouse, before)
    write(market, corrected("2013-05-06"))
    after = night("2014-08-28")
    read.clear()
    second = told(warehouse, after)
    assert sorted(read) == [2013, 2014]
    assert second == told(warehouse, after, apart(tmp_path / "apart"))
    read.clear()
    assert told(warehouse, before) == first
    assert told(warehouse, after) == second
    assert read == [2014, 2014]


def test_a_correction_of_the_nights_own_year_leaves_those_before_it(
    market: Path, warehouse: WarehouseAddress, read: list[int]
) -> None:
    told(warehouse, night("2014-08-27"))
    write(market, corrected("2014-05-06"))
    read.clear()
    told(warehouse, night("2014-08-28"))
    assert read == [2014]


def test_a_damaged_year_is_read_again(warehouse: WarehouseAddress, read: list[int]) -> None:
    known = night("2014-08-27")
    before = told(warehouse, known)
    kept = list((Path(settings().store_root) / "equity/raw").rglob("*.parquet"))
    assert len(kept) == 1
    content = kept[0].read_bytes()
    kept[0].write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    read.clear()
    assert told(warehouse, known) == before
    assert sorted(read) == [2013, 2014]
    assert kept[0].read_bytes() == content


def test_a_year_that_goes_to_the_archive_while_it_is_read_is_not_kept_empty(
    warehouse: WarehouseAddress, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    known, database, store = night("2014-08-27"), Warehouse(warehouse.dsn), Store(tmp_path / "apart")
    versions = bars.versions_of_year

    def archived(warehouse: Warehouse, night: Night, year: int) -> bars.Versions:
        counted = versions(warehouse, night, year)
        partitions.detach_before(warehouse, pd.Timestamp("2014-01-01", tz="UTC").to_pydatetime())
        return counted

    with monkeypatch.context() as patch:
        patch.setattr(bars, "versions_of_year", archived)
        assert kept_bars.of_year(store, database, known, 2013).empty
    assert not (tmp_path / "apart").exists()
