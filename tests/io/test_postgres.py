"""No error of the database ever quotes a password."""

from __future__ import annotations

import pytest

from ml.errors import WarehouseUnavailable
from ml.io.migrations import migrate
from ml.io.postgres import connected
from ml.io.warehouse import Warehouse

PASSWORD = "p@ss/w:rd"  # what drivers cut in the wrong place
ADDRESSES = [
    f"postgresql://afterbell:{PASSWORD}@127.0.0.1:9/afterbell",
    "postgresql://afterbell:p%40ss%2Fw%3Ard@127.0.0.1:9/afterbell",
    f"host=127.0.0.1 port=9 user=afterbell password={PASSWORD} dbname=afterbell",
    f"postgres//afterbell:{PASSWORD}@127.0.0.1/afterbell",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_without_a_server_is_named_without_its_password(address: str) -> None:
    for attempt in (lambda: connected(address).__enter__(), lambda: migrate(address)):
        with pytest.raises(WarehouseUnavailable) as refused:
            attempt()
        for part in (PASSWORD, "p%40ss", "ss/w", "w:rd"):
            assert part not in str(refused.value)
    with pytest.raises(WarehouseUnavailable), Warehouse(address).transaction():
        raise AssertionError("there is no server to begin a transaction with")


def test_the_place_of_a_silent_server_is_named() -> None:
    with pytest.raises(WarehouseUnavailable, match=r"127\.0\.0\.1:9/afterbell"):
        connected(ADDRESSES[1]).__enter__()
