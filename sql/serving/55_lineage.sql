-- Every published prediction with all that stands behind it: the delivery of bars and its checks, the model, what that
-- was trained on, and the decision by which it served. A challenger serves in a canary by no promotion: its decision is
-- the last look at it.
create or replace view serving.lineage as
select
    q.publication_id,
    q.domain,
    q.entity as symbol,
    q.target as horizon,
    q.as_of,
    q.p_up,
    q.has_skill,
    p.published_at,
    p.known_at as data_cutoff,
    p.snapshot_digest,
    i.ingest_id,
    i.provider,
    i.received_digest,
    c.checks,
    c.failed_checks,
    m.version as model_version,
    m.estimator,
    m.as_of as model_as_of,
    m.snapshot_digest as model_snapshot_digest,
    m.feature_set_digest,
    m.recipe_digest,
    m.code_commit,
    m.run_id as mlflow_run_id,
    d.decision_id,
    d.door,
    d.reason,
    (d.evidence #>> '{test,statistic}')::double precision as statistic,
    (d.evidence #>> '{test,critical}')::double precision as critical_value,
    (d.evidence #>> '{test,p_value}')::double precision as p_value,
    d.decided_by,
    o.promoted_at,
    q.role
from lifecycle.predictions q
join lifecycle.publications p using (publication_id)
join lifecycle.model_versions m on m.domain = q.domain and m.target = q.target and m.version = q.model_version
left join lateral (
    (
        select decision_id, promoted_at
        from lifecycle.promotions
        where q.role = 'champion'
            and domain = q.domain
            and target = q.target
            and to_version = q.model_version
            and promoted_at <= p.published_at
        order by promotion_id desc
        limit 1
    )
    union all
    (
        select decision_id, null
        from lifecycle.decisions
        where q.role = 'challenger'
            and domain = q.domain
            and target = q.target
            and candidate_version = q.model_version
            and decided_at <= p.published_at
        order by decision_id desc
        limit 1
    )
) o on true
left join lifecycle.decisions d using (decision_id)
left join lateral (
    select ingest_id, provider, received_digest
    from market.ingest_runs
    where domain = q.domain and as_of = q.as_of and status = 'accepted' and known_at <= p.known_at
    order by known_at desc, ingest_id desc
    limit 1
) i on true
left join lateral (
    select count(*) as checks, count(*) filter (where not passed) as failed_checks
    from market.check_results
    where ingest_id = i.ingest_id
) c on true;
