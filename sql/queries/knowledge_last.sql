-- The instant of the last delivery that was taken in. They are taken in one at a time, each later than all before it.
select max(known_at) as known_at
from market.ingest_runs
where status = 'accepted';
