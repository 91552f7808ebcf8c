update market.bars b
set
    open = i.open,
    high = i.high,
    low = i.low,
    close = i.close,
    volume = i.volume,
    known_at = %(known_at)s,
    ingest_id = %(ingest_id)s
from incoming_bars i
where b.timeframe = %(timeframe)s
    and b.symbol = i.symbol
    and b.ts = i.ts
    and (b.open, b.high, b.low, b.close, b.volume) is distinct from (i.open, i.high, i.low, i.close, i.volume);
