-- The newest decisions first; `total` counts those beyond the limit too.
select
    decision_id, domain, horizon, as_of, candidate_version, champion_version, door, verdict, reason, has_skill,
    mean_difference, statistic, critical_value, p_value, alpha_spent, decided_by, decided_at, promoted_at, score,
    approved, approved_by, approved_at, look, count(*) over () as total
from serving.promotions
where (%(horizon)s::text is null or horizon = %(horizon)s) and (%(verdict)s::text is null or verdict = %(verdict)s)
order by decision_id desc
limit %(rows)s;
