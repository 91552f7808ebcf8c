update market.bars b
set
    open = i.open,
    high = i.high,
    low = i.low,
    close = i.close,
    volume = i.volume,
    known_at = i.known_at,
    ingest_id = i.ingest_id
from incoming_bars i
where b.timeframe = i.timeframe and b.symbol_id = i.symbol_id and b.ts = i.ts;
