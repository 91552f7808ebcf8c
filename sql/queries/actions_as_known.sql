-- The night comes from night_settings. An action counts from the session of its ex-date.
with night as (
    select
        current_setting('afterbell.as_of')::timestamptz as as_of,
        current_setting('afterbell.known_at')::timestamptz as known_at
)
select a.symbol, a.ex_date::timestamp as ex_date, a.kind, a.value
from market.actions a, night n
where a.ex_date <= (n.as_of at time zone 'UTC')::date
    and a.known_at <= n.known_at
    and coalesce(a.superseded_at > n.known_at, true);
