"""A step of the night as a process of its own, timed and weighed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass

from ml.settings import REPOSITORY

MEBIBYTE = 1024


@dataclass(frozen=True)
class Step:
    """One finished step: wall and processor seconds, peak memory in MiB, and the keys that it printed."""

    name: str
    wall: float
    cpu: float
    peak: float
    keys: dict[str, str]


def run(environment: Mapping[str, str], name: str, *arguments: str) -> Step:
    """`python -m ml` with these arguments, start and imports included; SystemExit when it fails."""
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "ml", *arguments], cwd=REPOSITORY, env=environment, stdout=said
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise SystemExit(f"{name} failed; its log is above")
        said.seek(0)
        keys = json.loads(said.read().splitlines()[-1])
    return Step(name, wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / MEBIBYTE, keys)
