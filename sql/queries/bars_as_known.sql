-- A year's bars as they were believed at an instant, in the binary format.
copy (
    select symbol_id, ts, open, high, low, close, volume
    from market.bars_as_known(%(timeframe)s, %(as_of)s, %(known_at)s)
    where ts >= make_timestamptz(%(year)s, 1, 1, 0, 0, 0, 'UTC')
        and ts < make_timestamptz(%(year)s + 1, 1, 1, 0, 0, 0, 'UTC')
) to stdout with (format binary);
