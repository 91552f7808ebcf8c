from pathlib import Path

import pytest

from ml.errors import RegistryError, StoreError
from ml.estimators.files import (
    field,
    read_bytes,
    read_document,
    read_noted,
    write_bytes,
    write_document,
    write_noted,
)


def test_a_document_comes_back_with_every_digit(tmp_path: Path) -> None:
    write_document(tmp_path / "a.json", "thing", 3, {"x": 1 / 3})
    assert field(read_document(tmp_path / "a.json", "thing", 3), "x") == 1 / 3


@pytest.mark.parametrize(("kind", "version"), [("other", 3), ("thing", 2), ("thing", 4)])
def test_another_kind_or_format_is_refused(tmp_path: Path, kind: str, version: int) -> None:
    write_document(tmp_path / "a.json", "thing", 3, {})
    with pytest.raises(RegistryError, match="format 3"):
        read_document(tmp_path / "a.json", kind, version)


@pytest.mark.parametrize("content", ["", "not json", "\x00", "[]", "null"])
def test_what_is_not_a_document_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(RegistryError, match=r"a\.json"):
        read_document(tmp_path / "a.json", "thing", 1)


def test_a_missing_field_is_named(tmp_path: Path) -> None:
    write_document(tmp_path / "a.json", "thing", 1, {})
    with pytest.raises(RegistryError, match="'x'"):
        field(read_document(tmp_path / "a.json", "thing", 1), "x")


def test_files_that_cannot_be_read_or_written_are_store_errors(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="absent"):
        read_bytes(tmp_path / "absent")
    with pytest.raises(StoreError, match="cannot be written"):
        write_bytes(tmp_path / "no" / "such" / "place", b"")


def test_a_file_is_read_as_it_was_noted_or_not_at_all(tmp_path: Path) -> None:
    digest = write_noted(tmp_path / "a", b"whole")
    assert read_noted(tmp_path / "a", digest) == b"whole"
    (tmp_path / "a").write_bytes(b"whol")
    with pytest.raises(RegistryError, match=f"a of sha256 .*; expected {digest}"):
        read_noted(tmp_path / "a", digest)
