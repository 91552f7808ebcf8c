"""The store in an object store that fails: one clear error, and what was there stays."""

from __future__ import annotations

from collections.abc import Callable

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from pandas.testing import assert_frame_equal

from ml.errors import SettingsError, StoreError
from ml.io.store import _MANIFEST, Store
from tests.io.test_store import KEY, frame


def gone(*_: object) -> None:
    raise RuntimeError("no route to host")  # clients have errors of their own


def test_an_object_store_that_goes_away_is_one_clear_error_and_never_an_empty_store(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = Store("memory://away/store")
    store.put(KEY, frame(), {})
    with monkeypatch.context() as patch:
        patch.setattr(MemoryFileSystem, "put_file", gone)
        with pytest.raises(StoreError, match=r"could not be written .* no route to host"):
            store.put(KEY, frame(seed=1), {})
    assert_frame_equal(store.get(KEY), frame())
    for way in ("cat_file", "info"):
        with monkeypatch.context() as patch:
            patch.setattr(MemoryFileSystem, way, gone)
            with pytest.raises(StoreError, match=r"could not be read .* no route to host"):
                store.has(KEY)
    fsspec.filesystem("memory").store.clear()


def test_of_an_object_that_did_not_arrive_nothing_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store("memory://killed/store")
    store.put(KEY, frame(), {})
    for end in (".parquet", _MANIFEST):
        with monkeypatch.context() as patch:
            patch.setattr(MemoryFileSystem, "put_file", _dying_at(end))
            with pytest.raises(KeyboardInterrupt):
                store.put(KEY, frame(seed=1), {})
        assert_frame_equal(store.get(KEY), frame())
    store.put(KEY, frame(seed=1), {})
    assert_frame_equal(store.get(KEY), frame(seed=1))
    fsspec.filesystem("memory").store.clear()


def _dying_at(end: str) -> Callable[[MemoryFileSystem, str, str], None]:
    arrive = MemoryFileSystem.put_file

    def put_file(self: MemoryFileSystem, source: str, target: str) -> None:
        if target.endswith(end):
            raise KeyboardInterrupt
        arrive(self, source, target)

    return put_file


def test_a_url_whose_package_is_missing_says_which() -> None:
    with pytest.raises(SettingsError, match="AFTERBELL_STORE") as caught:
        Store("abfs://container/store")
    assert "adlfs" in f"{caught.value}"
