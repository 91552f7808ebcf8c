"""Exports against a real Postgres: each format gives the very values of the feature store back, and no half file."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml.__main__ import main
from ml.equity.features.alpha158 import ALPHA158
from ml.equity.features.catalogue import CATEGORIES, DEFAULT_SET
from ml.equity.features.compute import compute
from ml.equity.features.custom import custom
from ml.equity.features.feature import FeatureSet
from ml.equity.features.groups import GROUPS
from ml.equity.features.sets import configured
from ml.errors import AfterbellError, ExportError, ExpressionError, SettingsError
from ml.io import exports
from ml.io.store import Store
from ml.settings import REPOSITORY, Settings, settings
from ml.steps import export, features, groups, ingest, keep, months, validate
from tests.steps.market import FIRST, LAST, SYMBOLS, bars, write

OWN = "momentum = close / ref(close, 20) - 1\n\n  slow = ema(close, 60) / close\nstrength = cs_rank(mean(ret, 5))\n"


OWN_SET = """\
name: mine
version: 1
groups: [price, alpha158]
features:
  - {name: calm, formula: "-std(ret, 10)", category: calmness}
  - {name: turnover, formula: "log(mean(dollars, 20))", category: liquidity}
  - {name: plain, formula: "change(log(close), 3)"}
"""


@pytest.fixture
def night(market: Path) -> dict[str, str]:
    return features.run(**validate.run(ingest.run(None)["ingest_id"]))


@pytest.fixture
def stored(night: dict[str, str], stack_settings: Settings) -> pd.DataFrame:
    """What the feature store holds of that night, as an export lies."""
    frame = months.read(
        Store(stack_settings.store_root), keep.features("equity", DEFAULT_SET.digest), night["snapshot"]
    )
    return as_exported(frame)


def as_exported(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.rename(columns={"entity": "symbol"}).sort_values(["symbol", "ts"], ignore_index=True)


def read(done: dict[str, Any]) -> pd.DataFrame:
    """An exported file as another program would read it."""
    path = Path(done["path"])
    if done["format"] == "parquet":
        return pd.read_parquet(path)
    if done["format"] == "csv":
        frame = pd.read_csv(path, float_precision="round_trip")
    else:
        frame = pd.DataFrame([json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()])
    frame["ts"] = pd.to_datetime(frame["ts"])
    return frame


def assert_same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    """The same keys, and the same float32 to the bit."""
    assert list(found.columns) == list(expected.columns)
    assert list(found["symbol"]) == list(expected["symbol"])
    assert (found["ts"].dt.tz_convert("UTC") == expected["ts"]).all()
    numbers = [name for name in expected.columns if name not in ("symbol", "ts")]
    np.testing.assert_array_equal(found[numbers].astype("float32").to_numpy(), expected[numbers].to_numpy())


@pytest.mark.parametrize("file_format", ["csv", "json", "parquet"])
def test_each_format_gives_back_what_the_store_holds(
    stored: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, file_format: str
) -> None:
    monkeypatch.setattr(export, "BLOCK_ROWS", 500)  # several blocks, one of which holds more than one symbol
    monkeypatch.setattr(exports, "_LINES", 300)
    done = export.run(file_format=file_format)
    assert_same(read(done), stored)
    path = Path(done["path"])
    assert (done["rows"], done["columns"]) == stored.shape
    assert done["bytes"] == path.stat().st_size
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == stat.S_IMODE(path.parents[1].stat().st_mode) == 0o700
    assert (done["symbols"], done["first"], done["last"]) == (len(SYMBOLS), str(FIRST.date()), str(LAST.date()))
    assert done["groups"] == list(CATEGORIES)


def test_a_span_of_some_symbols_and_groups_is_that_part_of_the_whole(stored: pd.DataFrame) -> None:
    done = export.run(["CCC", " AAA ", ""], "2014-02-01", "2014-03-31", ["market", "price"], file_format="parquet")
    names = [each.name for each in DEFAULT_SET.features if each.category in ("price", "market")]
    days = stored["ts"].dt.date
    rows = stored["symbol"].isin(["AAA", "CCC"]) & (days >= date(2014, 2, 1)) & (days <= date(2014, 3, 31))
    assert_same(read(done), stored.loc[rows, ["symbol", "ts", *names]].reset_index(drop=True))
    assert (done["first"], done["last"], done["symbols"]) == ("2014-02-03", "2014-03-31", 2)
    assert done["groups"] == ["price", "market"]


def test_custom_features_have_the_values_of_the_whole_history(
    stored: pd.DataFrame, night: dict[str, str], stack_settings: Settings
) -> None:
    done = export.run(["BBB"], "2014-08-25", None, ["custom"], OWN, "json")
    own = FeatureSet(
        "own", 1,
        (
            custom("momentum", "close / ref(close, 20) - 1"),
            custom("slow", "ema(close, 60) / close"),
            custom("strength", "cs_rank(mean(ret, 5))"),
        ),
    )  # fmt: skip
    adjusted = months.adjusted(Store(stack_settings.store_root), "equity", night["snapshot"])
    whole = as_exported(compute(adjusted, own, stack_settings.calendar))
    rows = (whole["symbol"] == "BBB") & (whole["ts"] >= pd.Timestamp("2014-08-25", tz="UTC"))
    assert whole.loc[rows, list(own.names)].notna().all(axis=None)
    assert_same(read(done), whole[rows].reset_index(drop=True))
    assert done["custom"] == {each.name: each.expression for each in own.features}


def test_custom_features_stand_after_the_catalogue_and_first_in_the_preview(stored: pd.DataFrame) -> None:
    done = export.run(groups=["price"], custom_features=OWN, file_format="parquet")
    assert list(read(done).columns[-3:]) == ["momentum", "slow", "strength"]
    first = done["preview"][0]
    assert list(first)[:5] == ["symbol", "ts", "momentum", "slow", "strength"]
    assert (len(done["preview"]), len(first)) == (5, 10)
    assert (first["symbol"], first["ts"], first["momentum"]) == ("AAA", "2013-01-02T21:00:00Z", None)


def test_alpha158_is_a_group_that_the_night_need_not_compute(
    stored: pd.DataFrame, night: dict[str, str], stack_settings: Settings
) -> None:
    done = export.run(groups=["alpha158", "time"], file_format="parquet")
    adjusted = months.adjusted(Store(stack_settings.store_root), "equity", night["snapshot"])
    times = [each.name for each in DEFAULT_SET.features if each.category == "time"]
    expected = as_exported(compute(adjusted, ALPHA158, stack_settings.calendar))
    assert_same(read(done), pd.concat([stored[["symbol", "ts", *times]], expected[list(ALPHA158.names)]], axis=1))
    assert done["groups"] == ["time", "alpha158"]


def test_categories_of_ones_own_set_are_groups_too(
    stored: pd.DataFrame, market: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = market.parent / "features.yaml"
    path.write_text(OWN_SET)
    monkeypatch.setenv("AFTERBELL_FEATURES_PATH", str(path))
    settings.cache_clear()
    mine = ["symbol", "ts", "calm", "turnover", "plain"]
    assert list(read(export.run(groups=["calmness", "liquidity", "custom"], file_format="parquet")).columns) == mine
    done = export.run(groups=["liquidity", "pattern"], file_format="parquet")
    pattern = [each.name for each in DEFAULT_SET.features if each.category == "pattern"]
    assert list(read(done).columns) == ["symbol", "ts", *pattern, "turnover"]
    assert_same(read(done)[["symbol", "ts", *pattern]], stored[["symbol", "ts", *pattern]])
    whole = read(export.run(file_format="parquet"))
    assert list(whole.columns) == ["symbol", "ts", *configured(settings()).names]
    assert list(read(export.run(groups=["daily"], file_format="parquet")).columns) == list(stored.columns)
    with pytest.raises(SettingsError, match=r"some of daily, price, .*, alpha158, calmness, liquidity, custom"):
        export.run(groups=["calm"])


@pytest.mark.parametrize(
    "text", ["", "- 1", "a: [", "features: 7", "features: [7, {category: [x]}, {category: }]", "\0", "[" * 3000]
)
def test_a_file_that_is_none_offers_no_group_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("AFTERBELL_FEATURES_PATH", str(tmp_path / "features.yaml"))
    settings.cache_clear()
    plain = [*GROUPS, "custom"]
    assert groups.offered(settings()) == plain
    (tmp_path / "features.yaml").write_text(text)
    assert groups.offered(settings()) == plain


def test_days_outside_the_universe_are_left_out_as_in_the_store(
    market: Path, stack_settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    listed = {"symbol": ["AAA", "BBB"], "from": ["2013-06-03", None], "to": [None, "2014-01-02"]}
    pd.DataFrame(listed).to_csv(tmp_path / "universe.csv", index=False)
    monkeypatch.setenv("AFTERBELL_UNIVERSE_PATH", str(tmp_path / "universe.csv"))
    settings.cache_clear()
    snapshot = features.run(**validate.run(ingest.run(None)["ingest_id"]))["snapshot"]
    stored = months.read(Store(stack_settings.store_root), keep.features("equity", DEFAULT_SET.digest), snapshot)
    done = export.run(file_format="parquet")
    assert_same(read(done), as_exported(stored))
    assert done["symbols"] == 2


def test_a_past_night_is_exported_as_it_was_known(night: dict[str, str], market: Path) -> None:
    before = read(export.run(groups=["volume"]))
    corrected = bars()
    corrected.loc[(corrected["symbol"] == "AAA") & (corrected["date"] == LAST), "volume"] *= 2
    write(market, corrected)
    validate.run(ingest.run(None)["ingest_id"])
    after = export.run(groups=["volume"])
    assert not read(after).equals(before)
    replayed = export.run(groups=["volume"], as_of="2014-08-29", known_at=night["known_at"])
    assert read(replayed).equals(before)
    assert replayed["name"] != after["name"]


def test_the_same_again_finds_its_file_and_computes_nothing(
    night: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = export.run(["AAA"], custom_features=OWN)
    stamp = Path(first["path"]).stat().st_mtime_ns
    monkeypatch.delattr(export, "compute")
    again = export.run([" AAA"], custom_features=OWN)
    assert again == first
    assert Path(first["path"]).stat().st_mtime_ns == stamp
    assert len(exports.listing()) == 1


def test_the_oldest_files_go_and_what_was_killed_long_ago(
    night: dict[str, str], stack_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFTERBELL_KEEP_EXPORTS", "2")
    settings.cache_clear()
    left = stack_settings.home / "exports" / ".writing-killed"
    left.mkdir(parents=True)
    (left / "half.csv").write_text("symbol")
    os.utime(left, (time.time() - 48 * 3600,) * 2)
    done = [export.run([symbol], groups=["price"]) for symbol in ("AAA", "BBB", "CCC")]
    assert [each["name"] for each in exports.listing()] == [done[2]["name"], done[1]["name"]]
    assert sorted(path.name for path in left.parent.iterdir()) == sorted(each["name"] for each in done[1:])


MISTAKES: list[tuple[dict[str, Any], type[AfterbellError], str]] = [
    ({"symbols": ["AAA", "NOPE", "aaa"]}, SettingsError, r"2 unknown symbols: NOPE, aaa; expected some of the 6 that"),
    ({"start": "2014-03-03", "end": "2014-03-01"}, SettingsError, "a start of 2014-03-03 after the end, 2014-03-01"),
    ({"start": "2015-01-02"}, SettingsError, "a start of 2015-01-02 after the end, 2014-08-29"),
    ({"start": "March"}, SettingsError, "the start 'March'; expected a date"),
    ({"groups": ["price", "prices"]}, SettingsError, "the feature groups prices; expected some of daily, price, ind"),
    ({"groups": ["custom"]}, SettingsError, "no feature of the groups custom"),
    ({"file_format": "xlsx"}, SettingsError, "the format 'xlsx'; expected one of csv, json, parquet"),
    ({"custom_features": "a = 1 +"}, ExpressionError, "invalid syntax at .* in the formula `1 \\+` of the feature 'a'"),
    ({"custom_features": "a = ref(close, -1)"}, ExpressionError, "A formula sees the past only"),
    ({"custom_features": "\nclose > open"}, ExpressionError, "line 2 of the custom features, `close > open`"),
    ({"custom_features": "a = close\na = open"}, SettingsError, "more than one feature called a; expected different"),
    ({"custom_features": "rsi_14 = close"}, SettingsError, "'rsi_14', which the catalogue or Alpha158 has already"),
    ({"start": "2014-03-01", "end": "2014-03-02"}, SettingsError, "nothing to export from 2014-03-01 to 2014-03-02"),
    ({"end": "2012-12-31"}, SettingsError, "a start of 2013-01-02 after the end, 2012-12-31"),
    ({"as_of": "2014-08-30"}, SettingsError, "holds no session"),
]


def test_every_mistake_gives_one_clear_error_and_no_file(night: dict[str, str], stack_settings: Settings) -> None:
    for form, kind, told in MISTAKES:
        with pytest.raises(kind, match=told):
            export.run(**form)
    assert exports.listing() == []


def test_before_the_first_night_there_is_nothing_to_export(stack_settings: Settings) -> None:
    with pytest.raises(SettingsError, match="Trigger equity_ingest first"):
        export.run()


def test_an_export_killed_while_it_writes_is_not_listed_and_runs_again(
    stored: pd.DataFrame, stack_settings: Settings, tmp_path: Path
) -> None:
    """It is stopped after its first block, when half of the file is on the disk."""
    script = tmp_path / "stopped.py"
    script.write_text(
        "import time\n"
        "from ml.io import exports\n"
        "from ml.steps import export\n"
        "export.BLOCK_ROWS = 500\n"
        "real = export._pieces\n"
        "def stopped(*asked):\n"
        "    for number, piece in enumerate(real(*asked)):\n"
        "        if number == 2:\n"
        "            print('in the middle', flush=True)\n"
        "            time.sleep(60)\n"
        "        yield piece\n"
        "export._pieces = stopped\n"
        "export.run()\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}  # the settings of the test are among them
    process = subprocess.Popen([sys.executable, script], env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "in the middle\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    (left,) = (stack_settings.home / "exports").iterdir()
    (half,) = left.iterdir()
    assert half.stat().st_size > 100_000
    assert exports.listing() == []
    assert exports.find(half.stem) is None

    done = export.run()
    assert done["name"] == half.stem
    assert [each["name"] for each in exports.listing()] == [done["name"]]
    assert_same(read(done), stored)


def test_a_failure_on_the_way_leaves_nothing(
    night: dict[str, str], stack_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*asked: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exports, "_settle", full)
    with pytest.raises(ExportError, match="No space left on device"):
        export.run()
    assert list((stack_settings.home / "exports").iterdir()) == []


def test_twins_end_with_one_file(night: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one found nothing when it began, and comes to the end of its writing after the first."""
    first = export.run(groups=["time"])
    with monkeypatch.context() as patched:
        patched.setattr(exports, "find", lambda name: None)
        assert export.run(groups=["time"])["name"] == first["name"]
    (kept,) = exports.listing()
    assert kept["made_at"] == first["made_at"]


def test_the_shell_exports_too(night: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    own = ["--custom", "a = ret", "--custom", "b = open"]
    assert main(["export", "--symbols", "AAA,BBB", "--groups", "price", *own, "--format", "json"]) == 0
    done = json.loads(capsys.readouterr().out)
    assert set(read(done)["symbol"]) == {"AAA", "BBB"}
    assert list(done["custom"]) == ["a", "b"]
    assert main(["export", "--symbols", "ZZZ"]) == 2
    assert "1 unknown symbols: ZZZ" in capsys.readouterr().err
