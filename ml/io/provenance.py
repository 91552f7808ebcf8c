"""Which code is running: the commit that every trained version records."""

import shutil
import subprocess
from functools import cache

from ml.settings import REPOSITORY


@cache
def code_commit() -> str:
    """The commit of this checkout, with `+changes` when files differ from it; `unknown` outside git or without it."""
    if shutil.which("git") is None:
        return "unknown"
    head = _git("rev-parse", "HEAD")
    if not head:
        return "unknown"
    return f"{head}+changes" if _git("status", "--porcelain", "--untracked-files=no") else head


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False)  # noqa: S603, S607
    return done.stdout.strip() if done.returncode == 0 else ""
