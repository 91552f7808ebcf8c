"""Ingest and checks of a whole market: does memory stay bounded, and is the cost linear?"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.bench.market import LAST, year_by_year
from tests.bench.processes import Step, run
from tests.servers import migrated, postgres_server

SYMBOLS = 8_000
YEARS = (1, 5, 10)


@dataclass(frozen=True)
class Size:
    """What it took to take `bars` bars in."""

    bars: int
    steps: tuple[Step, Step]


def measured() -> list[Size]:
    """SYMBOLS over each of YEARS, one Parquet file a year, each size into a database of its own."""
    return [_size(years) for years in YEARS]


def _size(years: int) -> Size:
    with tempfile.TemporaryDirectory() as folder, postgres_server({}) as server:
        market = Path(folder) / "market"
        market.mkdir()
        bars = 0
        for year in year_by_year(SYMBOLS, years):
            bars += len(year)
            year.to_parquet(market / f"{year['date'].iloc[0].year}.parquet", index=False)
        environment = {
            **os.environ,
            "AFTERBELL_HOME": folder,
            "AFTERBELL_PROVIDER": "files",
            "AFTERBELL_FILES_PATH": str(market),
            "AFTERBELL_HISTORY_START": f"{LAST.year + 1 - years}-01-01",
            "AFTERBELL_WAREHOUSE_DSN": migrated(server, "afterbell").dsn,
        }
        ingest = run(environment, "ingest", "ingest")
        size = Size(bars, (ingest, run(environment, "validate", "validate", ingest.keys["ingest_id"])))
        print(f"  scale: {bars:,} bars, {sum(step.wall for step in size.steps):.1f} s", flush=True)
        return size


def table(sizes: list[Size]) -> str:
    """Markdown: seconds and memory by size, and microseconds a bar, which stay level when the cost is linear."""
    lines = [
        f"Ingest and checks of a whole market, {SYMBOLS:,} symbols, one file a year; each step a process of its own.",
        "",
        "| bars | ingest s | validate s | all, s | microseconds a bar | peak MiB |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for size in sizes:
        walls = [step.wall for step in size.steps]
        peak = max(step.peak for step in size.steps)
        lines.append(
            f"| {size.bars:,} | {walls[0]:.1f} | {walls[1]:.1f} | {sum(walls):.1f}"
            f" | {sum(walls) / size.bars * 1e6:.2f} | {peak:,.0f} |"
        )
    return "\n".join(lines)
