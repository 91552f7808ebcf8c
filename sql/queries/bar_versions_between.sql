-- How many versions of the bars before an instant were learned after a first instant and by a second one.
with versions as (
    select timeframe, ts, known_at from market.bars
    union all
    select timeframe, ts, known_at from market.bar_revisions
)
select count(*) as versions
from versions
where timeframe = %(timeframe)s
    and ts < %(before)s
    and known_at > %(known_after)s
    and known_at <= %(known_at)s;
