-- The night comes from night_settings.
with night as (
    select
        current_setting('afterbell.as_of')::timestamptz as as_of,
        current_setting('afterbell.known_at')::timestamptz as known_at,
        current_setting('afterbell.timeframe') as timeframe
)
select b.symbol, b.ts, b.open, b.high, b.low, b.close, b.volume
from market.bars b, night n
where b.timeframe = n.timeframe and b.ts <= n.as_of and b.known_at <= n.known_at
union all
select r.symbol, r.ts, r.open, r.high, r.low, r.close, r.volume
from market.bar_revisions r, night n
where r.timeframe = n.timeframe
    and r.ts <= n.as_of
    and r.known_at <= n.known_at
    and r.superseded_at > n.known_at;
