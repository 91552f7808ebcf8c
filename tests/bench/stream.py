"""`python -m tests.bench.stream`: the features step over a whole market, all its months at once, then one more session.

Does memory stay bounded, and is the cost linear? From a real Postgres into a store on disk; each run of the step is a
process of its own, start and imports included. The largest size needs 25 GB in the temporary folder.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import pandas as pd

from ml.equity import checks, sessions
from ml.io.warehouse import Warehouse
from tests.bench import data
from tests.bench.market import CALENDAR, LAST, Market, year_by_year
from tests.bench.processes import Step, run
from tests.bench.scale import SYMBOLS, YEARS
from tests.servers import migrated, postgres_server


@dataclass(frozen=True)
class Size:
    """What the features of `bars` bars took: all months for the first time, then those of one session more."""

    bars: int
    whole: Step
    one_more: Step


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.stream", description=__doc__)
    parser.add_argument("--symbols", type=int, default=SYMBOLS)
    parser.add_argument("--years", type=int, nargs="+", default=YEARS)
    asked = parser.parse_args()
    print(table([_size(asked.symbols, years) for years in asked.years]))


def _size(symbols: int, years: int) -> Size:
    with tempfile.TemporaryDirectory() as folder, postgres_server({}) as server:
        dsn = migrated(server, "afterbell").dsn
        environment = {**os.environ, "AFTERBELL_HOME": folder, "AFTERBELL_WAREHOUSE_DSN": dsn}
        nights = _nights(symbols, years)
        bars = sum(accepted(dsn, night) for night in islice(nights, years))
        whole = run(environment, "all months", "features")
        bars += sum(accepted(dsn, night) for night in nights)
        size = Size(bars, whole, run(environment, "one more session", "features"))
        print(f"  {bars:,} bars: {size.whole.wall:.1f} s, one more session {size.one_more.wall:.1f} s", flush=True)
        return size


def _nights(symbols: int, years: int) -> Iterator[Market]:
    """Deliveries of a year each, and last that of one session."""
    for year in year_by_year(symbols, years):
        last = pd.Timestamp(LAST)
        yield market_of(year[year["date"] < last])
        if year["date"].max() == last:
            yield market_of(year[year["date"] == last])


def accepted(dsn: str, night: Market) -> int:
    """Its bars as the warehouse's own, how many those are."""
    data.accept(Warehouse(dsn), night, night.bars)
    return len(night.bars)


def market_of(received: pd.DataFrame) -> Market:
    """What was received, as it is when it has passed the checks."""
    bars = checks.to_bars(received.reset_index(drop=True), CALENDAR)
    return Market(received, bars, sessions.close_of(CALENDAR, received["date"].max()))


def table(sizes: list[Size]) -> str:
    """Markdown: seconds and memory by size, and microseconds a bar, which stay level when the cost is linear."""
    lines = [
        "| bars | all months, s | microseconds a bar | peak MiB | one more session, s | peak MiB |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for size in sizes:
        whole, one_more, each = size.whole, size.one_more, size.whole.wall / size.bars * 1e6
        lines.append(
            f"| {size.bars:,} | {whole.wall:.1f} | {each:.2f} | {whole.peak:,.0f}"
            f" | {one_more.wall:.1f} | {one_more.peak:,.0f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
