-- Every delivery of a source: what was asked, what came, and what became of it.
create or replace view serving.ingest_runs as
select
    ingest_id,
    domain,
    kind,
    provider,
    source,
    timeframe,
    as_of,
    window_start,
    window_end,
    symbols,
    attempt,
    status,
    requested_at,
    known_at,
    received_rows,
    inserted_rows,
    restated_rows,
    unchanged_rows,
    quarantined_rows,
    received_digest
from market.ingest_runs;
