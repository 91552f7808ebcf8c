"""How much a run's memory grows at its peak, as Linux counts it."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable
from pathlib import Path

_PROCESS = Path("/proc/self")
_FORGET_THE_PEAK = "5"


def growth(run: Callable[[], object]) -> int:
    """Bytes that the process held at most while it ran, its result included, beyond what it held before."""
    gc.collect()
    before = _held("VmRSS")
    (_PROCESS / "clear_refs").write_text(_FORGET_THE_PEAK)
    result = run()
    peak = _held("VmHWM")
    del result
    return peak - before


def _held(name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB$", (_PROCESS / "status").read_text(), re.MULTILINE)
    if found is None:
        raise SystemExit(f"no {name} in {_PROCESS}/status: memory is measured on Linux alone")
    return int(found[1]) * 1024
