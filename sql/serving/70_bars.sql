-- Raw bars as they are believed now, each with the instrument that was behind its ticker that day.
create or replace view serving.bars as
select
    s.symbol,
    b.timeframe,
    b.ts,
    b.open,
    b.high,
    b.low,
    b.close,
    b.volume,
    b.known_at,
    t.instrument_id
from market.bars b
join market.symbols s using (symbol_id)
left join market.tickers t
    on t.symbol_id = b.symbol_id
        and t.superseded_at is null
        and market.session_of(b.ts) >= t.valid_from
        and market.session_of(b.ts) < t.valid_to;
