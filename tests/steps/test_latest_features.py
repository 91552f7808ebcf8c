"""The newest night's features in SQL: the very numbers of the store, and never those of an older night again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml.equity.features.catalogue import DEFAULT_SET
from ml.io.store import Store
from ml.settings import Settings, settings
from ml.steps import features, ingest, keep, validate
from ml.steps.night import asked_for
from tests.steps.market import LAST, SYMBOLS, bars, seen, write

SEEN = "select symbol, feature, value from serving.latest_features order by symbol, feature"
NIGHT = "select distinct as_of::date::text, data_cutoff, feature_set_digest from serving.latest_features"
ROWS = "select xmin::text from market.latest_features order by entity"


@pytest.fixture
def last_night(market: Path) -> dict[str, str]:
    return taken_in("2014-08-29")


def taken_in(as_of: str) -> dict[str, str]:
    """The keys of the night of `as_of` with its features."""
    return features.run(**validate.run(ingest.run(as_of)["ingest_id"]))


def tonight(config: Settings, snapshot: str) -> pd.DataFrame:
    """The store's row of each symbol."""
    return Store(config.store_root).get(keep.tonight("equity", DEFAULT_SET.digest, snapshot)).set_index("entity")


def test_every_number_is_that_of_the_store_to_the_bit(
    last_night: dict[str, str], stack_settings: Settings, reader_dsn: str
) -> None:
    kept = tonight(stack_settings, last_night["snapshot"])
    rows = pd.DataFrame(seen(reader_dsn, SEEN), columns=["entity", "feature", "value"]).astype({"value": float})
    found = rows.pivot_table(index="entity", columns="feature", values="value", dropna=False)[list(DEFAULT_SET.names)]
    assert list(found.index) == list(SYMBOLS)
    np.testing.assert_array_equal(found.astype("float32").to_numpy(), kept.loc[found.index].to_numpy())
    night = seen(reader_dsn, NIGHT)
    assert [(day, digest) for day, _, digest in night] == [("2014-08-29", DEFAULT_SET.digest)]


def test_nan_is_null_and_the_wide_view_says_the_same(market: Path, stack_settings: Settings, reader_dsn: str) -> None:
    young = bars()
    write(market, young[(young["symbol"] != "FFF") | (young["date"] > LAST - pd.Timedelta(days=10))])
    snapshot = taken_in("2014-08-29")["snapshot"]
    young_row = tonight(stack_settings, snapshot).loc[["FFF"]]
    expected = {str(name) for name in young_row if young_row[name].isna().all()}
    assert 0 < len(expected) < len(DEFAULT_SET.names)
    missing = "select feature from serving.latest_features where symbol = 'FFF' and value is null"
    assert {name for (name,) in seen(reader_dsn, missing)} == expected
    differ = (
        "select l.feature from serving.latest_features l join serving.latest_features_wide w using (domain, symbol)"
        " where (w.features ->> l.feature)::real is distinct from l.value or not w.features ? l.feature"
    )
    assert seen(reader_dsn, differ) == []
    assert seen(reader_dsn, "select count(*) from serving.latest_features_wide") == [(len(SYMBOLS),)]


def test_an_older_night_never_comes_back(last_night: dict[str, str], reader_dsn: str) -> None:
    before = seen(reader_dsn, SEEN), seen(reader_dsn, NIGHT)
    taken_in("2014-06-02")
    features.run(**{name: last_night[name] for name in ("domain", "as_of", "known_at")})
    assert (seen(reader_dsn, SEEN), seen(reader_dsn, NIGHT)) == before


def test_the_same_night_restated_replaces_and_its_first_word_never_comes_back(
    last_night: dict[str, str], market: Path, stack_settings: Settings, reader_dsn: str
) -> None:
    before = seen(reader_dsn, SEEN)
    corrected = bars()
    corrected.loc[(corrected["symbol"] == "AAA") & (corrected["date"] == LAST), "volume"] *= 2
    write(market, corrected)
    snapshot = taken_in("2014-08-29")["snapshot"]
    after = seen(reader_dsn, SEEN)
    assert after != before
    expected = tonight(stack_settings, snapshot)["volume_ratio_20"]["AAA"]
    volume = "select value from serving.latest_features where symbol = 'AAA' and feature = 'volume_ratio_20'"
    assert seen(reader_dsn, volume) == [(pytest.approx(expected),)]
    features.run(**{name: last_night[name] for name in ("domain", "as_of", "known_at")})
    assert seen(reader_dsn, SEEN) == after


def test_a_new_night_replaces_all_of_the_one_before(
    market: Path, reader_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFTERBELL_MIN_ROWS_RATIO", "0.5")
    settings.cache_clear()
    taken_in("2014-08-28")
    gone = bars()
    write(market, gone[(gone["symbol"] != "FFF") | (gone["date"] < LAST)])
    taken_in("2014-08-29")
    symbols = "select distinct symbol, as_of::date::text from serving.latest_features order by symbol"
    assert seen(reader_dsn, symbols) == [(symbol, "2014-08-29") for symbol in SYMBOLS[:-1]]


def test_the_same_again_writes_no_row_anew(last_night: dict[str, str], warehouse_dsn: str) -> None:
    before: list[tuple[Any, ...]] = seen(warehouse_dsn, ROWS)
    features.run(**asked_for("equity", None, None))
    assert seen(warehouse_dsn, ROWS) == before
