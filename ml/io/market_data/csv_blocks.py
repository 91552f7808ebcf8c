"""A CSV stream, cut into blocks of whole lines that Arrow parses one after the other.

Arrow's own streaming reader reads ahead on another thread, and goes on when it is closed early: then it reads
from whatever file was given the same descriptor next, and takes bytes away from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv

_BLOCK = 8 << 20  # bytes


class CsvBlocks:
    """A header line, and rows whose values hold no line breaks; pa.ArrowInvalid for what is no such text."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        header, self._rest = _split(self._filled(b"").lstrip(b"\r\n"), first=True)
        self.names: list[str] = pacsv.read_csv(pa.BufferReader(header.rstrip(b"\r\n") + b"\n")).column_names

    def rows(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """The columns as text, because Arrow would guess a type from the first rows and stumble over a later one."""
        options = pacsv.ConvertOptions(include_columns=columns, column_types=dict.fromkeys(columns, pa.string()))
        while block := self._filled(self._rest):
            lines, self._rest = _split(block, first=False)
            if lines.strip():
                reading = pacsv.ReadOptions(column_names=self.names, block_size=len(lines) + 1)
                table = pacsv.read_csv(pa.BufferReader(lines), reading, convert_options=options)
                yield from table.to_batches()

    def _filled(self, begun: bytes) -> bytes:
        """What was begun, and another block, or as many as it takes to see the end of a line."""
        pieces = [begun]
        while piece := self._stream.read(_BLOCK):
            pieces.append(piece)
            if b"\n" in piece:
                break
        return b"".join(pieces)


def _split(text: bytes, first: bool) -> tuple[bytes, bytes]:
    """Whole lines and the beginning of the next one; or the first line and all others."""
    end = text.find(b"\n") if first else text.rfind(b"\n")
    return (text[: end + 1], text[end + 1 :]) if end >= 0 else (text, b"")
