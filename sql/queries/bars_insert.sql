insert into market.bars (timeframe, symbol, ts, open, high, low, close, volume, known_at, ingest_id)
select %(timeframe)s, i.symbol, i.ts, i.open, i.high, i.low, i.close, i.volume, %(known_at)s, %(ingest_id)s
from incoming_bars i
where not exists (
    select 1 from market.bars b where b.timeframe = %(timeframe)s and b.symbol = i.symbol and b.ts = i.ts
);
