"""Room for the files of one step."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

from ml.errors import StoreError


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that is gone afterwards; StoreError when the disk behind it is full."""
    with TemporaryDirectory() as folder:
        try:
            yield Path(folder)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise StoreError(
                f"no room left in {gettempdir()}",
                "some megabytes for the files of a step",
                "Free space there, or name another folder in TMPDIR, and run the step again",
            ) from error
