"""What a killed supervisor leaves behind: its children, found by a mark in their environment."""

from __future__ import annotations

from contextlib import suppress

import psutil  # type: ignore[import-untyped]

from ml.errors import StackError
from ml.stack.home import Home

MARK = "AFTERBELL_STACK_PROCESS_OF"


def leftovers(home: Home) -> list[psutil.Process]:
    """Every living process that descends from a supervisor of this home, except those that hid their environment.

    (Postgres does; its own pid file finds it.)
    """
    return [process for process in psutil.process_iter() if _mark_of(process) == str(home.root)]


def _mark_of(process: psutil.Process) -> str | None:
    try:
        mark: str | None = process.environ().get(MARK)
    except psutil.Error:
        return None  # ended meanwhile, or somebody else's
    return mark


def end(processes: list[psutil.Process], grace: float = 5) -> None:
    """Ask them to end, then make them; StackError when one outlives even that."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=grace)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    _, alive = psutil.wait_procs(alive, timeout=grace)
    if alive:
        raise StackError(
            f"processes {[process.pid for process in alive]}, which cannot be ended",
            "no process of this stack",
            "End them by hand, then try again",
        )
