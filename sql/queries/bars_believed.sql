-- What is believed now about all symbols between two instants.
select symbol_id, ts, open, high, low, close, volume
from market.bars
where timeframe = (select current_setting('afterbell.timeframe'))
    and ts >= (select current_setting('afterbell.first')::timestamptz)
    and ts <= (select current_setting('afterbell.last')::timestamptz);
