-- The night comes as session settings. An action counts from the session of its ex-date.
select a.symbol, a.ex_date::timestamp as ex_date, a.kind, a.value
from market.actions a
where a.ex_date <= market.session_of(current_setting('afterbell.as_of')::timestamptz)
    and a.known_at <= current_setting('afterbell.known_at')::timestamptz
    and coalesce(a.superseded_at > current_setting('afterbell.known_at')::timestamptz, true);
