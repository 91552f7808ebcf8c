"""An installation for one evaluation: its own warehouse and store, whatever the shell says, and gone afterwards."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from ml.errors import StackError
from ml.stack.throwaway import installation


def test_its_steps_work_on_its_own_warehouse_which_is_gone_afterwards(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AFTERBELL_STORE", str(tmp_path / "mine"))
    monkeypatch.setenv("AFTERBELL_WAREHOUSE_DSN", "postgresql://nobody@127.0.0.1:1/mine")
    with installation({"AFTERBELL_SYMBOLS": "IBM"}) as fresh:
        assert fresh.step("ingest", "--as-of", "2001-03-01")["as_of"] == "2001-03-01T21:00:00+00:00"
        dsn = fresh.environment["AFTERBELL_WAREHOUSE_DSN"]
        with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
            cursor.execute("select sum(received_rows) from market.landed_parts")
            assert cursor.fetchall() == [(253,)]
        assert any(fresh.store.iterdir())
        with pytest.raises(StackError, match="the step validate failing"):
            fresh.step("validate", "4711")
    assert not fresh.store.exists()
    assert not (tmp_path / "mine").exists()
    with pytest.raises(psycopg2.OperationalError):
        psycopg2.connect(dsn)
