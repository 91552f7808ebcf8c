"""CSV in blocks of whole lines, against Arrow's own reader of the whole text."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.csv as pacsv
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.io.market_data import csv_blocks
from ml.io.market_data.csv_blocks import CsvBlocks


class Slow:
    """A stream that gives at most `most` bytes at a time, as sockets do, and counts how often it is asked."""

    def __init__(self, content: bytes, most: int) -> None:
        self._content = content
        self._most = most
        self.reads = 0

    def read(self, size: int) -> bytes:
        self.reads += 1
        size = min(size, self._most)
        piece, self._content = self._content[:size], self._content[size:]
        return piece


VALUES = st.text(st.sampled_from("ab1, é'\""), min_size=1, max_size=6)
LINES = st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=12)


@given(LINES, st.integers(1, 40), st.integers(1, 40), st.sampled_from(["\n", "\r\n"]), st.booleans(), st.booleans())
def test_blocks_of_any_size_give_what_one_reading_gives(
    lines: list[tuple[str, str]], block: int, most: int, end: str, ended: bool, marked: bool
) -> None:
    quoted = [",".join('"' + value.replace('"', '""') + '"' for value in line) for line in lines]
    text = end.join(["x,y", *quoted]) + (end if ended else "")
    content = (b"\xef\xbb\xbf" if marked else b"") + text.encode()
    types = pacsv.ConvertOptions(column_types={"x": pa.string(), "y": pa.string()})
    whole = pacsv.read_csv(pa.BufferReader(content), convert_options=types)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_blocks, "_BLOCK", block)
        found = CsvBlocks(Slow(content, most))
        assert found.names == ["x", "y"]
        rows = [row for batch in found.rows(["y", "x"]) for row in batch.to_pylist()]
    assert rows == whole.select(["y", "x"]).to_pylist()


def test_nothing_is_read_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads ahead goes on reading after the file was closed, and from whatever file comes next."""
    monkeypatch.setattr(csv_blocks, "_BLOCK", 10)
    stream = Slow(b"x,y\n" + b"1,2\n" * 1000, 10)
    rows: Iterator[pa.RecordBatch] = CsvBlocks(stream).rows(["x"])
    assert stream.reads == 1
    for reads in (2, 3, 4):
        assert next(rows).num_rows > 0
        assert stream.reads == reads


@pytest.mark.parametrize("content", [b"", b"\n\n", b"x,y\n1\n", b"x,y\n1,2,3\n", b"x,y\n\xff,1\n"])
def test_what_is_no_table_of_text_is_refused(content: bytes) -> None:
    with pytest.raises(pa.ArrowInvalid):
        list(CsvBlocks(Slow(content, 100)).rows(["x", "y"]))
