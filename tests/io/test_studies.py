from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import optuna
import psycopg2
import pytest

from ml.errors import WarehouseUnavailable
from ml.io.studies import storage
from tests.servers import WarehouseAddress


def test_trials_are_kept_beside_the_warehouse_and_found_by_name(warehouse: WarehouseAddress) -> None:
    with storage(warehouse.dsn) as first:
        optuna.create_study(storage=first, study_name="equity-1d/xgboost").optimize(
            lambda trial: trial.suggest_float("x", 0, 1), n_trials=2
        )
    with storage(warehouse.dsn) as second:
        assert len(optuna.load_study(storage=second, study_name="equity-1d/xgboost").trials) == 2


def test_searches_that_are_the_first_ones_at_once_make_the_tables_once(warehouse: WarehouseAddress) -> None:
    together = Barrier(4)

    def begin(number: int) -> str:
        together.wait()
        with storage(warehouse.dsn) as studies:
            return str(optuna.create_study(storage=studies, study_name=f"study {number}").study_name)

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(begin, range(4)))) == 4


def test_optunas_tables_are_in_a_schema_of_their_own_and_closed_to_readers(warehouse: WarehouseAddress) -> None:
    with storage(warehouse.dsn):
        pass
    with psycopg2.connect(warehouse.dsn) as connection, connection.cursor() as cursor:
        cursor.execute("select distinct table_schema from information_schema.tables where table_name like 'trial%'")
        assert cursor.fetchall() == [("search",)]
    with (
        psycopg2.connect(warehouse.reader_dsn) as connection,
        connection.cursor() as cursor,
        pytest.raises(psycopg2.errors.InsufficientPrivilege),
    ):
        cursor.execute("select * from search.trials")


def test_a_server_that_is_not_there_is_one_clear_error_without_the_password() -> None:
    with pytest.raises(WarehouseUnavailable) as told, storage("postgresql://me:secret@127.0.0.1:1/afterbell"):
        pass
    assert "secret" not in str(told.value)


def test_a_lost_server_is_seen_behind_the_error_that_hid_it(warehouse: WarehouseAddress) -> None:
    def tell() -> None:
        try:
            raise optuna.exceptions.StorageInternalError("gone")
        finally:
            raise UnboundLocalError("updated_state")  # as Optuna does

    with pytest.raises(WarehouseUnavailable), storage(warehouse.dsn):
        tell()


def test_an_error_of_the_search_itself_stays_what_it_is(warehouse: WarehouseAddress) -> None:
    with pytest.raises(ZeroDivisionError), storage(warehouse.dsn):
        raise ZeroDivisionError
