from __future__ import annotations

import pytest

from tests.compose.file import Compose, read


@pytest.fixture
def compose() -> Compose:
    return read()
