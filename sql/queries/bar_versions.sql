-- What was learned about the bars of a year by an instant: how many versions of them, the last of these when, and how
-- many bars that makes.
with believed as (
    select count(*) as versions, max(known_at) as last_known_at
    from market.bars
    where timeframe = %(timeframe)s
        and ts >= make_timestamptz(%(year)s, 1, 1, 0, 0, 0, 'UTC')
        and ts < make_timestamptz(%(year)s + 1, 1, 1, 0, 0, 0, 'UTC')
        and known_at <= %(known_at)s
),
superseded as (
    select
        count(*) as versions,
        max(known_at) as last_known_at,
        count(*) filter (where superseded_at > %(known_at)s) as believed_then
    from market.bar_revisions
    where timeframe = %(timeframe)s
        and ts >= make_timestamptz(%(year)s, 1, 1, 0, 0, 0, 'UTC')
        and ts < make_timestamptz(%(year)s + 1, 1, 1, 0, 0, 0, 'UTC')
        and known_at <= %(known_at)s
)
select
    b.versions + s.versions as versions,
    greatest(b.last_known_at, s.last_known_at) as last_known_at,
    b.versions + s.believed_then as bars
from believed b
cross join superseded s;
