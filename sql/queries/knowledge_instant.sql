-- Later than everything known so far, even when the clock was set back.
select greatest(
    clock_timestamp(), coalesce(max(known_at), '-infinity') + interval '1 microsecond'
) as known_at
from market.ingest_runs;
