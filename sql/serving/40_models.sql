-- Every trained version with its scores, the baseline's beside them, the role that it has now, and the
-- last judgement of its skill.
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
    m.reason,
    m.requested_by
from lifecycle.model_versions m
left join current_champion c on c.domain = m.domain and c.target = m.target and c.to_version = m.version
left join judged j on j.domain = m.domain and j.target = m.target and j.candidate_version = m.version;
