"""What a killed parent leaves behind: its children, found by a mark in their environment.

Run as a module it is how supervisord starts a program: it ends what an earlier, killed instance of
the program left (workers that hold its port or its lock would keep the new one from working), then
becomes the program. It imports next to nothing, because every program waits for it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from ml.errors import StackError

MARK = "AFTERBELL_STACK_PROCESS_OF"
# supervisord sets it.
PROGRAM = "SUPERVISOR_PROCESS_NAME"


def leftovers(home: Path, program: str | None = None) -> list[psutil.Process]:
    """Every other living process that descends from a supervisor of this home (from one program of it).

    Postgres hides its environment; its own pid file finds it.
    """
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # ended meanwhile, or somebody else's
            environment = process.environ()
            if environment.get(MARK) == str(home) and program in (None, environment.get(PROGRAM)):
                found.append(process)
    return [process for process in found if process.pid != os.getpid()]


def end(processes: Sequence[psutil.Process], grace: float = 5) -> None:
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


def alone(command: Sequence[str]) -> list[str]:
    """The command, to be started by supervisord without its predecessor's leftovers."""
    return [sys.executable, "-m", "ml.stack.processes", *command]


if __name__ == "__main__":
    end(leftovers(Path(os.environ[MARK]), os.environ[PROGRAM]), grace=1)
    os.execv(sys.argv[1], sys.argv[1:])  # noqa: S606
