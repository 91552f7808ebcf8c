"""Where a name lies in [0, 1): a share of names is drawn by it, the same ones every night and in every process."""

from __future__ import annotations

import hashlib


def place(name: str) -> float:
    """A number in [0, 1) that looks random and never changes."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6]) / 2**48
