insert into market.sessions (calendar, session, opens_at, closes_at, is_early_close)
select calendar, session::date, opens_at, closes_at, is_early_close
from incoming_sessions
on conflict (calendar, session) do update
set opens_at = excluded.opens_at, closes_at = excluded.closes_at, is_early_close = excluded.is_early_close
where (sessions.opens_at, sessions.closes_at, sessions.is_early_close)
    is distinct from (excluded.opens_at, excluded.closes_at, excluded.is_early_close);
