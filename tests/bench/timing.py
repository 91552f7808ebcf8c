"""Timing by several counted repeats after a warm-up, and the table that shows it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

REPEATS = 5


@dataclass(frozen=True)
class Measured:
    """Seconds of each counted repeat of `what`, which handled `count` of `unit`."""

    room: str
    what: str
    count: int
    unit: str
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def rate(self) -> float:
        return self.count / self.median


def measure(
    room: str,
    what: str,
    count: int,
    unit: str,
    run: Callable[[], object],
    before: Callable[[], object] = lambda: None,
    repeats: int = REPEATS,
) -> Measured:
    """Run once uncounted, then `repeats` times; `before` each run, untimed, puts the world back."""
    seconds = []
    for _ in range(repeats + 1):
        before()
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    done = Measured(room, what, count, unit, tuple(seconds[1:]))
    print(f"  {room}: {what}, {done.median:.3f} s", flush=True)
    return done


def table(rows: list[Measured]) -> str:
    """Markdown. The ratio is against the first row of the same room: above 1 is faster than it."""
    first: dict[str, Measured] = {}
    lines = ["| room | what | rate | median s | min to max s | ratio |", "| --- | --- | --- | --- | --- | --- |"]
    for row in rows:
        base = first.setdefault(row.room, row)
        comparable = base.unit == row.unit
        ratio = "1" if row is base else f"{row.rate / base.rate:.2f}" if comparable else ""
        spread = f"{min(row.seconds):.3f} to {max(row.seconds):.3f}"
        lines.append(
            f"| {row.room} | {row.what} | {row.rate:,.0f} {row.unit}/s | {row.median:.3f} | {spread} | {ratio} |"
        )
    return "\n".join(lines)
