"""A port that the user set is kept or refused; one that we chose gives way."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from ml.errors import StackError
from ml.stack.ports import LOOPBACK, choose, free_port, is_free


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_port_set_by_the_user_and_taken_is_an_error_with_port_and_variable(taken: int) -> None:
    with pytest.raises(StackError, match=rf"port {taken} of AFTERBELL_AIRFLOW_PORT taken"):
        choose("AFTERBELL_AIRFLOW_PORT", wanted=taken, kept=0, ours=False)


def test_a_port_that_our_own_server_holds_is_kept(taken: int) -> None:
    assert choose("X", wanted=0, kept=taken, ours=True) == taken
    assert choose("X", wanted=taken, kept=taken, ours=True) == taken


def test_a_remembered_port_is_used_again_when_free() -> None:
    kept = free_port()
    assert choose("X", wanted=0, kept=kept, ours=False) == kept


def test_a_remembered_port_that_a_stranger_took_is_replaced(taken: int) -> None:
    chosen = choose("X", wanted=0, kept=taken, ours=False)
    assert chosen != taken
    assert is_free(chosen)
