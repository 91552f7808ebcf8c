"""`make sql` answers as the reader, alone and as CSV."""

from __future__ import annotations

import pytest

from ml.stack.reading import print_predictions, psql


def test_a_query_is_answered_as_csv_without_header_and_nothing_else(
    reader_dsn: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert psql(reader_dsn, "select 1 as one, 'a,b' as text, null as nothing union all select 2, 'c', 'd'") == 0
    assert capfd.readouterr() == ('1,"a,b",\n2,c,d\n', "")


def test_a_refused_query_fails_and_says_why(reader_dsn: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert psql(reader_dsn, "select * from lifecycle.predictions") != 0
    said = capfd.readouterr()
    assert said.out == ""
    assert "permission denied" in said.err


def test_a_setting_of_the_user_for_psql_does_not_change_the_answer(
    reader_dsn: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGOPTIONS", "-c timezone=Asia/Tokyo")
    monkeypatch.setenv("PGPASSWORD", "wrong")
    assert psql(reader_dsn, "select current_user") == 0
    assert capfd.readouterr().out == "afterbell_reader\n"


def test_the_table_of_predictions_is_a_query_that_the_reader_may_ask(
    reader_dsn: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert print_predictions(reader_dsn) == 0
    assert "direction" in capfd.readouterr().out
