-- The archived years between two days (of UTC, both included) come back into use; one row for each.
with archived as materialized (
    select substring(relname from '\d+$')::integer as year
    from pg_class
    where relnamespace = 'archive'::regnamespace
        and relkind = 'r'
        and relname ~ ('^bars_' || %(timeframe)s || '_\d+$')
)
select market.attach_bars(%(timeframe)s, year)
from archived
where year between extract(year from %(first)s::date) and extract(year from %(last)s::date);
