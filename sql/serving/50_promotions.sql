-- Every decision of the gate with its evidence, and when it took effect if it did.
create or replace view serving.promotions as
select
    d.decision_id,
    d.domain,
    d.target as horizon,
    d.as_of,
    d.candidate_version,
    d.champion_version,
    d.door,
    d.verdict,
    d.reason,
    d.has_skill,
    (d.evidence #>> '{skill,p_value}')::double precision as skill_p_value,
    (d.evidence #>> '{test,mean}')::double precision as mean_difference,
    (d.evidence #>> '{test,statistic}')::double precision as statistic,
    (d.evidence #>> '{test,critical}')::double precision as critical_value,
    (d.evidence #>> '{test,p_value}')::double precision as p_value,
    d.alpha_spent,
    d.evidence,
    d.decided_by,
    d.decided_at,
    p.promoted_at,
    d.evidence #>> '{target,label}' as label,
    d.evidence #>> '{target,score}' as score,
    d.look,
    d.evidence -> 'vetoes' as vetoes,
    a.approved,
    a.decided_by as approved_by,
    a.decided_at as approved_at
from lifecycle.decisions d
left join lifecycle.promotions p using (decision_id)
left join lifecycle.approvals a using (decision_id);
