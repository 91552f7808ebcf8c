-- An action counts from the session of its ex-date.
select a.symbol, a.ex_date::timestamp as ex_date, a.kind, a.value
from market.actions a
where a.ex_date <= market.session_of(%(as_of)s)
    and a.known_at <= %(known_at)s
    and coalesce(a.superseded_at > %(known_at)s, true);
