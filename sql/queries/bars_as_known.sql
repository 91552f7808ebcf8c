select symbol_id, ts, open, high, low, close, volume
from market.bars_as_known(
    current_setting('afterbell.timeframe'),
    current_setting('afterbell.as_of')::timestamptz,
    current_setting('afterbell.known_at')::timestamptz
);
