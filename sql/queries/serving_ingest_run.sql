-- One delivery with its counts: by its number, by a part of the attempt that asked for it, or else the last one.
select
    ingest_id, domain, kind, provider, source, timeframe, as_of, window_start, window_end,
    cardinality(symbols) as symbols, attempt, status, requested_at, known_at,
    received_rows, inserted_rows, restated_rows, unchanged_rows, quarantined_rows, received_digest
from serving.ingest_runs
where (%(ingest_id)s::bigint is null or ingest_id = %(ingest_id)s)
    and (%(attempt)s::text is null or strpos('/' || attempt || '/', '/' || %(attempt)s || '/') > 0)
order by ingest_id desc
limit 1;
