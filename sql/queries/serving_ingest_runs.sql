-- The last deliveries, the newest first, each with how many of its checks did not pass: of one Airflow run, or of all.
with recent as (
    select
        ingest_id, kind, status, as_of, requested_at, window_start, window_end,
        received_rows, inserted_rows, restated_rows, quarantined_rows
    from serving.ingest_runs
    where %(attempt)s::text is null or starts_with(attempt || '/', %(attempt)s || '/')
    order by ingest_id desc
    limit %(runs)s
)
select
    r.*,
    count(*) filter (where not q.passed and q.severity = 'fail') as failed,
    count(*) filter (where not q.passed and q.severity = 'warn') as warned
from recent r
left join serving.data_quality q using (ingest_id)
group by r.ingest_id, r.kind, r.status, r.as_of, r.requested_at, r.window_start, r.window_end,
    r.received_rows, r.inserted_rows, r.restated_rows, r.quarantined_rows
order by r.ingest_id desc;
