-- Every trained version with its scores, the baseline's beside them, the role that it has now, and the
-- last judgement of its skill. A champion's age is counted in the sessions of its calendar up to the last accepted night.
create or replace view serving.models as
with current_champion as (
    select distinct on (domain, target) domain, target, to_version, promoted_at
    from lifecycle.promotions
    order by domain, target, promotion_id desc
),
judged as (
    select distinct on (domain, target, candidate_version) domain, target, candidate_version, has_skill
    from lifecycle.decisions
    order by domain, target, candidate_version, decision_id desc
),
last_nights as (
    select domain, max(as_of) as as_of from market.ingest_runs where status = 'accepted' group by domain
)
select
    m.domain,
    m.target as horizon,
    m.version as model_version,
    case when c.to_version is not null then 'champion' else 'candidate' end as role,
    c.promoted_at as champion_since,
    j.has_skill,
    m.estimator,
    (m.scores ->> 'log_loss')::double precision as log_loss,
    (m.scores ->> 'baseline_log_loss')::double precision as baseline_log_loss,
    (m.scores ->> 'brier')::double precision as brier,
    (m.scores ->> 'baseline_brier')::double precision as baseline_brier,
    (m.scores ->> 'accuracy')::double precision as accuracy,
    (m.scores ->> 'auc')::double precision as auc,
    (m.scores ->> 'rank_ic')::double precision as rank_ic,
    m.scores,
    m.recipe,
    m.trials,
    m.train_start,
    m.train_end,
    m.train_rows,
    m.as_of,
    m.known_at as data_cutoff,
    m.snapshot_digest,
    m.feature_set_digest,
    m.code_commit,
    m.run_id as mlflow_run_id,
    m.trained_at,
    m.left_out,
    m.costs,
    m.overfitting,
    a.sessions as champion_age_sessions,
    case when c.to_version is not null then coalesce(l.sessions > 0 and a.sessions > 2 * l.sessions, false) end
        as is_overdue,
    m.reason,
    m.requested_by
from lifecycle.model_versions m
left join current_champion c on c.domain = m.domain and c.target = m.target and c.to_version = m.version
left join judged j on j.domain = m.domain and j.target = m.target and j.candidate_version = m.version
left join last_nights n on n.domain = m.domain
left join lifecycle.refresh_limits l on l.domain = m.domain and l.target = m.target
left join lateral (
    select (
        select count(*)
        from market.sessions s
        where s.calendar = o.calendar and s.closes_at > m.as_of and s.closes_at <= n.as_of
    ) as sessions
    from market.sessions o
    where c.to_version is not null and n.as_of is not null and o.closes_at = m.as_of
    order by o.calendar
    limit 1
) a on true;
