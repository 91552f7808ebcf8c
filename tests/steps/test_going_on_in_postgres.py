"""Which nights go on where the last one ended, told by what a real warehouse learned since; same bytes either way."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from ml.equity.features.sets import configured
from ml.io.warehouse import Warehouse, bars
from ml.settings import Settings, settings
from ml.steps import features, going_on, ingest, validate
from ml.steps.night import Keys, parse
from tests.servers import WarehouseAddress
from tests.steps import market as invented
from tests.steps.market import write

pytestmark = pytest.mark.usefixtures("market")


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFTERBELL_RESTATEMENT_BUDGET", "1")
    settings.cache_clear()


def accepted(as_of: str) -> Keys:
    return validate.run(ingest.run(as_of)["ingest_id"])


def goes_on(keys: Keys, config: Settings | None = None) -> bool:
    config = config or settings()
    warehouse = Warehouse(config.require_warehouse_dsn())
    return going_on.as_known(config, warehouse, parse(**keys), configured(config)) is not None


def corrected(day: str, volume: float = 123_456.0) -> pd.DataFrame:
    frame = invented.bars()
    return frame.assign(volume=frame["volume"].where(frame["date"] != pd.Timestamp(day), volume))


def same_in_a_store_of_its_own(keys: Keys, folder: Path, monkeypatch: pytest.MonkeyPatch) -> bool:
    grown = features.run(**keys)["snapshot"]
    ours = _files(Path(settings().store_root))
    with monkeypatch.context() as patch:
        patch.setenv("AFTERBELL_STORE", str(folder))
        settings.cache_clear()
        assert features.run(**keys)["snapshot"] == grown
    settings.cache_clear()
    return _files(folder).items() <= ours.items()


def _files(root: Path) -> dict[str, bytes]:
    kept = [
        path
        for room in ("adjusted", "features", "tonight", "reference")
        for path in (root / "equity" / room).rglob("*")
    ]
    return {str(path.relative_to(root)): path.read_bytes() for path in kept if path.is_file()}


def test_sessions_and_months_go_on_with_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    features.run(**accepted("2014-07-30"))
    for day in ("2014-07-31", "2014-08-01", "2014-08-04"):
        keys = accepted(day)
        assert goes_on(keys)
        features.run(**keys)
    assert same_in_a_store_of_its_own(keys, tmp_path / "apart", monkeypatch)


def test_an_old_bar_that_is_corrected_twice_has_the_whole_read_and_one_of_the_month_has_not(
    market: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warehouse: WarehouseAddress
) -> None:
    first = accepted("2014-08-25")
    features.run(**first)
    write(market, corrected("2014-08-22"))
    of_the_month = accepted("2014-08-26")
    assert goes_on(of_the_month)
    for volume in (1_000.0, 2_000.0):
        write(market, corrected("2014-05-06", volume))
        changed = accepted("2014-08-27" if volume < 2_000 else "2014-08-28")
    assert not goes_on(changed)
    assert goes_on(of_the_month)
    # What was superseded was learned as well: six symbols, the second time and the first.
    before = pd.Timestamp("2014-08-01", tz="UTC").to_pydatetime()
    since, until = (parse(**keys).known_at for keys in (first, changed))
    assert bars.versions_between(Warehouse(warehouse.dsn), since, until, before) == 12
    assert same_in_a_store_of_its_own(changed, tmp_path / "apart", monkeypatch)
    assert goes_on(accepted("2014-08-29"))


def test_another_universe_has_the_whole_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    features.run(**accepted("2014-08-25"))
    listed = tmp_path / "universe.csv"
    listed.write_text("symbol,from,to\nAAA,,\nBBB,,\n")
    monkeypatch.setenv("AFTERBELL_UNIVERSE_PATH", str(listed))
    settings.cache_clear()
    keys = accepted("2014-08-26")
    assert not goes_on(keys)
    assert same_in_a_store_of_its_own(keys, tmp_path / "apart", monkeypatch)
