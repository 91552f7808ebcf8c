-- What is believed now about all symbols between two instants, in the binary format.
copy (
    select symbol_id, ts, open, high, low, close, volume
    from market.bars
    where timeframe = %(timeframe)s and ts between %(first)s and %(last)s
) to stdout with (format binary);
