"""`make bench`: every room of the night on an invented market, side by side with the usual way where there is one."""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ml.io.warehouse import Warehouse
from tests.bench import data, models, reading, scale
from tests.bench.market import Market, invent
from tests.bench.timing import Measured, table
from tests.servers import migrated, postgres_server

Room = Callable[[Warehouse, Market], list[Measured]]

ROOMS: dict[str, Room] = {
    "checks": data.checking,
    "ingest": data.ingest,
    "bars": data.bulk_reads,
    "features": models.features,
    "models": models.training,
    "whole": models.whole_market,
    "publish": reading.publishing,
    "read": reading.reads,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("rooms", nargs="*", help=f"some of: {' '.join(ROOMS)} scale (default: all)")
    parser.add_argument("--symbols", type=int, default=200)
    parser.add_argument("--years", type=int, default=5)
    asked = parser.parse_args()
    unknown = set(asked.rooms) - {*ROOMS, "scale"}
    if unknown:
        parser.error(f"found {', '.join(sorted(unknown))}, expected some of: {' '.join(ROOMS)} scale")
    wanted = asked.rooms or [*ROOMS, "scale"]
    market = invent(asked.symbols, asked.years)
    print(f"{len(market.bars):,} bars: {asked.symbols} symbols x {asked.years} years", flush=True)
    with _warehouse() as warehouse:
        rows = [row for name, room in ROOMS.items() if name in wanted for row in room(warehouse, market)]
    print(f"\nPython {platform.python_version()}, {os.cpu_count()} cores, {len(market.bars):,} bars, seeded.\n")
    if rows:
        print(table(rows))
    if "scale" in wanted:
        print(f"\n{scale.table(scale.measured())}")


@contextmanager
def _warehouse() -> Iterator[Warehouse]:
    # With a real server's durability: what is measured here is what a user gets.
    with postgres_server({}) as server:
        yield Warehouse(migrated(server, "bench").dsn)


if __name__ == "__main__":
    main()
