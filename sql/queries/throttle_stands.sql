-- A grant still holds after its wait unless a pause began, or the circuit opened, since it was given. A grant on trial
-- has itself left the circuit open for the others, until the `open_until` that it was given.
select
    coalesce(paused_until > greatest(%(leaves_at)s, clock_timestamp()), false) as paused,
    failures >= %(failures)s and open_until is distinct from %(open_until)s as opened
from market.throttles
where account = %(account)s;
