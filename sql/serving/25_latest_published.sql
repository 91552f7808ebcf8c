-- The finished predictions of the last published night, in canaries two rows for a symbol and horizon.
-- Stands on the tables, not on serving.publications: `distinct on` leads the planner to one index scan by symbol.
create or replace view lifecycle.latest_published as
with latest as (
    select distinct on (domain) publication_id, domain, known_at, published_at, as_of, expires_at
    from lifecycle.publications
    order by domain, as_of desc, publication_id desc
),
attempts as (
    select domain, max(as_of) as last_attempt from market.ingest_runs group by domain
)
select
    q.domain,
    q.entity as symbol,
    q.target as horizon,
    q.as_of,
    q.matures_at,
    q.p_up,
    q.direction,
    q.confidence,
    q.expected_return,
    q.return_lower,
    q.return_upper,
    q.price,
    q.price_target,
    q.price_lower,
    q.price_upper,
    q.model_version,
    q.has_skill,
    l.known_at as data_cutoff,
    l.published_at,
    coalesce(a.last_attempt > l.as_of, false) or coalesce(now() > l.expires_at, false) as is_stale,
    l.expires_at is null as is_replay,
    q.return_lower_95,
    q.return_upper_95,
    q.return_stop,
    q.price_stop,
    q.target_probability,
    q.risk_score,
    q.similar_share_up,
    q.similar_dates,
    q.dissimilarity,
    q.is_outlier,
    q.members,
    q.reasons,
    q.role
from latest l
join lifecycle.predictions q using (publication_id)
left join attempts a on a.domain = l.domain;
