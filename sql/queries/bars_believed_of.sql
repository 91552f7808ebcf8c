-- What is believed now about some symbols between two instants.
select b.symbol_id, b.ts, b.open, b.high, b.low, b.close, b.volume
from unnest(string_to_array(current_setting('afterbell.symbol_ids'), ',')::integer[]) as asked (symbol_id)
join market.bars b using (symbol_id)
where b.timeframe = (select current_setting('afterbell.timeframe'))
    and b.ts >= (select current_setting('afterbell.first')::timestamptz)
    and b.ts <= (select current_setting('afterbell.last')::timestamptz);
