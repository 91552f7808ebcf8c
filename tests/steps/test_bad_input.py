"""Bad input to a night: one clear message, readers see what they saw before, and the next night succeeds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ml.__main__ import main
from ml.settings import settings
from tests.steps.market import LAST, SYMBOLS, bars, seen, write

pytestmark = [pytest.mark.xdist_group("mlflow"), pytest.mark.usefixtures("registry")]
NIGHT = ["night", "--trials", "1"]
EVENING_BEFORE = ["--as-of", "2014-08-28"]
Frame = pd.DataFrame


def _holiday(frame: Frame) -> Frame:
    extra = frame[frame["date"] == LAST].assign(date=pd.Timestamp("2014-07-04"))
    return pd.concat([frame, extra])


def _ten_holidays(frame: Frame) -> Frame:
    saturdays = pd.date_range("2014-05-03", periods=9, freq="7D")
    return pd.concat([_holiday(frame), *(frame[frame["date"] == LAST].assign(date=day) for day in saturdays)])


def _spoil(frame: Frame, column: str, value: float) -> Frame:
    spoiled = frame.copy()
    spoiled.loc[(frame["symbol"] == "AAA") & (frame["date"] < "2013-03-01"), column] = value
    return spoiled


TOO_MUCH: dict[str, tuple[Callable[[Frame], Frame], str]] = {
    "bars on a holiday, a whole market of them": (
        _ten_holidays,
        "share of rows in quarantine",
    ),
    "prices that are not there": (lambda f: _spoil(f, "close", np.nan), "share of rows in quarantine"),
    "negative prices": (lambda f: _spoil(f, "low", -1.0), "share of rows in quarantine"),
    "rows that contradict each other": (
        lambda f: pd.concat([f, f[f["date"] < "2013-02-01"].assign(volume=1.0)]),
        "share of rows in quarantine",
    ),
    "hardly any bar of the night": (
        lambda f: f[(f["date"] < LAST) | (f["symbol"] == "AAA")],
        "bars against the session before",
    ),
}  # fmt: skip


BUT_STALENESS = "select to_jsonb(p) - 'is_stale' from serving.latest_predictions p order by symbol, horizon"


@pytest.mark.parametrize(("spoil", "check"), TOO_MUCH.values(), ids=TOO_MUCH)
def test_too_many_bad_rows_stop_the_night_and_leave_readers_alone(
    market: Path, reader_dsn: str, capsys: pytest.CaptureFixture[str], spoil: Callable[[Frame], Frame], check: str
) -> None:
    assert main([*NIGHT, *EVENING_BEFORE]) == 0
    before = seen(reader_dsn, BUT_STALENESS)
    write(market, spoil(bars()))
    assert main(NIGHT) == 2
    assert f"night: Found {check}" in capsys.readouterr().err
    assert seen(reader_dsn, BUT_STALENESS) == before
    assert seen(reader_dsn, "select distinct is_stale from serving.latest_predictions") == [(True,)]
    assert seen(reader_dsn, "select max(ts)::date from serving.bars") == [(pd.Timestamp("2014-08-28").date(),)]
    assert seen(reader_dsn, "select check_name from serving.data_quality where severity = 'fail' and not passed") == [
        (check,)
    ]

    write(market, bars())
    assert main(NIGHT) == 0
    assert seen(reader_dsn, "select distinct as_of::date, is_stale from serving.latest_predictions") == [
        (LAST.date(), False)
    ]


A_FEW: dict[str, tuple[Callable[[Frame], Frame], str]] = {
    "a bar on a holiday": (_holiday, "date without a session"),
    "a negative price": (
        lambda f: f.assign(low=f["low"].where(f.index != 5, -1.0)),
        "low that is no positive number",
    ),
    "a missing price": (lambda f: f.assign(open=f["open"].where(f.index != 5)), "missing open"),
    "a high below the close": (
        lambda f: f.assign(high=f["high"].where(f.index != 5, 0.5 * f["close"])),
        "high below",
    ),
}


@pytest.mark.parametrize(("spoil", "reason"), A_FEW.values(), ids=A_FEW)
def test_a_few_bad_rows_go_to_quarantine_and_the_rest_goes_on(
    market: Path, reader_dsn: str, spoil: Callable[[Frame], Frame], reason: str
) -> None:
    write(market, spoil(bars()))
    assert main(NIGHT) == 0
    assert len(seen(reader_dsn)) == len(SYMBOLS)
    reasons = [row[0] for row in seen(reader_dsn, "select reason from serving.quarantine")]
    assert reasons
    assert all(reason in found for found in reasons)


def test_a_stray_row_after_the_last_session_does_not_move_the_night(market: Path, reader_dsn: str) -> None:
    stray = bars().query("symbol == 'AAA'").tail(1).assign(date=pd.Timestamp("2014-08-30"))
    write(market, pd.concat([bars(), stray]))
    assert main(NIGHT) == 0
    assert seen(reader_dsn, "select distinct as_of::date from serving.latest_predictions") == [(LAST.date(),)]


@pytest.mark.parametrize(
    ("known_at", "said"),
    [
        ("2020-01-01T00:00:00+00:00", "no bars up to 2014-08-29"),
        ("2062-01-01T00:00:00+00:00", "an instant that has passed"),
        ("2026-01-01", "without a zone"),
    ],
)
def test_a_replay_of_what_nobody_knew_is_refused(
    market: Path, reader_dsn: str, capsys: pytest.CaptureFixture[str], known_at: str, said: str
) -> None:
    assert main(NIGHT) == 0
    before = seen(reader_dsn)
    assert main(["predict", "--known-at", known_at]) == 2
    assert said in capsys.readouterr().err.strip().splitlines()[-1]
    assert seen(reader_dsn) == before


def test_rows_twice_and_out_of_order_make_no_difference(market: Path, reader_dsn: str) -> None:
    write(market, pd.concat([bars(), bars().tail(50)]).sample(frac=1, random_state=1))
    assert main(NIGHT) == 0
    shuffled = seen(reader_dsn, "select symbol, p_up, price from serving.latest_predictions order by symbol")
    publications = seen(reader_dsn, "select count(*) from serving.publications")
    write(market, bars())
    assert main(NIGHT) == 0
    assert seen(reader_dsn, "select symbol, p_up, price from serving.latest_predictions order by symbol") == shuffled
    assert seen(reader_dsn, "select count(*) from serving.publications") == publications


def test_a_symbol_with_ten_bars_is_left_out_and_the_others_are_served(market: Path, reader_dsn: str) -> None:
    short = bars().query("symbol == 'AAA'").tail(10).assign(symbol="NEW")
    write(market, pd.concat([bars(), short]))
    assert main(NIGHT) == 0
    assert [row[0] for row in seen(reader_dsn, "select symbol from serving.latest_predictions order by 1")] == [
        *SYMBOLS
    ]


def test_only_symbols_with_ten_bars_cannot_be_trained_on(market: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(market, bars().groupby("symbol").tail(10))
    assert main(NIGHT) == 2
    said = capsys.readouterr().err
    assert "expected at least" in said
    assert "Give a longer history" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["night", "--as-of", "2062-03-01"], "lies in the future"),
        (["night", "--as-of", "2014-07-04"], "holds no session"),
        (["night", "--as-of", "yesterday"], "'yesterday'"),
        (["night", "--as-of", "2015-03-02"], "a last session of 2014-08-29"),
        (["train", "--horizon", "9d"], "horizon '9d'; expected one of 1d"),
        (["predict", "--as-of", "2014-08-27"], "no accepted bars of equity for 2014-08-27"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_night_that_cannot_be_is_refused_in_one_line(
    market: Path, reader_dsn: str, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(NIGHT) == 0
    before = seen(reader_dsn)
    capsys.readouterr()
    assert main(arguments) == 2
    last_line = capsys.readouterr().err.strip().splitlines()[-1]
    assert last_line.startswith(f"{arguments[0]}: Found ")
    assert said in last_line
    assert seen(reader_dsn) == before


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("AFTERBELL_PROVIDER", "bloomberg", "'bloomberg' for AFTERBELL_PROVIDER"),
        ("AFTERBELL_HORIZONS", "1d,90d", "AFTERBELL_HORIZONS"),
        ("AFTERBELL_CALENDAR", "XMOON", "the calendar 'XMOON'"),
        ("AFTERBELL_FILES_PATH", "/nowhere/at/all", "/nowhere/at/all"),
        ("AFTERBELL_PROVIDER", "sample", "one provider per warehouse"),
        ("AFTERBELL_PROVIDER", "polygon", "one provider per warehouse"),
        ("AFTERBELL_SYMBOLS", "ZZZ", "Check AFTERBELL_SYMBOLS"),
        ("AFTERBELL_MLFLOW_URI", "http://127.0.0.1:9", "MLflow"),
        ("AFTERBELL_WAREHOUSE_DSN", "postgresql://afterbell:secret@127.0.0.1:9/afterbell", "no answer from Postgres"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_and_harms_nothing(
    market: Path,
    reader_dsn: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
    said: str,
) -> None:
    monkeypatch.setenv("POLYGON_API_KEY", "key")
    assert main(NIGHT) == 0
    before = seen(reader_dsn)
    capsys.readouterr()
    with monkeypatch.context() as changed:
        changed.setenv(name, value)
        settings.cache_clear()
        assert main(NIGHT) == 2
    last_line = capsys.readouterr().err.strip().splitlines()[-1]
    assert said in last_line
    assert "secret" not in last_line
    assert seen(reader_dsn) == before
    settings.cache_clear()
    assert main(NIGHT) == 0
    assert len(seen(reader_dsn)) == len(SYMBOLS)


def test_an_empty_file_and_a_missing_column_name_the_file(
    market: Path, reader_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for content, said in [("", "empty"), ("symbol,date,open\nAAA,2014-08-29,1\n", "high")]:
        (market / "bars.csv").write_text(content)
        assert main(NIGHT) == 2
        last_line = capsys.readouterr().err.strip().splitlines()[-1]
        assert "bars.csv" in last_line
        assert said in last_line
    assert seen(reader_dsn) == []
    write(market, bars())
    assert main(NIGHT) == 0
