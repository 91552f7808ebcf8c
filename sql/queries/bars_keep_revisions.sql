insert into market.bar_revisions (
    timeframe, symbol_id, ts, open, high, low, close, volume, known_at, ingest_id, superseded_at
)
select b.timeframe, b.symbol_id, b.ts, b.open, b.high, b.low, b.close, b.volume, b.known_at, b.ingest_id, i.known_at
from incoming_bars i
join market.bars b using (timeframe, symbol_id, ts);
