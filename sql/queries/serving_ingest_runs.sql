-- The last deliveries, the newest first, each with how many of its checks did not pass.
with recent as (
    select ingest_id, kind, status, as_of, requested_at
    from serving.ingest_runs
    order by ingest_id desc
    limit %(runs)s
)
select
    r.ingest_id, r.kind, r.status, r.as_of, r.requested_at,
    count(*) filter (where not q.passed and q.severity = 'fail') as failed,
    count(*) filter (where not q.passed and q.severity = 'warn') as warned
from recent r
left join serving.data_quality q using (ingest_id)
group by r.ingest_id, r.kind, r.status, r.as_of, r.requested_at
order by r.ingest_id desc;
