-- The years of bars that are in use, each a partition of its timeframe's.
select
    substring(part.relname from '^bars_(.+)_\d+$') as timeframe,
    substring(part.relname from '_(\d+)$')::integer as year
from pg_inherits of_frame
join pg_inherits of_bars on of_bars.inhrelid = of_frame.inhparent
join pg_class part on part.oid = of_frame.inhrelid
where of_bars.inhparent = 'market.bars'::regclass
order by timeframe, year;
