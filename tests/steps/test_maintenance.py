"""The weekly upkeep: what it keeps, what it moves, and that it writes down what it did."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import psycopg2
import pytest

from ml.__main__ import main
from ml.errors import BackupError, SettingsError, SuiteFailed
from ml.io import backup
from ml.io.warehouse import Warehouse, acceptance, partitions
from ml.io.warehouse.connection import Row
from ml.settings import Settings, settings
from ml.steps import backfill, ingest, maintenance, validate
from tests.steps.market import bars, seen, write

LOG = "select task, succeeded, result from serving.maintenance order by maintenance_id"
EVERYTHING = "select symbol, ts, close, known_at from serving.bars order by symbol, ts"
ARCHIVED = "select relname from pg_class where relnamespace = 'archive'::regnamespace and relname ~ '^bars_1d_....$'"


def accept_night(dsn: str, as_of: str) -> None:
    """As if the night of `as_of` had been taken in, with a bar at the end of each year before it."""
    with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(
            "insert into market.ingest_runs (domain, provider, source, as_of, window_start, window_end, status,"
            " known_at) values ('equity', 'files', 'a folder', %(as_of)s, %(as_of)s, %(as_of)s, 'accepted', now())",
            {"as_of": as_of},
        )
        cursor.execute("insert into market.symbols (symbol) values ('AAA')")
        cursor.execute("select market.make_partitions('1d', '2010-12-31', '2013-12-31')")
        cursor.execute(
            "insert into market.bars select '1d', 1, make_timestamptz(year, 12, 28, 21, 0, 0, 'UTC'), 1, 1, 1, 1, 1,"
            " now(), 1 from generate_series(2010, 2012) year"
        )


def test_partitions_of_the_coming_year_are_there_afterwards_and_made_once(
    stack_settings: Settings, warehouse_dsn: str, reader_dsn: str
) -> None:
    this_year = datetime.now(UTC).year
    assert f"bars_1d_{this_year + 1}" in maintenance.make_partitions()
    assert maintenance.make_partitions() == "all there"
    assert partitions.YearOfBars("1d", this_year + 1) in partitions.years(Warehouse(warehouse_dsn))
    assert [task for task, *_ in seen(reader_dsn, LOG)] == ["partitions", "partitions"]


@pytest.mark.parametrize(
    ("keep", "left"),
    [
        (0, [2010, 2011, 2012]),
        (1, [2013]),  # the night of 2013-01-03 alone; no bar of its own
        (3, [2012]),  # from 2012-12-31
        (2 + 250, [2012]),  # all 250 sessions of 2012
        (2 + 250 + 1, [2011, 2012]),
        (100_000, [2010, 2011, 2012]),
    ],
)
def test_a_year_leaves_once_none_of_its_sessions_is_kept(
    stack_settings: Settings, warehouse_dsn: str, reader_dsn: str, keep: int, left: list[int]
) -> None:
    accept_night(warehouse_dsn, "2013-01-03 21:00+00")
    maintenance.retain(keep)
    years = [int(year) for (year,) in seen(reader_dsn, "select extract(year from ts) from serving.bars order by ts")]
    assert years == [year for year in left if year != 2013]


def test_retention_follows_its_setting_and_without_a_night_moves_nothing(
    stack_settings: Settings, warehouse_dsn: str, reader_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFTERBELL_KEEP_SESSIONS", "2")
    settings.cache_clear()
    assert maintenance.retain() == "nothing to move: all sessions are kept"
    accept_night(warehouse_dsn, "2013-01-03 21:00+00")
    assert maintenance.retain() == (
        "kept 2 sessions, from 2013-01-02; moved to archive:"
        " bars_1d_2010 (1 bars), bars_1d_2011 (1 bars), bars_1d_2012 (1 bars)"
    )
    assert maintenance.retain().endswith("all in use")
    assert maintenance.retain(0) == "nothing to move: all sessions are kept"


def test_backups_are_made_verified_and_pruned_and_each_step_is_written_down(
    stack_settings: Settings, reader_dsn: str
) -> None:
    folder = stack_settings.home / "backups"
    names = []
    for _ in range(3):
        names.append(maintenance.back_up())
        maintenance.verify(names[-1])
        maintenance.prune(2)
    assert sorted(path.name for path in folder.glob("*.dump")) == names[1:]
    told = seen(reader_dsn, LOG)
    assert [(task, succeeded) for task, succeeded, _ in told] == 3 * [
        ("backup", True),
        ("verify", True),
        ("prune", True),
    ]
    assert told[-1][2] == f"kept the 2 newest; deleted {names[0]}"
    assert "all as they were" in told[1][2]


def test_a_backup_that_cannot_be_verified_fails_and_says_so_to_readers(
    stack_settings: Settings, reader_dsn: str
) -> None:
    name = maintenance.back_up()
    path = Path(stack_settings.home) / "backups" / name
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BackupError, match="has changed"):
        maintenance.verify(name)
    task, succeeded, result = seen(reader_dsn, LOG)[-1]
    assert (task, succeeded) == ("verify", False)
    assert "has changed since it was written" in result


def test_dumps_that_nobody_could_verify_do_not_fill_the_disk(
    stack_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFTERBELL_KEEP_BACKUPS", "1")
    settings.cache_clear()
    for _ in range(4):
        maintenance.back_up()
    dumps = list((stack_settings.home / "backups").glob("*.dump"))
    assert len(dumps) == 2  # the newest of before, and the new one
    assert not any(backup.manifest(dump)["verified_at"] for dump in dumps)


def test_a_long_reader_keeps_a_year_where_it_is_and_the_backup_is_made(
    stack_settings: Settings, warehouse_dsn: str, reader_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    accept_night(warehouse_dsn, "2013-01-03 21:00+00")
    with closing(psycopg2.connect(reader_dsn)) as reader:
        reader.cursor().execute("select count(*) from serving.bars")  # and its transaction stays open
        assert main(["maintenance", "--keep-sessions", "1"]) == 2
    assert "in use by somebody else" in capsys.readouterr().err
    told = seen(reader_dsn, LOG)
    assert [(task, done) for task, done, _ in told if task != "partitions"] == [
        ("retention", False),
        ("backup", True),
        ("verify", True),
        ("prune", True),
    ]
    [dump] = (stack_settings.home / "backups").glob("*.dump")
    assert backup.manifest(dump)["verified_at"]


def test_no_backup_at_all_cannot_be_kept(stack_settings: Settings) -> None:
    with pytest.raises(SettingsError, match="at least 1"):
        maintenance.prune(0)


def test_a_backfill_and_the_nights_after_a_retention_by_the_form_bring_the_archived_year_back(
    market: Path, warehouse_dsn: str, reader_dsn: str
) -> None:
    revisions = "select symbol_id, ts, close from market.bar_revisions"
    source = bars()
    _night()
    before = seen(reader_dsn, EVERYTHING)
    first_close = source["close"].tolist()[0]
    assert "bars_1d_2013" in maintenance.retain(20)
    assert len(seen(reader_dsn, EVERYTHING)) < len(before)

    source.loc[0, ["close", "high"]] *= 1.01
    write(market, source)
    (chunk,) = backfill.plan("2013-01-02", "2013-01-31")
    done = backfill.run(**chunk, attempt="one")
    assert (done["inserted"], done["restated"]) == ("0", "1"), "compared with what was believed"
    assert seen(warehouse_dsn, ARCHIVED) == []
    assert [close for _, _, close in seen(warehouse_dsn, revisions)] == [first_close]
    after = seen(reader_dsn, EVERYTHING)
    assert [row[:2] for row in after] == [row[:2] for row in before]
    assert [row for row, old in zip(after, before, strict=True) if row != old] == [after[0]]

    maintenance.retain(20)
    assert seen(warehouse_dsn, ARCHIVED) != []
    assert seen(warehouse_dsn, revisions) == []
    _night()
    _night()
    assert seen(warehouse_dsn, ARCHIVED) == []
    assert seen(reader_dsn, EVERYTHING) == after
    assert len(seen(warehouse_dsn, revisions)) == 1


def test_a_refused_delivery_of_an_archived_year_brings_it_back_and_changes_nothing_in_it(
    market: Path, warehouse_dsn: str, reader_dsn: str
) -> None:
    _night()
    before = seen(reader_dsn, EVERYTHING)
    maintenance.retain(20)
    rewritten = bars()
    rewritten[["open", "high", "low", "close"]] *= 1.5
    write(market, rewritten)
    with pytest.raises(SuiteFailed, match="known bars that changed"):
        _night()
    assert seen(reader_dsn, EVERYTHING) == before


def test_years_outside_the_window_of_a_delivery_stay_in_the_archive(
    stack_settings: Settings, warehouse_dsn: str
) -> None:
    accept_night(warehouse_dsn, "2013-01-03 21:00+00")
    maintenance.retain(3)
    assert sorted(seen(warehouse_dsn, ARCHIVED)) == [("bars_1d_2010",), ("bars_1d_2011",)]
    with acceptance.accepting(Warehouse(warehouse_dsn), _window(date(2012, 1, 3), date(2012, 12, 31))):
        pass
    assert len(seen(warehouse_dsn, ARCHIVED)) == 2
    with acceptance.accepting(Warehouse(warehouse_dsn), _window(date(2010, 1, 4), date(2010, 12, 30))):
        pass
    assert seen(warehouse_dsn, ARCHIVED) == [("bars_1d_2011",)]
    with acceptance.accepting(Warehouse(warehouse_dsn), _window(date(2010, 12, 31), date(2010, 12, 31))):
        pass  # of a market that never closes, that session's bars are of 2011
    assert seen(warehouse_dsn, ARCHIVED) == []


def _window(first: date, last: date) -> Row:
    return {"ingest_id": 1, "window_start": first, "window_end": last, "symbols": None}


def _night() -> None:
    validate.run(ingest.run()["ingest_id"])
