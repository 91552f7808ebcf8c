"""A file that is read whole: a table of tickers, a list of members."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq

from ml.io.market_data.csv_blocks import CsvBlocks
from ml.io.market_data.file_place import File, Place


def read_small(place: Place, file: File) -> pa.Table:
    """All columns of a Parquet file, or of a CSV file as text; to be called inside `place.reading(file)`."""
    if file.path.lower().endswith(".parquet"):
        with place.open_file(file) as handle:
            return pq.read_table(handle)
    with place.open_stream(file) as stream:
        content = CsvBlocks(stream)
        text = pa.schema([(name, pa.string()) for name in content.names])
        return pa.Table.from_batches(list(content.rows(content.names)), text)
