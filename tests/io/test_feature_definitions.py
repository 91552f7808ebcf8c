"""What the columns of a feature set mean is written down once, and its words can be bettered."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from threading import Barrier

import psycopg2

from ml.equity.features.catalogue import DEFAULT_SET
from ml.equity.features.custom import custom
from ml.equity.features.feature import FeatureSet
from ml.io.warehouse import Warehouse, feature_definitions
from tests.steps.market import seen

ALL = "select * from serving.feature_definitions order by feature_set, position"
MINE = FeatureSet(
    "mine",
    3,
    (
        custom("moves", "cs_rank(ret)", "Rank of the move", "share of the symbols", (0, 1)),
        custom("monday", "weekday == 0 and close > open", category="time"),
    ),
)


def test_readers_see_what_every_column_means(warehouse_dsn: str, reader_dsn: str) -> None:
    feature_definitions.record(Warehouse(warehouse_dsn), MINE.rows())
    moves, monday = seen(reader_dsn, ALL)
    of_set, words = ("mine", 3, MINE.digest), ("Rank of the move", "cs_rank(ret)", ["close"], 2)
    policy = "until 2 bars are there and while a NaN is in its window; when the formula has no value"
    assert moves[:-1] == (
        *(*of_set, 1, "moves", "custom", *words),
        *("share of the symbols", 0.0, 1.0, policy, True, ""),
    )
    assert monday[:9] == (*of_set, 2, "monday", "time", "", MINE.features[1].expression, ["close", "open", "weekday"])
    assert monday[11:13] == (None, None)


def test_every_feature_of_a_set_has_its_row(warehouse_dsn: str, reader_dsn: str) -> None:
    feature_definitions.record(Warehouse(warehouse_dsn), DEFAULT_SET.rows())
    names = seen(reader_dsn, "select name from serving.feature_definitions order by position")
    assert names == [(name,) for name in DEFAULT_SET.names]


def test_written_again_it_is_the_same(warehouse_dsn: str, reader_dsn: str) -> None:
    feature_definitions.record(Warehouse(warehouse_dsn), DEFAULT_SET.rows())
    before = seen(reader_dsn, ALL), seen(warehouse_dsn, "select ctid from market.feature_definitions order by ctid")
    feature_definitions.record(Warehouse(warehouse_dsn), DEFAULT_SET.rows())
    assert len(before[0]) == len(DEFAULT_SET.names)
    after = seen(reader_dsn, ALL), seen(warehouse_dsn, "select ctid from market.feature_definitions order by ctid")
    assert after == before  # not one row was written anew


def test_of_twins_that_write_it_first_neither_fails(warehouse_dsn: str, reader_dsn: str) -> None:
    # Without a lock a race was lost about once in 14 times.
    rows, twins = DEFAULT_SET.rows(), 4
    together = Barrier(twins)

    def write(_: int) -> None:
        together.wait()
        feature_definitions.record(Warehouse(warehouse_dsn), rows)

    for _ in range(20):
        with closing(psycopg2.connect(warehouse_dsn)) as connection, connection, connection.cursor() as cursor:
            cursor.execute("delete from market.feature_definitions")
        with ThreadPoolExecutor(twins) as threads:
            list(threads.map(write, range(twins)))
        assert len(seen(reader_dsn, ALL)) == len(DEFAULT_SET.names)


def test_bettered_words_replace_the_old_ones_and_another_set_stands_beside(warehouse_dsn: str, reader_dsn: str) -> None:
    feature_definitions.record(Warehouse(warehouse_dsn), MINE.rows())
    before = seen(reader_dsn, ALL)
    moves, monday = MINE.features
    reworded = replace(moves, description="Where its move ranks", valid_range=(0, None))
    bettered = replace(MINE, features=(reworded, monday))
    assert bettered.digest == MINE.digest
    feature_definitions.record(Warehouse(warehouse_dsn), bettered.rows())
    after = seen(reader_dsn, ALL)
    assert after[0][6] == "Where its move ranks"
    assert after[0][11:13] == (0.0, None)
    assert (after[0][-1], after[1]) == (before[0][-1], before[1])
    feature_definitions.record(Warehouse(warehouse_dsn), replace(MINE, version=4).rows())
    assert seen(reader_dsn, "select feature_set_version, count(*) from serving.feature_definitions group by 1") == [
        (3, 2),
        (4, 2),
    ]
