"""The Parquet store: whole entries or none, proved on every read."""

from __future__ import annotations

import hashlib
import json
import os
import resource  # noqa: F401  # for the processes that `run` starts
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import fsspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from ml.errors import FrameError, StoreError
from ml.io.store import Store, frame_digest

REPOSITORY = Path(__file__).resolve().parents[2]
KEY = "equity/features/ab12/2013-03-01"


def frame(rows: int = 7, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    entity = pd.Series([None if n == 3 else f"S{n % 3}" for n in range(rows)], dtype="str")
    ts = pd.Series(pd.date_range("2012-01-03 21:00", periods=rows, tz="UTC").as_unit("us"))
    small = pd.Series(rng.standard_normal(rows).astype("float32")).where(np.arange(rows) != 2)
    return pd.DataFrame(
        {
            "entity": entity,
            "ts": ts,
            "day": ts.dt.tz_localize(None).dt.normalize(),
            "small": small,
            "large": rng.standard_normal(rows),
            "count": np.arange(rows, dtype="int64"),
            "flag": np.arange(rows) % 2 == 0,
        }
    )


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


@dataclass(frozen=True)
class Place:
    """A folder that a store lies in: a local one, or one of fsspec's object store in memory."""

    url: str
    system: Any

    def stamps(self) -> dict[str, Any]:
        """Its files, and when each was written."""
        return {path: self.system.modified(path) for path in self.system.find(self.url)}

    def file(self, end: str) -> str:
        """The one file whose name ends so."""
        (path,) = [path for path in self.system.find(self.url) if path.endswith(end)]
        return str(path)


@pytest.fixture(params=["local", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    system = fsspec.filesystem("file" if request.param == "local" else "memory")
    yield Place(str(tmp_path / "store") if request.param == "local" else "memory://bucket/store", system)
    if request.param == "memory":
        system.store.clear()


@pytest.fixture
def store(place: Place) -> Store:
    return Store(place.url)


def test_a_frame_comes_back_exactly_with_its_dtypes(store: Store) -> None:
    store.put(KEY, frame(), {})
    assert_frame_equal(store.get(KEY), frame(), check_exact=True)
    assert store.get(KEY).dtypes.astype("str").to_dict() == {
        "entity": "str",
        "ts": "datetime64[us, UTC]",
        "day": "datetime64[us]",
        "small": "float32",
        "large": "float64",
        "count": "int64",
        "flag": "bool",
    }


def test_a_frame_without_rows_keeps_its_dtypes(store: Store) -> None:
    store.put(KEY, frame().iloc[:0], {})
    assert_frame_equal(store.get(KEY), frame().iloc[:0])


def test_some_columns_come_in_the_order_asked(store: Store) -> None:
    store.put(KEY, frame(), {})
    assert_frame_equal(store.get(KEY, ["large", "entity"]), frame()[["large", "entity"]])
    with pytest.raises(StoreError, match="without the columns \\['price'\\]"):
        store.get(KEY, ["price"])


def test_the_manifest_tells_rows_digests_and_what_the_caller_said(store: Store) -> None:
    store.put(KEY, frame(), {"commit": "abc", "seconds": 1.5})
    manifest = store.manifest(KEY)
    assert manifest["commit"] == "abc"
    assert manifest["seconds"] == 1.5
    assert manifest["rows"] == 7
    assert manifest["content"] == frame_digest(frame())
    assert len(manifest["sha256"]) == 64
    assert "pyarrow" in manifest["created_by"]


def test_the_callers_fields_may_not_hide_the_stores_own_and_must_be_json(store: Store) -> None:
    with pytest.raises(StoreError, match="rows"):
        store.put(KEY, frame(), {"rows": 3})
    with pytest.raises(TypeError):
        store.put(KEY, frame(), {"when": pd.Timestamp("2012-01-01")})
    assert not store.has(KEY)


def test_the_same_content_again_leaves_the_entry_untouched(store: Store, place: Place) -> None:
    store.put(KEY, frame(), {"night": 1})
    before = place.stamps()
    store.put(KEY, frame(), {"night": 2})
    assert place.stamps() == before
    assert store.manifest(KEY)["night"] == 1


def test_other_content_replaces_the_entry_and_leaves_no_file_behind(store: Store, place: Place) -> None:
    store.put(KEY, frame(seed=0), {})
    store.put(KEY, frame(seed=1), {})
    assert_frame_equal(store.get(KEY), frame(seed=1))
    assert len(place.stamps()) == 2


def test_keys_are_apart(store: Store) -> None:
    store.put("a/b", frame(seed=1), {})
    store.put("a/b/c", frame(seed=2), {})
    assert_frame_equal(store.get("a/b"), frame(seed=1))
    assert_frame_equal(store.get("a/b/c"), frame(seed=2))


@pytest.mark.parametrize("key", ["", "/etc/x", "a/../b", "..", "a//b", "a/", ".hidden", "a/.x", "a\\b", "a b", "a\x00"])
def test_a_key_that_could_leave_the_store_is_refused_by_every_method(store: Store, key: str) -> None:
    for use in (store.get, store.manifest, store.has, lambda k: store.put(k, frame(), {})):
        with pytest.raises(StoreError, match="relative path"):
            use(key)


def test_nothing_there_names_the_key(store: Store) -> None:
    assert not store.has(KEY)
    for read in (store.get, store.manifest):
        with pytest.raises(StoreError, match=f"nothing at {KEY}"):
            read(KEY)


def truncate(place: Place) -> None:
    path = place.file(".parquet")
    content = place.system.cat_file(path)
    place.system.pipe_file(path, content[: len(content) // 2])


def flip_a_byte(place: Place) -> None:
    path = place.file(".parquet")
    content = bytearray(place.system.cat_file(path))
    content[len(content) // 3] ^= 1
    place.system.pipe_file(path, bytes(content))


def lose_the_data(place: Place) -> None:
    place.system.rm_file(place.file(".parquet"))


def lose_the_manifest(place: Place) -> None:
    place.system.rm_file(place.file("manifest.json"))


def cut_the_manifest(place: Place) -> None:
    path = place.file("manifest.json")
    place.system.pipe_file(path, place.system.cat_file(path)[:20])


def strip_the_manifest(place: Place) -> None:
    place.system.pipe_file(place.file("manifest.json"), json.dumps({"rows": 7}).encode())


@pytest.mark.parametrize(
    "damage", [truncate, flip_a_byte, lose_the_data, lose_the_manifest, cut_the_manifest, strip_the_manifest]
)
def test_damage_is_found_on_reading_and_healed_by_writing_again(
    store: Store, place: Place, damage: Callable[[Place], None]
) -> None:
    store.put(KEY, frame(), {})
    damage(place)
    with pytest.raises(StoreError, match=KEY):
        store.get(KEY)
    store.put(KEY, frame(), {})
    assert_frame_equal(store.get(KEY), frame())


def test_a_frame_that_would_not_come_back_the_same_is_refused(store: Store) -> None:
    bad = [
        frame().set_index("entity"),
        frame().iloc[2:],
        frame().astype({"entity": "object"}),
        frame().astype({"count": "Int64"}),
        frame().rename(columns={"small": 1}),
        frame().rename(columns={"small": "large"}),
    ]
    for one in bad:
        with pytest.raises(FrameError):
            store.put(KEY, one, {})
    assert not store.has(KEY)


def run(code: str, *args: str) -> subprocess.Popen[str]:
    """A process that knows `Store` and this module's names."""
    head = "import sys\nfrom ml.io.store import Store\nfrom tests.io.test_store import *\n"
    return subprocess.Popen(
        [sys.executable, "-c", head + code, *args],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_file_that_cannot_grow_is_one_clear_error_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put(KEY, frame(), {})
    before = files(tmp_path)
    code = "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
    code += "Store(Path(sys.argv[1])).put(KEY, frame(20_000), {})"
    process = run(code, str(tmp_path))
    _, errors = process.communicate()
    assert process.returncode != 0
    assert "StoreError" in errors
    assert "Free space or point AFTERBELL_STORE elsewhere" in errors
    assert files(tmp_path) == before
    assert_frame_equal(store.get(KEY), frame())


def test_a_full_disk_is_one_clear_error_and_the_next_try_succeeds(tiny_disk: Path) -> None:
    store = Store(tiny_disk)
    store.put(KEY, frame(), {})
    before = files(tiny_disk)
    with pytest.raises(StoreError, match="No space left on device") as caught:
        store.put(KEY, frame(100_000), {})
    assert "Free space" in caught.value.todo
    assert files(tiny_disk) == before
    assert_frame_equal(store.get(KEY), frame())
    store.put(KEY, frame(1_000), {})
    assert_frame_equal(store.get(KEY), frame(1_000))


def test_a_place_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="could not be written"):
        Store(tmp_path / "file").put(KEY, frame(), {})


def test_a_writer_killed_at_any_instant_leaves_a_whole_entry_and_the_next_one_succeeds(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put(KEY, frame(seed=0), {})
    whole = {frame_digest(frame(20_000, seed)) for seed in (0, 1)} | {frame_digest(frame(seed=0))}
    code = "store = Store(Path(sys.argv[1]))\nprint('ready', flush=True)\n"
    code += "while True:\n    for seed in (0, 1):\n        store.put(KEY, frame(20_000, seed), {})\n"
    for wait in (0.0, 0.013, 0.029, 0.05):
        process = run(code, str(tmp_path))
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(wait)
        process.kill()
        process.communicate()
        assert frame_digest(store.get(KEY)) in whole
    store.put(KEY, frame(seed=5), {})
    assert_frame_equal(store.get(KEY), frame(seed=5))


def test_what_killed_writers_left_is_swept_after_a_day(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put(KEY, frame(), {})
    old, young = (tmp_path / KEY / f".writing-{name}" for name in ("old", "young"))
    old.touch()
    young.touch()
    os.utime(old, (time.time() - 100_000,) * 2)
    store.put(KEY, frame(seed=1), {})
    assert not old.exists()
    assert young.exists(), "a twin may still be writing it"


def test_twins_writing_the_same_at_once_do_no_harm(tmp_path: Path) -> None:
    store = Store(tmp_path)
    code = "for n in range(10):\n    Store(Path(sys.argv[1])).put(f'night/{n}', frame(20_000, n), {})\n"
    for twin in [run(code, str(tmp_path)) for _ in range(3)]:
        _, errors = twin.communicate()
        assert twin.returncode == 0, errors
    for n in range(10):
        assert_frame_equal(store.get(f"night/{n}"), frame(20_000, n))
    assert len(files(tmp_path)) == 20, "one file of data and one manifest each"


def test_a_reader_beside_a_writer_that_replaces_always_gets_a_whole_frame(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put(KEY, frame(2_000, 0), {})
    whole = {frame_digest(frame(2_000, seed)) for seed in (0, 1)}
    code = "store = Store(Path(sys.argv[1]))\nfor n in range(30):\n    store.put(KEY, frame(2_000, n % 2), {})\n"
    writer = run(code, str(tmp_path))
    seen = set()
    while writer.poll() is None:
        seen.add(frame_digest(store.get(KEY)))
    assert writer.returncode == 0
    assert seen == whole


def test_what_is_removed_is_gone_and_may_be_written_again(store: Store) -> None:
    store.remove(KEY)
    for _ in range(2):
        store.put(KEY, frame(), {})
        assert store.has(KEY)
        store.remove(KEY)
        assert not store.has(KEY)
        with pytest.raises(StoreError, match="nothing at"):
            store.get(KEY)


def test_the_digest_is_known_by_hand_for_one_number() -> None:
    by_hand = hashlib.sha256(b"rows 1" + b'["x", "float64"]' + np.float64(1.5).tobytes()).hexdigest()
    assert frame_digest(pd.DataFrame({"x": [1.5]})) == by_hand


def test_the_digest_does_not_depend_on_layout_process_or_a_trip_through_the_store(store: Store) -> None:
    one = frame(500)
    expected = frame_digest(one)
    columns = {name: one[name].copy() for name in one}
    backwards = pd.DataFrame(dict(reversed(columns.items())))[list(one)]
    strided = pd.DataFrame(np.asfortranarray(np.zeros((500, 3))))[[0]].assign()
    parts = pd.concat([one.iloc[:123], one.iloc[123:]], ignore_index=True)
    store.put(KEY, one, {})
    assert frame_digest(backwards) == expected
    assert frame_digest(parts) == expected
    assert frame_digest(store.get(KEY)) == expected
    assert frame_digest(strided.set_axis(["x"], axis=1)) == frame_digest(pd.DataFrame({"x": np.zeros(500)}))
    output, errors = run("from ml.io.store import frame_digest\nprint(frame_digest(frame(500)))").communicate()
    assert output.strip() == expected, errors


def test_every_kind_of_nan_is_one_value() -> None:
    odd = np.array([1.0, np.nan]).view("uint64")
    odd[1] |= np.uint64(1 << 63)
    assert frame_digest(pd.DataFrame({"x": odd.view("float64")})) == frame_digest(pd.DataFrame({"x": [1.0, np.nan]}))


def test_the_digest_sees_every_change() -> None:
    one = frame(20)
    others = [
        one.iloc[:-1],
        one.iloc[::-1].reset_index(drop=True),
        one[["ts", "entity", *list(one)[2:]]],
        one.rename(columns={"large": "larger"}),
        one.astype({"small": "float64"}),
        one.assign(small=one["small"].fillna(0)),
        one.assign(flag=~one["flag"]),
        one.assign(ts=one["ts"] + pd.Timedelta("1us")),
        one.assign(entity=one["entity"].fillna("")),
        one.assign(entity=one["entity"].replace("S1", "S9")),
    ]
    digests = [frame_digest(other) for other in (one, *others)]
    assert len(set(digests)) == len(digests)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.text(max_size=4) | st.none(), st.floats(width=32), st.integers(-(2**40), 2**40)), max_size=6)
)
def test_any_frame_keeps_its_digest_through_the_store(rows: list[tuple[str | None, float, int]]) -> None:
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    one = pd.DataFrame(
        {
            "text": pd.Series(columns[0], dtype="str"),
            "real": pd.Series(columns[1], dtype="float32"),
            "whole": pd.Series(columns[2], dtype="int64"),
        }
    )
    with TemporaryDirectory() as root:
        Store(Path(root)).put("k", one, {})
        back = Store(Path(root)).get("k")
    assert_frame_equal(back, one, check_exact=True)
    assert frame_digest(back) == frame_digest(one)
