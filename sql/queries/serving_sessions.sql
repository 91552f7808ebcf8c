-- Bars and refused rows of each of the last sessions up to a night.
with counted as (
    select serving.session_of(ts) as session, count(*) as bars
    from serving.bars
    where timeframe = '1d'
        and ts > %(as_of)s::timestamptz - make_interval(days => %(days)s)
        and ts <= %(as_of)s::timestamptz
    group by ts
),
refused as (
    select session, count(*) as quarantined
    from serving.quarantine
    where session > serving.session_of(%(as_of)s::timestamptz) - %(days)s
        and session <= serving.session_of(%(as_of)s::timestamptz)
    group by 1
)
select session, coalesce(c.bars, 0) as bars, coalesce(r.quarantined, 0) as quarantined
from counted c
full join refused r using (session)
order by session;
