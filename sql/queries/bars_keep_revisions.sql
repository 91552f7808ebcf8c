insert into market.bar_revisions (
    timeframe, symbol, ts, open, high, low, close, volume, known_at, ingest_id, superseded_at
)
select b.timeframe, b.symbol, b.ts, b.open, b.high, b.low, b.close, b.volume, b.known_at, b.ingest_id, %(known_at)s
from incoming_bars i
join market.bars b on b.timeframe = %(timeframe)s and b.symbol = i.symbol and b.ts = i.ts
where (b.open, b.high, b.low, b.close, b.volume) is distinct from (i.open, i.high, i.low, i.close, i.volume);
