-- Every publication, with its freshness: stale once a later night was attempted or the next answers are overdue.
-- `is_final` marks the last word on its night, `is_latest` the one that latest_predictions shows.
create or replace view serving.publications as
with attempts as (
    select domain, max(as_of) as last_attempt from market.ingest_runs group by domain
)
select
    p.publication_id,
    p.domain,
    p.as_of,
    p.known_at as data_cutoff,
    p.published_at,
    p.row_count,
    p.snapshot_digest,
    p.audit,
    p.expires_at,
    p.expires_at is null as is_replay,
    coalesce(a.last_attempt > p.as_of, false) or coalesce(now() > p.expires_at, false) as is_stale,
    p.publication_id = first_value(p.publication_id) over (
        partition by p.domain order by p.as_of desc, p.publication_id desc
    ) as is_latest,
    p.publication_id = max(p.publication_id) over (partition by p.domain, p.as_of) as is_final
from lifecycle.publications p
left join attempts a using (domain);
