-- What is believed now about some symbols between two instants, in the binary format.
copy (
    select b.symbol_id, b.ts, b.open, b.high, b.low, b.close, b.volume
    from unnest(%(symbol_ids)s::integer[]) as asked (symbol_id)
    join market.bars b using (symbol_id)
    where b.timeframe = %(timeframe)s and b.ts between %(first)s and %(last)s
) to stdout with (format binary);
