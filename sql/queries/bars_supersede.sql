-- The superseded bars, all between two instants, leave for the revisions, where they were believed until now.
with gone as (
    delete from market.bars b
    using superseded_bars s
    where b.timeframe = %(timeframe)s
        and b.ts between %(first)s and %(last)s -- so that only the years of these bars are looked at
        and b.symbol_id = s.symbol_id
        and b.ts = s.ts
    returning b.*
)
insert into market.bar_revisions (
    timeframe, symbol_id, ts, open, high, low, close, volume, known_at, ingest_id, superseded_at
)
select timeframe, symbol_id, ts, open, high, low, close, volume, known_at, ingest_id, %(known_at)s
from gone;
