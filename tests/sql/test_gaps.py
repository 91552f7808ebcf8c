from __future__ import annotations

from contextlib import closing

import pandas as pd
import psycopg2
from psycopg2.extras import execute_values

from ml.equity import sessions
from ml.equity.gaps import gaps
from ml.frames import QUARANTINE
from tests.equity.panels import CALENDAR, bars_of, closes
from tests.servers import WarehouseAddress


def test_gaps_in_sql_are_those_of_python(warehouse: WarehouseAddress) -> None:
    bars = bars_of(A=[1.0, None, None, 4.0, 5.0, None], B=[1.0, 2.0, 3.0, 4.0, None, 6.0])
    night = closes(10)[-1]
    halted = {"symbol": "A", "date": pd.Timestamp("2011-01-04"), "volume": 0.0, "reason": "halt"}
    quarantined = QUARANTINE.cast(pd.DataFrame([halted]).reindex(columns=list(QUARANTINE.columns)))
    with closing(psycopg2.connect(warehouse.dsn)) as writer, writer, writer.cursor() as cursor:
        cursor.execute("select market.make_partitions('1d', '2011-01-01', '2011-02-01')")
        cursor.execute(
            """
            insert into market.symbols (symbol_id, symbol) overriding system value values (1, 'A'), (2, 'B');
            insert into market.ingest_runs (
                ingest_id, domain, provider, source, as_of, window_start, window_end, status, known_at
            ) overriding system value
            values (1, 'equity', 'files', 'a folder', now(), '2011-01-03', '2011-01-10', 'accepted', now());
            insert into market.quarantine (symbol, session, volume, reason, first_ingest_id, last_ingest_id)
            values ('A', '2011-01-04', 0, 'halt', 1, 1)
            """
        )
        rows = [
            ("1d", {"A": 1, "B": 2}[symbol], ts.to_pydatetime(), price, price, price, price, 1000, "2011-03-01", 1)
            for symbol, ts, price in zip(bars["symbol"], bars["ts"], bars["close"].tolist(), strict=True)
        ]
        execute_values(cursor, "insert into market.bars values %s", rows)
        table = sessions.table(CALENDAR, closes(1)[0].date(), night.date())
        execute_values(cursor, "insert into market.sessions values %s", list(table.itertuples(index=False, name=None)))
    with closing(psycopg2.connect(warehouse.reader_dsn)) as reader, reader.cursor() as cursor:
        cursor.execute("select symbol, session, kind from serving.gaps order by symbol, session")
        shown = cursor.fetchall()
        cursor.execute("select is_early_close, count(*) from serving.sessions group by 1")
        assert cursor.fetchall() == [(False, 10)]
    wanted = gaps(bars, quarantined, CALENDAR)
    assert shown == [(symbol, day.date(), kind) for symbol, day, kind in wanted.to_numpy()]
    assert [kind for _, _, kind in shown] == ["halt", "missing", "missing"]
