-- The bars since an instant as they were believed at another, in the binary format.
copy (
    select symbol_id, ts, open, high, low, close, volume
    from market.bars_as_known(%(timeframe)s, %(as_of)s, %(known_at)s)
    where ts >= %(since)s
) to stdout with (format binary);
