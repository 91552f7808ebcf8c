"""How kernels are compiled: without the GIL, so that threads run at once, and kept on disk for the next process.

Numba keeps them in `__pycache__` beside the source, in the user's cache folder where that cannot be
written, or where NUMBA_CACHE_DIR says. `ml.equity.features.compile` does it for all, in about half a minute.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from numba import njit

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """The same function in machine code; divisions follow IEEE 754, nothing is reordered, fused or approximated."""
    made: Function = njit(nogil=True, cache=True, error_model="numpy")(function)
    return made
