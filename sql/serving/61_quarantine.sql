-- Rows that were refused, each with its reasons and what a reviewer said of it last.
create or replace view serving.quarantine as
with last_review as (
    select distinct on (quarantine_id) quarantine_id, review_id, verdict, reviewed_by, reviewed_at, why, ingest_id
    from market.quarantine_reviews
    order by quarantine_id, review_id desc
)
select
    q.symbol,
    q.session,
    q.open,
    q.high,
    q.low,
    q.close,
    q.volume,
    q.reason,
    r.provider,
    r.as_of,
    r.requested_at,
    q.quarantine_id,
    case v.verdict when 'release' then 'released' when 'reject' then 'rejected' else 'open' end as state,
    v.reviewed_by,
    v.reviewed_at,
    v.why,
    v.review_id,
    v.ingest_id as taken_in_by,
    q.first_ingest_id,
    q.last_ingest_id
from market.quarantine q
join market.ingest_runs r on r.ingest_id = q.last_ingest_id
left join last_review v using (quarantine_id);
