-- The calendar day of the session that closed at `ts`, for every calendar that exchange_calendars knows (a test asks them
-- all). A 24 h market closes at midnight, which is already the next day in UTC; Wellington's half-days close at 23:45 of
-- the day before.
create or replace function market.session_of(ts timestamptz)
returns date
language sql
immutable
parallel safe
return (
    ts at time zone 'UTC'
    + case (ts at time zone 'UTC')::time when '00:00' then interval '-1 microsecond' else interval '15 minutes' end
)::date;
