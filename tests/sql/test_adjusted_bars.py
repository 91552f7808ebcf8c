"""What SQL shows adjusted is what Python computes, for every way to adjust and as of any instant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import numpy as np
import pandas as pd
import psycopg2
import pytest
from psycopg2 import errors
from psycopg2.extensions import connection as Connection
from psycopg2.extras import execute_values

from ml.equity.adjustment import Adjustment, adjust
from ml.equity.identity import label_actions, label_bars
from ml.frames import ACTIONS, BARS, TICKERS
from tests.equity.panels import CALENDAR, actions_of, closes, random_bars
from tests.servers import WarehouseAddress

Row = tuple[Any, ...]

FIRST_WORD, SECOND_WORD = pd.Timestamp("2012-01-01", tz="UTC"), pd.Timestamp("2012-02-01", tz="UTC")
DAYS = closes(60)
NIGHT = DAYS[59]
PANEL = random_bars(["AA", "NEW", "OLD", "TWICE"], 60, seed=3)
"""OLD was renamed NEW on day 30; TWICE changed its owner on day 20. A fifth of the sessions have no bar."""


def session(day: int) -> pd.Timestamp:
    return DAYS[day].tz_localize(None).normalize()


def raw_bars() -> pd.DataFrame:
    day = PANEL["ts"].map({ts: i for i, ts in enumerate(DAYS)})
    early = (PANEL["symbol"] == "OLD") & (day >= 30) | (PANEL["symbol"] == "NEW") & (day < 30)
    return BARS.check(BARS.cast(PANEL[~early & (PANEL.index % 5 != 2)]))


BARS_NOW = raw_bars()
TICKERS_NOW = TICKERS.cast(
    pd.DataFrame(
        [
            ("AA", 1, pd.NaT, pd.NaT),
            ("NEW", 2, session(30), pd.NaT),
            ("OLD", 2, pd.NaT, session(30)),
            ("TWICE", 3, pd.NaT, session(20)),
            ("TWICE", 4, session(22), pd.NaT),
        ],
        columns=list(TICKERS.columns),
    )
)
SECOND_SPLIT = ("AA", str(session(50).date()), "split", 0.5)
ACTIONS_NOW = actions_of(
    ("AA", str(session(10).date()), "split", 2.0),
    ("AA", str(session(10).date()), "dividend", 0.4),
    ("AA", str(session(10).date()), "special_dividend", 0.8),
    ("AA", str(session(20).date()), "dividend", 500.0),
    ("AA", str(session(21).date()), "split", 1.5),
    ("AA", str(session(22).date()), "dividend", 0.5),
    ("AA", str(session(23).date()), "spin_off", 7.0),
    ("AA", str((session(25) + pd.Timedelta(days=1)).date()), "dividend", 0.3),
    ("AA", str(session(27).date()), "split", 1.2),
    ("AA", str(session(28).date()), "dividend", 0.6),
    ("AA", str(session(40).date()), "split", 3.0),
    ("AA", str(session(43).date()), "split", 3.0),  # recorded twice: the price does not move
    SECOND_SPLIT,
    ("AA", "2030-01-02", "split", 9.0),
    ("AA", "1999-01-04", "split", 9.0),
    ("OLD", str(session(12).date()), "split", 3.0),
    ("OLD", str(session(30).date()), "split", 1.7),  # on the day of the rename
    ("OLD", str(session(30).date()), "dividend", 0.2),
    ("NEW", str(session(30).date()), "dividend", 0.3),  # the same one, told under both tickers
    ("NEW", str(session(40).date()), "dividend", 0.7),
    ("NEW", str(session(5).date()), "split", 9.0),
    ("TWICE", str(session(15).date()), "split", 4.0),
    ("TWICE", str(session(20).date()), "split", 6.0),  # nobody's: its owner left for no other ticker
    ("TWICE", str(session(25).date()), "split", 5.0),
    ("TWICE", str(session(27).date()), "split", 1.02),
    ("TWICE", str(session(29).date()), "split", 1.02),
)
BELIEVED_FIRST = ("AA", session(8))
"""The bar that was first believed at half its close."""


def fill(connection: Connection) -> None:
    with connection.cursor() as cursor:
        cursor.execute("select market.make_partitions('1d', %s, %s)", (DAYS[0].to_pydatetime(), NIGHT.to_pydatetime()))
        for table, columns, rows in _tables():
            execute_values(cursor, f"insert into {table} ({columns}) overriding system value values %s", rows)


def _tables() -> Iterator[tuple[str, str, list[Row]]]:
    symbols = {symbol: i for i, symbol in enumerate(("AA", "NEW", "OLD", "TWICE"), start=1)}
    yield "market.symbols", "symbol_id, symbol", [(number, symbol) for symbol, number in symbols.items()]
    yield "market.instruments", "instrument_id", [(number,) for number in (1, 2, 3, 4)]
    spans = zip(
        TICKERS_NOW["symbol"],
        TICKERS_NOW["instrument_id"].tolist(),
        TICKERS_NOW["valid_from"].dt.date.astype(object).where(TICKERS_NOW["valid_from"].notna(), "-infinity"),
        TICKERS_NOW["valid_to"].dt.date.astype(object).where(TICKERS_NOW["valid_to"].notna(), "infinity"),
        strict=True,
    )
    columns = "symbol_id, instrument_id, valid_from, valid_to, known_at"
    yield "market.tickers", columns, [(symbols[s], i, start, end, FIRST_WORD) for s, i, start, end in spans]
    price = "open, high, low, close, volume"
    corrected = (BARS_NOW["symbol"] == BELIEVED_FIRST[0]) & (BARS_NOW["ts"] == DAYS[8])
    bars = [
        ("1d", symbols[s], ts.to_pydatetime(), *values, SECOND_WORD if again else FIRST_WORD, 1)
        for s, ts, *values, again in BARS_NOW.assign(again=corrected).itertuples(index=False)
    ]
    yield "market.bars", f"timeframe, symbol_id, ts, {price}, known_at, ingest_id", bars
    superseded = [
        (*row[:3], row[3], row[4], row[5] / 2, row[6] / 2, row[7], FIRST_WORD, 1, SECOND_WORD)
        for row in bars
        if row[8] == SECOND_WORD
    ]
    assert len(superseded) == 1
    yield "market.bar_revisions", f"timeframe, symbol_id, ts, {price}, known_at, ingest_id, superseded_at", superseded
    run = ("equity", "files", "a folder", NIGHT.to_pydatetime(), DAYS[0].date(), NIGHT.date(), "accepted", FIRST_WORD)
    yield (
        "market.ingest_runs",
        "domain, provider, source, as_of, window_start, window_end, status, known_at, ingest_id",
        [(*run, 1)],
    )
    second = [tuple(row) == (SECOND_SPLIT[0], session(50), *SECOND_SPLIT[2:]) for row in ACTIONS_NOW.to_numpy()]
    actions = ACTIONS_NOW.assign(known_at=[SECOND_WORD if late else FIRST_WORD for late in second])
    yield (
        "market.actions",
        "symbol, ex_date, kind, value, known_at, ingest_id",
        [(*row, 1) for row in actions.itertuples(index=False)],
    )


@pytest.fixture(scope="module")
def filled(new_warehouse: Callable[[], WarehouseAddress]) -> WarehouseAddress:
    warehouse = new_warehouse()
    with closing(psycopg2.connect(warehouse.dsn)) as writer, writer:
        fill(writer)
    return warehouse


@pytest.fixture
def reader(filled: WarehouseAddress) -> Iterator[Connection]:
    with closing(psycopg2.connect(filled.reader_dsn)) as connection:
        connection.autocommit = True
        yield connection


def asked(reader: Connection, text: str, *values: Any) -> list[Row]:
    with reader.cursor() as cursor:
        cursor.execute(text, values)
        return cursor.fetchall()


def by_python(as_of: pd.Timestamp, known_at: pd.Timestamp, adjustment: Adjustment) -> pd.DataFrame:
    """ADJUSTED bars by label, scaled back so that each symbol's last price stays."""
    bars, actions = BARS_NOW[BARS_NOW["ts"] <= as_of].reset_index(drop=True), ACTIONS_NOW
    if known_at < SECOND_WORD:
        wrong = (bars["symbol"] == BELIEVED_FIRST[0]) & (bars["ts"] == DAYS[8])
        bars = bars.assign(**{c: bars[c].where(~wrong, bars[c] / 2) for c in ("low", "close")})
        actions = actions[(actions["ex_date"] != session(50)) | (actions["symbol"] != "AA")].reset_index(drop=True)
    day = as_of.tz_localize(None).normalize()
    bars = label_bars(bars, TICKERS_NOW, CALENDAR, as_of)
    actions = ACTIONS.check(label_actions(actions[actions["ex_date"] <= day], TICKERS_NOW, day))
    got = adjust(bars, actions, CALENDAR, adjustment)
    last = got.groupby("symbol").transform("last")
    scale = last["raw_close"] / last["close"]
    prices = ["open", "high", "low", "close"]
    got[prices] = got[prices].mul(scale, axis=0)
    shares = bars["volume"].where(bars["volume"] > 0, 1) / got["volume"].where(got["volume"] > 0, 1)
    traded = shares.where(got["volume"] > 0).groupby(got["symbol"]).transform("last")
    return got.assign(volume=got["volume"] * traded)


LABELS_NOW = ["AA", "NEW", "TWICE", "TWICE-201101", "TWICE-unowned"]
WAYS: list[Adjustment] = ["none", "splits", "total_return"]
WHEN = [(NIGHT, SECOND_WORD), (NIGHT, FIRST_WORD), (DAYS[24], SECOND_WORD), (DAYS[15], FIRST_WORD)]


@pytest.mark.parametrize("adjustment", WAYS)
@pytest.mark.parametrize(("as_of", "known_at"), WHEN)
def test_bars_adjusted_by_sql_are_those_of_python(
    reader: Connection, adjustment: Adjustment, as_of: pd.Timestamp, known_at: pd.Timestamp
) -> None:
    wanted = by_python(as_of, known_at, adjustment)
    for symbol, own in wanted.groupby("symbol"):
        got = asked(reader, "select * from serving.adjusted_bars(%s, %s, %s, %s)", symbol, adjustment, as_of, known_at)
        assert [row[0] for row in got] == own["ts"].dt.to_pydatetime().tolist()
        numbers = np.array([row[1:] for row in got])
        expected = own[["open", "high", "low", "close", "volume", "raw_close"]].to_numpy()
        np.testing.assert_allclose(numbers, expected, rtol=1e-12)
        # The last price is the one that was traded.
        assert got[-1][4] == got[-1][6]


def test_the_labels_are_those_of_python(reader: Connection) -> None:
    got = asked(reader, "select distinct symbol from serving.bars_total_return order by symbol")
    assert (
        [symbol for (symbol,) in got] == LABELS_NOW == sorted(by_python(NIGHT, SECOND_WORD, "none")["symbol"].unique())
    )
    assert asked(reader, "select * from serving.adjusted_bars('OLD')") == []
    assert asked(reader, "select count(*) from serving.adjusted_bars('OLD', 'none', %s)", DAYS[24]) == [(20,)]


@pytest.mark.parametrize(
    ("view", "adjustment"), [("bars_split_adjusted", "splits"), ("bars_total_return", "total_return")]
)
def test_the_views_show_what_is_believed_now(reader: Connection, view: str, adjustment: str) -> None:
    columns = "ts, open, high, low, close, volume, raw_close"
    for symbol in LABELS_NOW:
        shown = asked(reader, f"select {columns} from serving.{view} where symbol = %s order by ts", symbol)
        assert shown
        assert shown == asked(reader, "select * from serving.adjusted_bars(%s, %s)", symbol, adjustment)


def test_asking_for_the_past_leaves_the_present_alone(filled: WarehouseAddress) -> None:
    with closing(psycopg2.connect(filled.reader_dsn)) as reader:
        everything = "select count(*), sum(close) from serving.bars_total_return"
        before = asked(reader, everything)
        past = asked(reader, "select count(*) from serving.adjusted_bars('AA', as_of => %s, known_at => %s)", *WHEN[3])
        assert past == [(13,)]
        assert asked(reader, everything) == before


def test_an_unknown_way_to_adjust_is_refused_with_the_known_ones(reader: Connection) -> None:
    with pytest.raises(errors.InvalidParameterValue, match="'dividends'; expected none, splits or total_return"):
        asked(reader, "select * from serving.adjusted_bars('AA', 'dividends')")
    with pytest.raises(errors.InvalidParameterValue, match="expected none, splits or total_return"):
        asked(reader, "select * from serving.adjusted_bars('AA', null)")


def test_reading_one_symbol_touches_no_bars_of_others(filled: WarehouseAddress) -> None:
    with closing(psycopg2.connect(filled.dsn)) as owner, owner.cursor() as cursor:
        cursor.execute(
            """
            insert into market.symbols (symbol_id, symbol) overriding system value
            select 100 + i, 'S' || i from generate_series(1, 500) i;
            insert into market.bars
            select '1d', s.symbol_id, b.ts, b.open, b.high, b.low, b.close, b.volume, b.known_at, b.ingest_id
            from market.bars b, market.symbols s
            where b.symbol_id = 1 and s.symbol_id > 100;
            analyze
            """
        )
        for view in ("bars_split_adjusted", "bars_total_return"):
            cursor.execute(f"explain select * from serving.{view} where symbol = 'S7'")
            plan = "\n".join(line for (line,) in cursor.fetchall())
            assert "Seq Scan on bars_1d_2011" not in plan, plan
            assert "bars_1d_2011_pkey" in plan
        owner.rollback()
