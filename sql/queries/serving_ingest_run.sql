-- One delivery with its counts: by its number, by the Airflow run that asked for it (DAG/run), or else the last one.
select
    ingest_id, domain, kind, provider, source, timeframe, as_of, window_start, window_end,
    cardinality(symbols) as symbols, attempt, status, requested_at, known_at,
    received_rows, inserted_rows, restated_rows, unchanged_rows, quarantined_rows, received_digest
from serving.ingest_runs
where (%(ingest_id)s::bigint is null or ingest_id = %(ingest_id)s)
    and (%(attempt)s::text is null or starts_with(attempt || '/', %(attempt)s || '/'))
order by ingest_id desc
limit 1;
