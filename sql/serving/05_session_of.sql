-- The calendar day of the session that closed at `ts`: what the date of `ts` is not for markets that close at midnight.
create or replace function serving.session_of(ts timestamptz)
returns date
language sql
immutable
parallel safe
security definer
set search_path = ''
as $$
    select market.session_of(session_of.ts)
$$;
