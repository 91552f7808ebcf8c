-- All that people did, in their own words: champions moved and frozen, decisions answered, rows judged, retraining
-- asked for.
create or replace view serving.audit_log as
select
    decided_at as happened_at,
    decided_by as who,
    coalesce(evidence ->> 'action', 'promote') as what,
    domain,
    target || ' version ' || candidate_version as target,
    reason as why,
    decision_id
from lifecycle.decisions
where door = 'by_hand'
union all
select decided_at, decided_by, case when is_frozen then 'freeze' else 'unfreeze' end, domain, target, why, null
from lifecycle.freezes
union all
select
    a.decided_at,
    a.decided_by,
    case when a.approved then 'approve' else 'refuse' end,
    d.domain,
    d.target || ' version ' || d.candidate_version,
    a.note,
    decision_id
from lifecycle.approvals a
join lifecycle.decisions d using (decision_id)
where a.decided_by is not null
union all
select
    v.reviewed_at,
    v.reviewed_by,
    v.verdict || ' row',
    r.domain,
    concat_ws(' ', q.symbol, q.session),
    v.why,
    null
from market.quarantine_reviews v
join market.quarantine q using (quarantine_id)
join market.ingest_runs r on r.ingest_id = q.last_ingest_id
union all
select requested_at, requested_by, 'retrain', domain, array_to_string(horizons, ', '), reason, null
from lifecycle.retrain_requests;
